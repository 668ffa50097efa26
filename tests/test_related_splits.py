"""The folds of the peers' lists with their own early stopping, and the lists that are drawn."""

import pytest

from qoe_core.datasets.released_lists import drawn_lists
from qoe_core.splits import folds


def names(sessions):
    return [session.name for session in sessions]


@pytest.fixture
def fold(sessions):
    """A fold that tests the first session and trains on the next five."""
    lists = {sessions[0].name: names(sessions[1:6])}
    return folds("released-related", sessions, 0, lists)[0]


def test_the_whole_list_is_trained_on(fold, sessions):
    assert names(fold.train) == names(sessions[1:6])


def test_every_video_that_is_neither_list_nor_test_decides_when_to_stop(fold, sessions):
    assert names(fold.validation) == names(sessions[6:])


def test_its_one_video_is_tested(fold, sessions):
    assert names(fold.test) == names(sessions[:1])


def test_the_seed_changes_nothing(sessions):
    lists = {sessions[0].name: names(sessions[1:6])}
    first, second = (folds("released-related", sessions, seed, lists)[0] for seed in (0, 1))
    assert first.parts == second.parts


def test_lists_are_asked_for_where_there_are_none(sessions, refuses):
    with refuses("tiny has no released training lists"):
        folds("released-related", sessions, 0)


def test_a_list_that_names_an_unread_session_is_refused(sessions, refuses):
    first = sessions[0].name
    with refuses(f"released list of {first} names ['nobody'], which were not read"):
        folds("released-related", sessions, 0, {first: ["nobody"]})


@pytest.fixture
def drawn():
    return drawn_lists([f"clip_{number}" for number in range(20)], 12)


def test_a_drawn_list_has_as_many_names_as_asked_for_each_once(drawn):
    assert {(len(listed), len(set(listed))) for listed in drawn.values()} == {(12, 12)}


def test_no_clip_is_in_its_own_list(drawn):
    assert not [test for test, listed in drawn.items() if test in listed]


def test_lists_are_drawn_anew_for_each_clip(drawn):
    assert len({frozenset(listed) for listed in drawn.values()}) == 20


def test_a_second_call_draws_the_same(drawn):
    assert drawn_lists(list(drawn), 12) == drawn
