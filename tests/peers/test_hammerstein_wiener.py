"""The three blocks by hand, their derivatives against differences, and a model found again."""

import numpy as np
import pytest

from qoe_core.metrics import plcc
from qoe_core.peers.hammerstein_wiener import respond


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def parameters():
    """Two features, each slope, shift, three taps, two poles; then offset, middle and height."""
    return np.random.default_rng(3).normal(0, 1, 2 * 7 + 3)


@pytest.fixture
def series():
    return np.random.default_rng(4).uniform(0, 1, (3, 12, 2))


def by_hand(parameters, series):
    """One session second by second, the first input held for 400 s before."""
    offset, middle, height = parameters[-3:]
    total = np.full(len(series), offset)
    for own, feature in zip(parameters[:-3].reshape(2, 7), series.T, strict=True):
        static = sigmoid(own[0] * np.append(np.full(400, feature[0]), feature) + own[1])
        taps, poles = own[2:5], sigmoid(own[5:])
        value = np.zeros(len(static))
        for t in range(2, len(static)):
            driven = sum(taps[d] * static[t - d] for d in range(3)) * np.prod(1 - poles)
            value[t] = driven + poles.sum() * value[t - 1] - np.prod(poles) * value[t - 2]
        total += value[400:]
    return middle + height * (sigmoid(total) - 0.5)


def test_the_score_is_that_of_the_blocks_one_after_another(parameters, series):
    score, _ = respond(parameters, series, zeros=2)
    expected = [by_hand(parameters, session) for session in series]
    np.testing.assert_allclose(score, expected, rtol=1e-9, atol=1e-12)


def test_the_derivatives_are_those_of_small_steps(parameters, series):
    _, derivative = respond(parameters, series, zeros=2)
    for i, step in enumerate(1e-6 * np.eye(len(parameters))):
        above, below = (respond(parameters + s, series, zeros=2)[0] for s in (step, -step))
        # central differences of step 1e-6 round at 1e-10 and err by 1e-12
        np.testing.assert_allclose(derivative[..., i], (above - below) / 2e-6, atol=1e-8)


def test_a_steady_input_has_a_steady_score(parameters):
    score, _ = respond(parameters, np.full((1, 30, 2), 0.3), zeros=2)
    assert np.ptp(score) < 1e-12


def test_a_system_of_its_own_kind_is_found_again(fit, watched):
    """Ratings made by a saturating input and output and a pole at 0.8, seen without noise."""

    def rated_by_blocks(content, pattern):
        session = watched(content, pattern, 40)
        static = sigmoid(8 * session.quality["vmaf"] / 60 - 5)
        state, scores = static[0], []
        for now in static:
            state = 0.8 * state + 0.2 * now
            scores.append(20 + 60 * sigmoid(6 * state - 3))
        return watched(content, pattern, 40, rated=np.array(scores))

    fitted = fit(
        "hammerstein_wiener", [rated_by_blocks(c, 2 * p) for c in range(5) for p in (0, 1)]
    )
    session = rated_by_blocks(8, 2)
    assert plcc(fitted.predict(session).continuous, session.rated) > 0.995


@pytest.mark.parametrize(("zeros", "poles"), [(0, 0), (0, 1), (2, 0), (3, 3)])
def test_orders_of_the_filter_are_options(fit, train, unseen, zeros, poles):
    fitted = fit("hammerstein_wiener", train[:8], zeros=zeros, poles=poles)
    assert fitted.parameters.shape == (3 * (2 + zeros + 1 + poles) + 3,)
    assert np.isfinite(fitted.predict(unseen[0]).continuous).all()


def test_padding_a_batch_of_unequal_sessions_changes_nothing(fit, train, watched):
    """A session so long that all others are padded must not move what was fitted on them."""
    alone = fit("hammerstein_wiener", train[:8])
    padded, rated = respond(alone.parameters, np.full((2, 50, 3), 0.5), 1)[0], slice(0, 20)
    short = respond(alone.parameters, np.full((1, 20, 3), 0.5), 1)[0]
    np.testing.assert_array_equal(padded[:1, rated], short)
