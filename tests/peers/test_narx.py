"""NARX-QoE by hand: delays, open loop in training, closed loop in prediction."""

import dataclasses

import numpy as np
import pytest
from sklearn.neural_network import MLPRegressor

from qoe_core.peers.narx import delayed_inputs, earlier_scores


def test_delayed_inputs_hold_the_first_value_before_the_start():
    scaled = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    assert delayed_inputs(scaled, 2).tolist() == [
        [1, 10, 1, 10, 1, 10],
        [2, 20, 1, 10, 1, 10],
        [3, 30, 2, 20, 1, 10],
    ]


def test_earlier_scores_come_latest_first_and_are_the_mean_before_the_start():
    assert earlier_scores(np.array([5.0, 6.0, 7.0, 8.0]), 2).tolist() == [
        [0, 0],
        [5, 0],
        [6, 5],
        [7, 6],
    ]


def scaled(fitted, session):
    vmaf = session.quality["vmaf"]
    raw = np.stack([session.stalled, session.stalled.cumsum(), vmaf], axis=1)
    return (raw - fitted.scaling.low) / (fitted.scaling.high - fitted.scaling.low)


def by_hand(fitted, session):
    """Scores second by second with scikit-learn's own predict."""
    said = []
    for t in range(session.n_seconds):
        inputs = [scaled(fitted, session)[max(t - d, 0)] for d in range(11)]
        past = [said[t - d] if t >= d else 0.0 for d in range(1, 11)]
        said.append(fitted.network.predict(np.concatenate([*inputs, past])[None]).item())
    return fitted.mean + fitted.spread * np.array(said)


def test_prediction_feeds_back_its_own_scores_from_the_mean_on(fit, unseen):
    fitted = fit("narx")
    expected = by_hand(fitted, unseen[1])
    np.testing.assert_allclose(fitted.predict(unseen[1]).continuous, expected, rtol=1e-9)


def test_the_network_is_scikit_learns_on_inputs_and_the_true_ratings_before(fit, train):
    fitted = fit("narx", train[:4])
    rows, targets = [], []
    for session in train[:4]:
        rated = (session.rated - fitted.mean) / fitted.spread
        for t in range(session.n_seconds):
            inputs = [scaled(fitted, session)[max(t - d, 0)] for d in range(11)]
            rows.append(
                [*np.concatenate(inputs), *np.append(np.zeros(10), rated)[t : t + 10][::-1]]
            )
            targets.append(rated[t])
    network = MLPRegressor(
        hidden_layer_sizes=(8,), activation="tanh", solver="lbfgs", alpha=10.0, random_state=0
    )
    network.set_params(max_iter=20_000, max_fun=40_000).fit(np.float32(rows), np.float32(targets))
    np.testing.assert_allclose(fitted.network.coefs_[0], network.coefs_[0], rtol=1e-6, atol=1e-9)


def test_a_true_score_never_enters_a_prediction(fit, unseen):
    other = dataclasses.replace(unseen[1], rated=np.full(20, 3.0), overall=3.0)
    np.testing.assert_array_equal(
        fit("narx").predict(unseen[1]).continuous, fit("narx").predict(other).continuous
    )


def test_the_mean_before_the_start_is_that_of_the_training_seconds(fit, train):
    assert fit("narx").mean == pytest.approx(np.concatenate([s.rated for s in train]).mean())


def test_without_feedback_an_equal_input_has_an_equal_score(fit, train, watched):
    steady = watched(7, 0, bitrate_kbps=np.full(20, 1000.0), quality={"vmaf": np.full(20, 50.0)})
    fitted = fit("narx", train[:8], feedback_delay=1, hidden=2)
    fitted.network.coefs_[0][-1] = 0.0
    assert np.ptp(fitted.predict(steady).continuous) < 1e-9


def test_the_closed_loop_cannot_grow_without_limit(fit, watched):
    """Hidden units end at -1 and 1, so a score is at most the sum of the outer weights."""
    fitted = fit("narx")
    wild = watched(7, 0, 300, quality={"vmaf": np.tile([-1e4, 1e4], 150)})
    limit = np.abs(fitted.network.coefs_[1]).sum() + abs(fitted.network.intercepts_[1].item())
    deviation = (fitted.predict(wild).continuous - fitted.mean) / fitted.spread
    assert np.abs(deviation).max() <= limit
