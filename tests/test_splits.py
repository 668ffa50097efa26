"""Nobody is trained on what they are tested on, and no split that breaks this can exist."""

import pytest

from qoe_core import splits
from qoe_core.split import Split
from qoe_core.splits import SPLITS, folds, leave_content_out, random_by_video, strict


def values(sessions, field):
    return {getattr(session, field) for session in sessions}


def may_train(split):
    return (*split.train, *split.validation)


def names(sessions):
    return [session.name for session in sessions]


@pytest.fixture
def split_of(make_session):
    """A split by hand: pairs of content and pattern on each side."""

    def build(train, test, apart, validation=()):
        parts = {"train": train, "validation": validation, "test": test}
        made = {part: tuple(make_session(*pair) for pair in of) for part, of in parts.items()}
        return Split(name="strict", fold="by hand", apart=apart, **made)

    return build


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_leave_content_out_shares_no_content_between_training_and_test(sessions, seed):
    for split in leave_content_out(sessions, seed):
        assert not values(may_train(split), "content") & values(split.test, "content")


@pytest.mark.parametrize("field", ["content", "pattern"])
def test_strict_shares_neither_content_nor_pattern_between_training_and_test(sessions, field):
    for split in strict(sessions, seed=0):
        assert not values(may_train(split), field) & values(split.test, field)


@pytest.mark.parametrize("name", ["leave-content-out", "strict"])
def test_every_session_is_tested_in_exactly_one_fold(sessions, name):
    tested = [name for split in folds(name, sessions, seed=0) for name in names(split.test)]
    assert sorted(tested) == sorted(names(sessions))


@pytest.mark.parametrize("name", ["leave-content-out", "strict"])
def test_validation_never_holds_a_test_content(sessions, name):
    for split in folds(name, sessions, seed=0):
        assert not values(split.validation, "content") & values(split.test, "content")


def test_strict_deals_patterns_into_groups_that_leave_enough_to_train_on(make_session):
    many = [make_session(content, pattern) for content in range(3) for pattern in range(9)]
    made = strict(many, seed=0)
    assert len(made) == 3 * splits.PATTERN_GROUPS
    assert min(len(may_train(split)) for split in made) == 2 * (9 - 3)


def test_many_contents_are_dealt_whole_into_few_folds(make_session):
    many = [make_session(content, 0, seconds=3) for content in range(splits.MOST_FOLDS + 1)]
    made = leave_content_out(many, seed=0)
    tested = [session.content for split in made for session in split.test]
    assert len(made) == splits.CONTENT_GROUPS
    assert sorted(tested) == sorted(session.content for session in many)


def test_refuses_a_content_on_both_sides(split_of, refuses):
    with refuses(
        "split strict, fold by hand: content of test sessions ['content_0_pattern_1'] is also in "
        "training, expected every content on one side only"
    ):
        split_of(train=[(0, 0), (1, 0)], test=[(0, 1), (2, 1)], apart=("content", "pattern"))


def test_refuses_a_test_content_in_validation(split_of, refuses):
    with refuses(
        "split strict, fold by hand: content of test sessions ['content_0_pattern_1'] is also in "
        "training, expected every content on one side only"
    ):
        split_of(train=[(1, 0)], validation=[(0, 0)], test=[(0, 1)], apart=("content",))


def test_refuses_a_pattern_on_both_sides(split_of, refuses):
    with refuses(
        "split strict, fold by hand: pattern of test sessions ['content_2_pattern_0'] is also in "
        "training, expected every pattern on one side only"
    ):
        split_of(train=[(0, 0), (1, 0)], test=[(2, 0), (2, 1)], apart=("content", "pattern"))


@pytest.mark.parametrize("apart", [(), ("name",)])
def test_refuses_a_session_on_both_sides(split_of, refuses, apart):
    with refuses(
        "split strict, fold by hand: ['content_0_pattern_0'] are in more than one part, expected "
        "each once"
    ):
        split_of(train=[(0, 0), (1, 0)], test=[(0, 0)], apart=apart)


@pytest.mark.parametrize(
    ("train", "test", "counts"),
    [
        ([], [(0, 0)], "0 training and 1 test sessions"),
        ([(0, 0)], [], "1 training and 0 test sessions"),
    ],
)
def test_refuses_an_empty_side(split_of, refuses, train, test, counts):
    with refuses(
        f"split strict, fold by hand: {counts}, expected at least one of each; are there too few "
        "contents for this split?"
    ):
        split_of(train=train, test=test, apart=())


def test_one_content_alone_cannot_be_left_out(make_session, refuses):
    with refuses(
        "split leave-content-out, fold content_0: 0 training and 2 test sessions, expected at "
        "least one of each; are there too few contents for this split?"
    ):
        leave_content_out([make_session(0, 0), make_session(0, 1)], seed=0)


@pytest.mark.parametrize("name", ["leave-content-out", "strict"])
def test_another_seed_moves_sessions_between_training_and_validation_only(sessions, name):
    for first, second in zip(
        folds(name, sessions, seed=0), folds(name, sessions, seed=1), strict=True
    ):
        assert first.test == second.test
        assert set(may_train(first)) == set(may_train(second))


def test_another_seed_draws_another_validation_part(sessions):
    drawn = [
        tuple(frozenset(split.validation) for split in leave_content_out(sessions, seed))
        for seed in range(4)
    ]
    assert len(set(drawn)) == 4


def test_the_same_seed_draws_the_same_validation_part(sessions):
    first, second = (leave_content_out(sessions, seed=5) for _ in range(2))
    assert [split.validation for split in first] == [split.validation for split in second]


def test_validation_does_not_depend_on_the_order_of_the_sessions(sessions):
    forward = leave_content_out(sessions, seed=0)
    backward = leave_content_out(sessions[::-1], seed=0)
    for first, second in zip(forward, backward, strict=True):
        assert set(first.validation) == set(second.validation)


def test_validation_takes_whole_contents_where_there_are_enough(sessions):
    for split in leave_content_out(sessions, seed=0):
        assert split.validation
        assert not values(split.train, "content") & values(split.validation, "content")


def test_validation_takes_sessions_where_contents_are_few(sessions):
    few = [session for session in sessions if session.content <= "content_3"]
    for split in leave_content_out(few, seed=0):
        assert len(split.validation) == 2  # 15 % of the 12 sessions of three contents
        assert values(split.train, "content") == values(may_train(split), "content")


def test_one_training_session_is_not_taken_for_validation(make_session):
    pair = [make_session(0, 0), make_session(1, 0)]
    assert [split.validation for split in leave_content_out(pair, seed=0)] == [(), ()]


def test_validation_joins_training_for_a_model_that_needs_none(sessions):
    split = leave_content_out(sessions, seed=0)[0]
    joined = split.without_validation()
    assert (set(joined.train), joined.validation) == (set(may_train(split)), ())
    assert (joined.test, joined.apart) == (split.test, split.apart)


def test_released_lists_are_followed(sessions):
    lists = {sessions[0].name: names(sessions[3:9]), sessions[7].name: names(sessions[10:20])}
    made = {split.fold: split for split in folds("released", sessions, 0, lists)}
    assert {test: sorted(names(may_train(split))) for test, split in made.items()} == lists
    assert [names(split.test) for split in made.values()] == [[test] for test in lists]


def test_a_released_list_that_names_an_unread_session_is_refused(sessions, refuses):
    lists = {sessions[0].name: [sessions[1].name, "nobody", "another"]}
    with refuses(
        "released list of content_0_pattern_0 names ['another', 'nobody'], which were not read"
    ):
        folds("released", sessions, 0, lists)


def test_a_released_list_that_trains_on_its_test_video_is_refused(sessions, refuses):
    name = sessions[0].name
    with refuses(
        f"split released, fold {name}: ['{name}'] are in more than one part, expected each once"
    ):
        folds("released", sessions, 0, {name: names(sessions[:5])})


def test_released_lists_are_asked_for_where_there_are_none(sessions, refuses):
    with refuses("tiny has no released training lists"):
        folds("released", sessions, 0)


def test_an_unknown_split_is_refused(sessions, refuses):
    with refuses(f"split is 'by-luck', expected one of {list(SPLITS)}"):
        folds("by-luck", sessions, 0)


def test_the_random_split_tests_a_fifth_of_the_videos(sessions):
    split = random_by_video(sessions, seed=0)
    assert len(split.test) == 5  # of 24
    assert sorted(names((*may_train(split), *split.test))) == sorted(names(sessions))


def test_the_random_split_is_the_same_for_the_same_seed(sessions):
    first, second = (random_by_video(sessions, seed=3) for _ in range(2))
    assert first.parts == second.parts


def test_the_random_split_tests_other_videos_for_another_seed(sessions):
    tests = {frozenset(random_by_video(sessions, seed).test) for seed in range(4)}
    assert len(tests) == 4


def test_defect_3_a_split_by_video_leaves_test_contents_in_training(sessions):
    """The split of the re-implementation exists for comparison only, and here is why."""
    split = random_by_video(sessions, seed=0)
    assert values(split.test, "content") <= values(may_train(split), "content")


def test_defect_3_a_split_by_video_is_refused_when_contents_must_stay_apart(sessions):
    split = random_by_video(sessions, seed=0)
    with pytest.raises(ValueError, match="content of test sessions .* is also in training"):
        Split(name="strict", fold="draw_0", **split.parts, apart=("content",))
