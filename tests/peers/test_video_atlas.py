"""The five features by hand, and how the regression is chosen."""

import dataclasses

import numpy as np
import pytest
from sklearn.base import clone

from qoe_core.inputs import FeatureConfig
from qoe_core.peers.video_atlas import GRID, Peer, five_features
from qoe_core.qos import Scaling
from qoe_core.session import hold_through_stalls, stalled_fraction

INPUTS = FeatureConfig(qos=("indicator",), quality=("vmaf",))
AS_IS = Scaling(np.zeros(2), np.ones(2))  # quality in its own units


@pytest.fixture
def playback(make_session):
    """A session of ten seconds from its bitrates and stalls; VMAF is a hundredth of the bitrate."""

    def build(rates, stalls=()):
        stalls = np.array(stalls, dtype=float).reshape(-1, 2)
        stalled = stalled_fraction(stalls, float(len(rates)))
        rates = np.where(stalled >= 1, 0.0, np.array(rates, dtype=float))
        vmaf = hold_through_stalls(rates / 100, stalled)
        return make_session(
            *(0, 0, len(rates)),
            stalls=stalls,
            bitrate_kbps=rates,
            quality={"vmaf": vmaf},
            rated=np.full(len(rates), 50.0),
        )

    return build


@pytest.mark.parametrize(
    ("rates", "stalls", "expected"),
    [
        ([5000] * 10, [], [50, 0, 0, 1, 0]),
        ([5000] * 10, [(2, 3)], [50, 0.3, 1, 0.5, 0]),
        ([5000] * 10, [(1, 1), (4, 0.5)], [50, 0.15, 2, 0.55, 0]),
        ([5000] * 4 + [1000] * 4 + [5000] * 2, [], [34, 0, 0, 0.2, 0.4]),
        ([5000] * 5 + [1000] * 5, [], [30, 0, 0, 0, 0.5]),
        ([1000] * 5 + [5000] * 5, [], [30, 0, 0, 1, 0]),
        ([5000] * 4 + [1000] * 2 + [5000] * 4, [(7, 2)], [40, 0.2, 1, 0.1, 0.2]),
        ([5000] * 4 + [1000] * 4 + [5000] * 2, [(5, 1)], [330 / 9, 0.1, 1, 0.2, 0.3]),
    ],
)
def test_the_five_features_are_those_counted_by_hand(playback, rates, stalls, expected):
    found = five_features(playback(rates, stalls), INPUTS, AS_IS)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_rounding_in_a_bitrate_lowers_nothing(playback):
    session = playback([250.0, 250.00000000000003, 249.99999999999997, 250.0])
    assert five_features(session, INPUTS, AS_IS)[3:].tolist() == [1, 0]


def test_quality_before_the_first_shown_second_does_not_count(playback):
    session = playback([5000] * 10, [(0, 4)])
    np.testing.assert_allclose(five_features(session, INPUTS, AS_IS), [50, 0.4, 1, 0.6, 0])


def test_a_session_that_shows_nothing_has_the_lowest_quality(playback):
    session = playback([5000] * 4, [(0, 4)])
    assert five_features(session, INPUTS, AS_IS).tolist() == [0, 1, 1, 0, 0]


def test_a_partial_last_second_counts_as_what_it_is(make_session):
    session = make_session(
        *(0, 0, 2),
        duration_s=1.5,
        stalls=np.empty((0, 2)),
        bitrate_kbps=np.array([5000.0, 1000.0]),
        quality={"vmaf": np.array([50.0, 10.0])},
    )
    found = five_features(session, INPUTS, AS_IS)
    np.testing.assert_allclose(found, [(50 + 5) / 1.5, 0, 0, 0, 0.5 / 1.5])


def test_the_quality_is_the_first_metric_of_the_row(playback, make_session):
    session = playback([5000] * 4)
    both = FeatureConfig(qos=("indicator",), quality=("ssim", "vmaf"))
    quality = {"ssim": np.full(4, 0.9), **session.quality}
    other = make_session(0, 0, 4, quality=quality, bitrate_kbps=session.bitrate_kbps)
    assert five_features(other, both, Scaling(np.zeros(3), np.ones(3)))[0] == pytest.approx(0.9)


def test_a_session_without_bitrate_is_refused(make_session, refuses):
    session = make_session(0, 0, bitrate_kbps=None)
    with refuses(
        "tiny/content_0_pattern_0 has no bitrate, so nothing tells when video_atlas' quality was "
        "lowered; leave this row out for this data set"
    ):
        five_features(session, INPUTS, AS_IS)


def test_a_row_without_quality_is_refused(refuses):
    inputs = FeatureConfig(qos=("indicator",))
    with refuses(
        f"inputs of video_atlas are {inputs}, expected a quality metric: the mean of the first one "
        "is among its five features"
    ):
        Peer(inputs=inputs)


@pytest.mark.parametrize(
    ("contents", "overall", "said"),
    [
        ([0, 0], 50.0, "1 contents and overall ratings"),
        ([0, 1], None, "2 contents and no overall ratings"),
    ],
)
def test_training_that_it_cannot_be_chosen_on_is_refused(
    fit, watched, refuses, contents, overall, said
):
    sessions = [watched(c, p, overall=overall) for p, c in enumerate(contents)]
    with refuses(
        f"training sessions of tiny have {said}; video_atlas predicts overall QoE only, and is "
        "chosen by cross-validation over contents"
    ):
        fit("video_atlas", sessions)


def test_the_regression_with_the_least_error_on_contents_left_out_is_chosen(fit, train):
    """Mean squared error over two halves of the contents, each predicted from the other."""
    fitted = fit("video_atlas")
    numbers = np.stack([five_features(s, fitted.inputs, fitted.scaling) for s in train])
    overall = np.array([session.overall for session in train])
    even = np.isin([session.content for session in train], [f"content_{i}" for i in (0, 2, 4)])
    errors = np.zeros(len(GRID))
    settings = [{f"regressor__svr__{name}": of for name, of in point.items()} for point in GRID]
    for half in (even, ~even):
        for i, values in enumerate(settings):
            regressor = clone(fitted.regressor).set_params(**values)
            said = regressor.fit(numbers[half], overall[half]).predict(numbers[~half])
            errors[i] += np.mean((said - overall[~half]) ** 2)
    chosen = fitted.regressor.get_params()
    assert settings[errors.argmin()].items() <= chosen.items()


def test_inputs_and_scores_are_standardised_on_the_training_sessions(fit, train, unseen):
    """The same data in units a thousand times as large gives the same answer."""

    def larger(session):
        return dataclasses.replace(
            session, overall=session.overall * 1000, rated=None, scale=(0.0, 1e5)
        )

    small = fit("video_atlas").predict(unseen[0]).overall
    large = fit("video_atlas", [larger(s) for s in train]).predict(unseen[0]).overall
    # libsvm stops at a tolerance of 1e-3 standard deviations
    assert large == pytest.approx(1000 * small, rel=1e-3)
