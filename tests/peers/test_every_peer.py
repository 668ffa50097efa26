"""What holds for every peer that predicts a target, on ratings that follow the inputs."""

import numpy as np
import pytest

from qoe_core import peers
from qoe_core.metrics import rmse

CONTINUOUS = ["echo_state", "hammerstein_wiener", "narx"]
OVERALL = ["echo_state", "video_atlas"]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_rating_that_follows_the_inputs_is_learnt(fit, train, unseen, name):
    mean = np.concatenate([session.rated for session in train]).mean()
    errors = [rmse(fit(name).predict(s).continuous, s.rated) for s in unseen]
    constant = [rmse(np.full(s.n_seconds, mean), s.rated) for s in unseen]
    assert np.mean(errors) < 0.4 * np.mean(constant)


@pytest.mark.parametrize("name", OVERALL)
def test_an_overall_score_that_follows_the_inputs_is_learnt(fit, train, unseen, name):
    rated = np.array([session.overall for session in unseen])
    predicted = np.array([fit(name).predict(session).overall for session in unseen])
    mean = np.mean([session.overall for session in train])
    assert rmse(predicted, rated) < 0.5 * rmse(np.full(len(rated), mean), rated)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_past_does_not_see_the_future(fit, watched, name):
    session = watched(7, 1)
    vmaf, rate = session.quality["vmaf"].copy(), session.bitrate_kbps.copy()
    vmaf[12:], rate[12:] = 11.0, 100.0
    edited = watched(7, 1, quality={"vmaf": vmaf}, bitrate_kbps=rate, rated=np.full(20, 5.0))
    before, after = (fit(name).predict(s).continuous for s in (session, edited))
    np.testing.assert_array_equal(before[:12], after[:12])
    assert (before[12:] != after[12:]).all()


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("seconds", [1, 2, 200])
def test_there_is_one_score_each_second_whatever_the_length(fit, watched, name, seconds):
    continuous = fit(name).predict(watched(7, 0, seconds=seconds)).continuous
    assert continuous.shape == (seconds,)
    assert (np.abs(continuous) < 200).all()


@pytest.mark.parametrize("name", ["echo_state", "hammerstein_wiener"])
def test_sessions_predicted_at_once_get_the_scores_that_they_get_alone(fit, watched, name):
    fitted = fit(name)
    asked = [watched(7, n, seconds=seconds) for n, seconds in enumerate((5, 40, 1, 12))]
    for alone, together in zip(map(fitted.predict, asked), fitted.predict_all(asked), strict=True):
        np.testing.assert_allclose(together.continuous, alone.continuous, rtol=0, atol=1e-9)
        assert together.overall == pytest.approx(alone.overall, abs=1e-9)


@pytest.mark.parametrize("name", OVERALL)
@pytest.mark.parametrize("seconds", [1, 200])
def test_there_is_one_overall_score_whatever_the_length(fit, watched, name, seconds):
    assert 0 < fit(name).predict(watched(7, 0, seconds=seconds)).overall < 100


@pytest.mark.parametrize("name", peers.NAMES)
def test_what_a_peer_was_not_made_for_is_none(fit, unseen, name):
    prediction = fit(name).predict(unseen[0])
    assert (prediction.continuous is not None) == (name in CONTINUOUS)
    assert (prediction.overall is not None) == (name in OVERALL)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_constant_ratings_are_predicted_as_they_are(fit, watched, name):
    same = [watched(c, p, rated=np.full(20, 55.0), overall=55.0) for c in range(3) for p in (0, 1)]
    continuous = fit(name, same).predict(watched(7, 0)).continuous
    np.testing.assert_allclose(continuous, 55.0, atol=0.01)


@pytest.mark.parametrize("name", OVERALL)
def test_a_constant_overall_score_is_predicted_as_it_is(fit, watched, name):
    same = [watched(c, p, rated=np.full(20, 55.0), overall=55.0) for c in range(3) for p in (0, 1)]
    assert fit(name, same).predict(watched(7, 0)).overall == pytest.approx(55.0, abs=0.01)


@pytest.mark.parametrize("name", peers.NAMES)
def test_the_same_seed_gives_the_same_scores_and_another_only_if_seeded(fit, train, unseen, name):
    def said(seed):
        prediction = fit(name, train[:12], seed).predict(unseen[1])
        return prediction.overall if prediction.continuous is None else prediction.continuous

    first = said(1)
    assert np.array_equal(said(1), first)
    assert np.array_equal(said(2), first) != peers.load(name).seeded


@pytest.mark.parametrize("name", CONTINUOUS)
def test_loading_and_a_session_that_shows_nothing_are_scored(fit, late_start, nothing_shown, name):
    for session in (late_start, nothing_shown):
        assert np.isfinite(fit(name).predict(session).continuous).all()


@pytest.mark.parametrize("name", peers.NAMES)
def test_one_second_and_nothing_shown_can_be_trained_on(
    fit, train, watched, late_start, nothing_shown, name
):
    odd = [watched(9, 0, seconds=1), late_start, nothing_shown]
    prediction = fit(name, [*train[:8], *odd]).predict(train[-1])
    said = prediction.overall if prediction.continuous is None else prediction.continuous
    assert np.isfinite(said).all()


@pytest.mark.parametrize("name", ["narx", "hammerstein_wiener"])
def test_sessions_without_continuous_ratings_are_refused(fit, watched, refuses, name):
    with refuses(
        f"training sessions of tiny have no continuous ratings, and {name} predicts nothing else; "
        "leave this row out for this data set"
    ):
        fit(name, [watched(c, 0, rated=None) for c in range(3)])
