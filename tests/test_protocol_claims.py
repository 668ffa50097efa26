"""Sentences from hand-made contrasts: no direction that the interval does not hold."""

import numpy as np
import pandas as pd
import pytest

from qoe_core.protocol_claims import dependence_sentence, distance_sentence, sentence


def row(model="gru", difference=(0.1, 0.05, 0.15), **changes):
    """A row as `protocol.contrast` makes it; `difference` is mean, low and high."""
    fields = {
        "subject": "onset",
        "first": "all seconds",
        "second": "from second 10",
        "model": model,
        "metric": "plcc",
        "seeds": 3,
        "n": 40,
        "n_tested": 40,
        "contents": 10,
        "undefined": 0,
        "mean_first": 0.8,
        "mean_second": 0.9,
        **dict(zip(("difference", "low", "high"), difference, strict=True)),
        "p_holm": 0.01,
    }
    return {**fields, **changes}


def said(*rows):
    return sentence(pd.DataFrame(list(rows)), "tiny, strict")


def body(*rows):
    """What stands behind the counts."""
    return said(*rows).split(": ", 1)[1]


def test_a_sentence_names_data_subject_counts_and_both_ways():
    assert said(row()) == (
        "tiny, strict, onset, 40 test sessions of 10 contents, 3 seeds, from second 10 against all "
        "seconds: PLCC higher with gru 0.100 [0.050, 0.150] (0.800 to 0.900)."
    )


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        ((0.1, 0.05, 0.15), "PLCC higher with gru"),
        ((-0.1, -0.15, -0.05), "PLCC lower with gru"),
        ((0.1, -0.01, 0.2), "PLCC no evidence of a difference with gru"),
        ((0.1, 0.0, 0.2), "PLCC no evidence of a difference with gru"),
        ((-0.1, -0.2, 0.0), "PLCC no evidence of a difference with gru"),
        ((0.0, 0.0, 0.0), "PLCC no evidence of a difference with gru"),
    ],
)
def test_the_direction_is_that_of_an_interval_without_0(difference, words):
    assert body(row(difference=difference)).startswith(words)


def test_models_stand_by_verdict():
    rows = row("a"), row("b", (-0.1, -0.2, -0.1)), row("c", (0.0, -0.1, 0.1)), row("d")
    found = body(*rows).split(" | ")
    assert [clause.split(" 0")[0].split(" -")[0] for clause in found] == [
        "PLCC higher with a",
        "lower with b",
        "no evidence of a difference with c",
    ]
    assert ", d 0.100 [" in found[0]


def test_an_undefined_difference_has_no_numbers():
    assert body(row(difference=(np.nan,) * 3)) == "PLCC undefined with gru."


def test_errors_are_times_100():
    rows = row(metric="rmse", difference=(-0.02, -0.031, -0.01), mean_first=0.08, mean_second=0.06)
    assert body(rows) == "RMSE x100 lower with gru -2.00 [-3.10, -1.00] (8.00 to 6.00)."


def test_no_number_is_minus_zero():
    assert "gru 0.000 [0.000, 0.000]" in body(row(difference=(-1e-5, -2e-5, 1e-5)))


def test_metrics_stand_one_behind_the_other():
    found = body(row(), row(metric="rmse"))
    assert [clause[:4] for clause in found.split("; ")] == ["PLCC", "RMSE"]


def test_the_outlier_ratio_has_a_name():
    assert body(row(metric="or")).startswith("OR higher")


def test_what_holm_takes_away_is_said():
    assert body(row(p_holm=0.05)).endswith("(0.800 to 0.900, not after Holm).")
    assert "Holm" not in body(row(p_holm=0.049))
    assert "Holm" not in body(row(difference=(0.0, -0.1, 0.1), p_holm=1.0))


def test_undefined_sessions_are_counted():
    assert body(row(undefined=2)).endswith("(0.800 to 0.900, 2 undefined).")


def test_sessions_that_only_one_way_tested_are_counted():
    assert "onset, 12 of 40 test sessions of 10 contents" in said(row(n=12))


def test_a_single_seed_is_one_seed():
    assert ", 1 seed, " in said(row(seeds=1))


@pytest.mark.parametrize(("contents", "warns"), [(5, True), (6, False)])
def test_few_contents_are_warned_of(contents, warns):
    words = f"; the intervals rest on only {contents} contents and are too narrow."
    assert said(row(contents=contents)).endswith(words) == warns


def test_dependence_is_said_in_medians():
    found = pd.DataFrame(
        {"n_seconds": [20, 30, 60], "lag1": [0.8, 0.9, np.nan], "effective": [2.0, 3.0, np.nan]}
    )
    assert dependence_sentence(found, "tiny") == (
        "tiny, dependence, 3 rated sessions, 1 constant ones left out: median lag-1 "
        "autocorrelation 0.85, so a session of 30 seconds is worth about 2.5 independent ones "
        "(medians)."
    )


def test_dependence_without_constant_ratings_leaves_nothing_out():
    found = pd.DataFrame({"n_seconds": [20], "lag1": [0.8], "effective": [2.0]})
    assert dependence_sentence(found, "tiny").startswith("tiny, dependence, 1 rated sessions: ")


REPORTED = pd.DataFrame(
    [{"plcc": 0.79, "mark": "R", "aggregation": "mean over videos", "split": "released folds"}]
)
STOPPED = pd.DataFrame(
    [row(metric="plcc", mean_first=0.75, mean_second=0.8), row(metric="rmse", mean_first=9.0)]
).assign(first="stopped within the list", second="stopped on related videos")


def test_the_distance_of_both_ways_from_a_reported_number_carries_its_sign_and_mark():
    assert distance_sentence(STOPPED, REPORTED) == (
        "gru, PLCC 0.750 stopped within the list and 0.800 stopped on related videos; 0.790 is "
        "reported (recalled, unverified; mean over videos, released folds), -0.040 stopped within "
        "the list and +0.010 stopped on related videos."
    )


def test_without_a_reported_number_no_distance_is_said():
    assert distance_sentence(STOPPED, REPORTED[:0]).endswith("; no paper reports one.")
