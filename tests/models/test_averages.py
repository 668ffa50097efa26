"""The rows that look at no signal, by hand."""

import dataclasses

import numpy as np
import pytest

from qoe_core.models.averages import Constant, Lookup, MeanCurve


@pytest.fixture
def watched(make_session):
    """A session by content, pattern, ratings and overall score."""

    def build(content, pattern, rated, overall=50.0):
        return dataclasses.replace(
            make_session(seconds=len(rated)),
            name=f"{content} {pattern}",
            content=content,
            pattern=pattern,
            rated=np.array(rated, dtype=float),
            overall=overall,
        )

    return build


@pytest.fixture
def library(watched):
    return [
        watched("opera", "bba/train", [10, 20]),
        watched("opera", "rate/train", [30, 40]),
        watched("opera", "bba/bus", [50, 50]),
        watched("sport", "bba/train", [90, 80]),
        watched("sport", "bba/ferry", [0, 0]),
    ]


def test_constant_is_the_mean_of_all_training_seconds(watched):
    train = [watched("a", "x/1", [10]), watched("b", "x/1", [40, 40, 50])]
    prediction = Constant().fit(train, [], seed=0).predict(watched("c", "x/1", [0, 0]))
    assert prediction.continuous.tolist() == [35, 35]


def test_constant_is_the_mean_of_all_overall_scores(watched):
    train = [watched("a", "x/1", [10], overall=20.0), watched("b", "x/1", [40, 50], overall=50.0)]
    assert Constant().fit(train, [], seed=0).predict(train[0]).overall == 35


def test_mean_curve_is_the_mean_of_the_sessions_still_running(watched):
    train = [watched("a", "x/1", [10, 20]), watched("b", "x/1", [30, 40, 50])]
    prediction = MeanCurve().fit(train, [], seed=0).predict(watched("c", "x/1", [0, 0, 0]))
    assert prediction.continuous.tolist() == [20, 30, 50]


def test_mean_curve_is_cut_to_a_shorter_session(watched):
    train = [watched("a", "x/1", [10, 20, 30])]
    prediction = MeanCurve().fit(train, [], seed=0).predict(watched("c", "x/1", [0]))
    assert prediction.continuous.tolist() == [10]


def test_mean_curve_goes_on_at_its_last_value_in_a_longer_session(watched):
    train = [watched("a", "x/1", [10, 20])]
    prediction = MeanCurve().fit(train, [], seed=0).predict(watched("c", "x/1", [0] * 4))
    assert prediction.continuous.tolist() == [10, 20, 20, 20]


@pytest.mark.parametrize(
    ("content", "pattern", "expected"),
    [
        ("opera", "other/train", [20, 30]),
        ("sport", "other/ferry", [0, 0]),
        ("drama", "bba/train", [130 / 3, 140 / 3]),
        ("opera", "bba/tram", [30, 110 / 3]),
        ("drama", "bba/tram", [36, 38]),
    ],
    ids=[
        "same content and same trace",
        "the same, one session",
        "same trace of other contents",
        "same content under other traces",
        "all sessions",
    ],
)
def test_look_up_asks_those_who_share_most(library, watched, content, pattern, expected):
    fitted = Lookup().fit(library, [], seed=0)
    curve = fitted.predict(watched(content, pattern, [0, 0])).continuous
    np.testing.assert_allclose(curve, expected, rtol=1e-12)


def test_look_up_gives_the_mean_overall_score_of_the_same_sessions(watched):
    train = [
        watched("opera", "bba/train", [10], overall=20.0),
        watched("opera", "rate/train", [20], overall=40.0),
        watched("sport", "rate/train", [90], overall=90.0),
    ]
    asked = watched("opera", "other/train", [0])
    assert Lookup().fit(train, [], seed=0).predict(asked).overall == 30


def test_look_up_on_an_unseen_content_knows_only_the_trace(library, watched):
    """What a split by content leaves it; the test session's own ratings are never used."""
    fitted = Lookup().fit([s for s in library if s.content == "sport"], [], seed=0)
    curve = fitted.predict(watched("opera", "bba/train", [10, 20])).continuous
    assert curve.tolist() == [90, 80]
