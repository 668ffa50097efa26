"""The reservoir: it forgets how it began, goes on from a state, and belongs to its seed."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from qoe_core.inputs import FeatureConfig
from qoe_core.peers import echo_state
from qoe_core.peers.echo_state import Peer, drawn, whole

INPUTS = FeatureConfig(qos=("indicator", "stalled_so_far"), quality=("vmaf",))


@pytest.fixture
def reservoir():
    return drawn(Peer(inputs=INPUTS), n_feat=3, seed=0)


@pytest.fixture
def series():
    return np.random.default_rng(1).uniform(0, 1, (400, 3))


def test_two_states_become_one_under_the_same_input(reservoir, series):
    """The echo-state property."""
    rng = np.random.default_rng(2)
    first, second = (reservoir.states(series, rng.uniform(-1, 1, 200)) for _ in range(2))
    distance = np.linalg.norm(first - second, axis=1)
    assert distance[0] > 1
    assert distance[-1] < 1e-6


def test_second_by_second_is_the_whole_session(reservoir, series):
    state, states = None, []
    for second in series[:50]:
        state = reservoir.states(second[None], state)[0]
        states.append(state)
    # one row and fifty rows round differently in a matrix product
    np.testing.assert_allclose(states, reservoir.states(series[:50]), rtol=0, atol=1e-12)


def test_a_state_is_the_leaky_mean_of_the_last_one_and_of_what_it_is_driven_to(reservoir, series):
    before = np.linspace(-1, 1, 200)
    drive = np.append(1.0, series[0]) @ reservoir.into + before @ reservoir.within
    expected = 0.7 * before + 0.3 * np.tanh(drive)
    np.testing.assert_allclose(reservoir.states(series[:1], before)[0], expected, rtol=1e-12)


def test_sessions_that_go_through_together_are_each_its_own(reservoir, series, monkeypatch):
    monkeypatch.setattr(echo_state, "AT_ONCE", 2)
    inputs = [series[:7], series[7:9], series[9:30]]
    expected = [np.hstack([reservoir.states(array), array]) for array in inputs]
    for found, alone in zip(reservoir.states_and_inputs(inputs), expected, strict=True):
        np.testing.assert_allclose(found, alone, rtol=0, atol=1e-12)


def test_a_seed_draws_the_same_reservoir_again(reservoir):
    again = drawn(Peer(inputs=INPUTS), n_feat=3, seed=0)
    np.testing.assert_array_equal(again.within, reservoir.within)
    np.testing.assert_array_equal(again.into, reservoir.into)


def test_another_seed_draws_another_reservoir(reservoir):
    other = drawn(Peer(inputs=INPUTS), n_feat=3, seed=1)
    assert not np.array_equal(other.within, reservoir.within)
    assert not np.array_equal(other.into, reservoir.into)


def test_the_spectral_radius_is_the_one_asked_for():
    within = drawn(Peer(inputs=INPUTS, spectral_radius=0.6), n_feat=3, seed=0).within
    assert np.abs(np.linalg.eigvals(within)).max() == pytest.approx(0.6)


def test_as_many_weights_as_asked_for_are_not_zero():
    within = drawn(Peer(inputs=INPUTS, density=0.25), n_feat=3, seed=0).within
    assert (within != 0).mean() == pytest.approx(0.25, abs=0.01)


def test_a_reservoir_without_any_connection_is_drawn():
    assert not drawn(Peer(inputs=INPUTS, units=1, density=0.0), n_feat=3, seed=0).within.any()


def test_overall_is_read_from_the_last_second_or_the_mean():
    seen = np.array([[1.0, 2.0], [3.0, 8.0]])
    assert (whole(seen, "last").tolist(), whole(seen, "mean").tolist()) == ([3, 8], [2, 5])


@pytest.mark.parametrize("readout", ["last", "mean"])
def test_overall_is_scikit_learns_ridge_on_what_is_read(fit, train, unseen, readout):
    fitted = fit("echo_state", readout=readout, units=20)

    def read(session):
        raw = np.stack([session.stalled, session.stalled.cumsum(), session.quality["vmaf"]], axis=1)
        scaled = (raw - fitted.scaling.low) / (fitted.scaling.high - fitted.scaling.low)
        return whole(np.hstack([fitted.reservoir.states(scaled), scaled]), readout)

    ridge = Ridge(alpha=10.0).fit([read(s) for s in train], [s.overall for s in train])
    expected = ridge.predict([read(unseen[1])]).item()
    assert fitted.predict(unseen[1]).overall == pytest.approx(expected, rel=1e-9)


def test_sessions_without_an_overall_score_train_no_overall_score(fit, watched):
    prediction = fit("echo_state", [watched(c, 0, overall=None) for c in range(3)]).predict(
        watched(7, 0)
    )
    assert (prediction.overall, prediction.continuous.shape) == (None, (20,))


def test_sessions_without_continuous_ratings_train_no_continuous_score(fit, watched):
    prediction = fit("echo_state", [watched(c, 0, rated=None) for c in range(3)]).predict(
        watched(7, 0)
    )
    assert prediction.continuous is None
    assert np.isfinite(prediction.overall)


def test_an_unknown_readout_is_refused(refuses):
    with refuses("readout of echo_state is 'first', expected one of ('last', 'mean')"):
        Peer(inputs=INPUTS, readout="first")


@pytest.mark.parametrize(("radius", "leak"), [(1.0, 0.3), (0.0, 0.3), (0.9, 0.0), (0.9, 1.1)])
def test_a_reservoir_that_need_not_forget_is_refused(refuses, radius, leak):
    with refuses(
        f"echo_state has spectral_radius {radius} and leak {leak}, expected 0 < spectral_radius < "
        "1 and 0 < leak <= 1; others need not forget how a session began"
    ):
        Peer(inputs=INPUTS, spectral_radius=radius, leak=leak)
