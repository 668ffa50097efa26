"""Edits of a session that cannot be, each refused in one sentence."""

import math

import numpy as np
import pytest

from qoe_core.what_if import (
    delete_stall,
    insert_stall,
    lengthen_stall,
    move_stall,
    set_bitrate,
)

LABEL = "tiny/content_0_pattern_1"


@pytest.fixture
def played(make_session):
    """14 s with a stall from 5 to 7.5 s."""
    return make_session(pattern=1)


@pytest.mark.parametrize(("start_s", "named"), [(-0.1, "-0.1"), (14.1, "14.1"), (math.nan, "nan")])
def test_a_stall_outside_of_the_session_is_refused(played, refuses, start_s, named):
    with refuses(
        f"{LABEL}: a new stall cannot begin at {named} s, expected 0 to 14 s, where the session "
        "ends"
    ):
        insert_stall(played, start_s, 1.0)


def test_a_stall_moved_beyond_the_end_is_refused(played, refuses):
    with refuses(
        f"{LABEL} (edited): stall 0 cannot begin at 11.6 s, expected 0 to 11.5 s, where the "
        "session without stall 0 ends"
    ):
        move_stall(played, 0, 11.6)


def test_a_stall_inside_another_is_refused(played, refuses):
    with refuses(
        f"{LABEL}: a new stall cannot begin at 7 s, inside stall 0, which lasts from 5 to 7.5 s; "
        "choose a start outside of it, or make stall 0 longer"
    ):
        insert_stall(played, 7.0, 1.0)


@pytest.mark.parametrize(
    ("moved", "start_s", "other", "lasts"), [(0, 8.0, 1, "7.5 to 8.5"), (1, 6.0, 0, "5 to 7.5")]
)
def test_a_stall_moved_into_another_is_refused_by_both_numbers(
    played, refuses, moved, start_s, other, lasts
):
    with refuses(
        f"{LABEL} (edited): stall {moved} cannot begin at {start_s:g} s, inside stall {other}, "
        f"which lasts from {lasts} s without stall {moved}; choose a start outside of it, or make "
        f"stall {other} longer"
    ):
        move_stall(insert_stall(played, 10.0, 1.0), moved, start_s)


@pytest.mark.parametrize("duration_s", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize(
    "edit", [lambda s, d: insert_stall(s, 1.0, d), lambda s, d: lengthen_stall(s, 0, d)]
)
def test_a_stall_without_length_is_refused(played, refuses, edit, duration_s):
    with refuses(
        f"{LABEL}: a stall of {duration_s} s, expected a positive number of s; to take a stall "
        "away, delete it"
    ):
        edit(played, duration_s)


NUMBERED = {
    "move": lambda s, n: move_stall(s, n, 1.0),
    "lengthen": lambda s, n: lengthen_stall(s, n, 1.0),
    "delete": delete_stall,
}


@pytest.mark.parametrize("number", [-1, 1])
@pytest.mark.parametrize("edit", NUMBERED.values(), ids=list(NUMBERED))
def test_a_number_that_no_stall_has_is_refused(played, refuses, edit, number):
    with refuses(f"{LABEL} has no stall {number}, expected 0 to 0"):
        edit(played, number)


def test_a_session_that_never_stalls_has_no_stall_to_delete(make_session, refuses):
    with refuses("tiny/content_0_pattern_0 has no stall 0, it never stalls; insert one first"):
        delete_stall(make_session(), 0)


def test_a_bitrate_where_there_is_none_is_refused(make_session, refuses):
    with refuses(
        f"{LABEL} has no bitrate that could be changed; choose a data set that was released with "
        "one"
    ):
        set_bitrate(make_session(pattern=1, bitrate_kbps=None), 0, 3, 777.0)


@pytest.mark.parametrize("kbps", [0.0, -5.0, math.inf, math.nan])
def test_a_bitrate_that_is_no_positive_number_is_refused(played, refuses, kbps):
    with refuses(f"{LABEL}: bitrate is {kbps} kbit/s, expected a positive number"):
        set_bitrate(played, 0, 3, kbps)


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (4, 3), (12, 14)])
def test_seconds_that_are_not_in_the_session_are_refused(played, refuses, first, last):
    with refuses(
        f"{LABEL}: seconds {first} to {last}, expected a first and a last one, in this order, from "
        "0 to 13"
    ):
        set_bitrate(played, first, last, 777.0)


def test_a_bitrate_where_nothing_is_played_is_refused(played, refuses):
    with refuses(
        f"{LABEL}: nothing is played from second 5 to 6, expected one that is not fully stalled"
    ):
        set_bitrate(played, 5, 6, 777.0)


def test_a_session_that_plays_nothing_is_refused(make_session, refuses):
    session = make_session(
        seconds=3,
        stalls=np.array([[0.0, 3.0]]),
        bitrate_kbps=np.zeros(3),
        quality={"vmaf": np.full(3, np.nan)},
    )
    with refuses(
        "tiny/content_0_pattern_0 stalls from its beginning to its end, so nothing that is played "
        "could come earlier or later; choose another session"
    ):
        lengthen_stall(session, 0, 4.0)
