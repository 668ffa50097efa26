from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from qoe_core import overview


@pytest.fixture
def three(make_session):
    """Three sessions of 12, 14 and 16 s: two contents, one stall of 2.5 s."""
    return [
        make_session(0, 0, seconds=12),
        make_session(0, 1, seconds=14),
        make_session(1, 0, seconds=16, overall=None, overall_ci=None, rated_ci=None),
    ]


def test_counts_are_those_of_the_sessions(three):
    found = overview.counts(three)
    assert found["sessions"] == 3
    assert found["contents"] == 2
    assert found["patterns"] == 2
    assert found["seconds"] == 12 + 14 + 16
    assert (found["stalls"], found["sessions with stalls"]) == (1, 1)
    assert (found["shortest (s)"], found["longest (s)"]) == ("12.0", "16.0")
    assert (found["with 95 % CI"], found["per-subject"]) == (2, 0)
    assert (found["declared scale"], found["devices"]) == ("0 to 100", "test")
    assert (found["bitrate"], found["quality metrics"]) == ("yes", "vmaf")
    assert found["resolution"] == "yes"


def test_rating_ranges_are_over_all_seconds_and_over_sessions(three):
    found = overview.counts(three)
    seconds = [value for session in three for value in session.rated]
    assert found["continuous"] == (
        f"{min(seconds):.2f} to {max(seconds):.2f}, mean {sum(seconds) / len(seconds):.2f}"
    )
    first, second = sorted(session.overall for session in three[:2])
    assert found["overall"] == f"{first:.2f} to {second:.2f}, mean {(first + second) / 2:.2f}"


def test_what_a_data_set_lacks_is_called_none(make_session):
    lacks = dict.fromkeys(["rated", "rated_ci", "bitrate_kbps", "height_px"])
    bare = make_session(**lacks, quality={})
    found = overview.counts([bare])
    assert (found["continuous"], found["bitrate"], found["quality metrics"]) == (
        "none",
        "no",
        "none",
    )
    assert found["resolution"] == "no"


def test_a_data_set_without_overall_scores_says_so(make_session):
    assert overview.counts([make_session(overall=None, overall_ci=None)])["overall"] == "none"


def test_sessions_of_single_viewers_are_counted(make_session):
    session = make_session(seconds=14, ratings=np.zeros((3, 14)))
    assert overview.counts([session])["per-subject"] == 1


def test_the_table_has_one_row_a_session(three):
    table = overview.session_table(three)
    assert list(table.index) == [session.name for session in three]
    assert table["duration_s"].tolist() == [12, 14, 16]
    assert table["n_stalls"].tolist() == [0, 1, 0]
    assert table["stalled_s"].tolist() == [0, 2.5, 0]
    assert table["rated"].tolist() == pytest.approx([session.rated.mean() for session in three])
    assert np.isnan(table["overall"].iloc[2])


def test_a_score_that_no_session_has_is_no_column(make_session):
    table = overview.session_table([make_session(overall=None, overall_ci=None)])
    assert "overall" not in table


def test_a_description_has_one_row_a_column(three):
    found = overview.described(overview.session_table(three)).set_index("quantity")
    assert found.loc["duration_s", ["count", "mean", "min", "50%", "max"]].tolist() == [
        *(3, 14, 12, 14, 16)
    ]
    assert found.loc["stalled_s", "mean"] == pytest.approx(2.5 / 3)


@pytest.fixture
def first(make_session):
    return make_session(pattern=1, name="first")


def test_sessions_that_differ_in_name_and_rating_have_the_same_inputs(first, make_session):
    rated = first.rated / 2
    second = replace(first, name="second", rated=rated, rated_ci=None, overall=9.0, overall_ci=None)
    (group,) = overview.same_inputs([first, make_session(1, 1), second])
    assert [session.name for session in group] == ["first", "second"]


@pytest.mark.parametrize(
    "change",
    [
        {"content": "another"},
        {"device": "phone"},
        {"duration_s": 13.5},
        {"stalls": np.array([[5.0, 2.25]])},
        {"quality": {}},
        {"bitrate_kbps": None},
        {"height_px": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_sessions_that_differ_in_one_input_are_apart(first, change):
    assert overview.same_inputs([first, replace(first, name="second", **change)]) == []


def test_one_second_of_another_quality_sets_sessions_apart(first):
    changed = first.quality["vmaf"].copy()
    changed[7] += 1e-9
    second = replace(first, name="second", quality={"vmaf": changed})
    assert overview.same_inputs([first, second]) == []


def test_the_same_values_under_another_metric_set_sessions_apart(first):
    second = replace(first, name="second", quality={"ssim": first.quality["vmaf"]})
    assert overview.same_inputs([first, second]) == []


def test_rating_spread_is_the_mean_range_of_the_overall_scores(make_session):
    groups = [
        [make_session(overall=score, overall_ci=None) for score in scores]
        for scores in ([40.0, 50.0, 46.0], [70.0, 74.0])
    ]
    assert overview.rating_spread(groups) == pytest.approx((10 + 4) / 2)


def test_rating_spread_falls_back_on_the_mean_of_the_trace(make_session):
    group = [
        make_session(rated=np.full(14, level), rated_ci=None, overall=None, overall_ci=None)
        for level in (30.0, 36.0)
    ]
    assert overview.rating_spread([group]) == pytest.approx(6)


def test_rating_spread_without_groups_is_zero():
    assert overview.rating_spread([]) == 0


def test_the_rating_correlates_with_its_history_as_computed_by_hand(make_session):
    stalled = np.array([0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0.0])
    rated = np.array([60, 62, 61, 50, 30, 35, 40, 48, 55, 57, 60, 61.0])
    session = make_session(
        seconds=12,
        stalls=np.array([[3.0, 2.0]]),
        bitrate_kbps=np.where(stalled > 0, 0.0, 500.0),
        quality={},
        rated=rated,
        rated_ci=None,
    )
    table = overview.history_correlations([session]).set_index("quantity")
    recent = [stalled[max(0, second - 9) : second + 1].mean() for second in range(12)]
    for quantity, values in (("stalled", stalled), ("stalled, last 10 s", recent)):
        expected = stats.pearsonr(values, rated).statistic
        assert table.loc[quantity, "mean_plcc"] == pytest.approx(expected)
        assert table.loc[quantity, "pooled_plcc"] == pytest.approx(expected)
    assert "log10 bitrate" not in table.index  # held while stalled, so it is constant


def test_history_correlations_of_unrated_sessions_are_an_empty_table(make_session):
    assert overview.history_correlations([make_session(rated=None, rated_ci=None)]).empty
