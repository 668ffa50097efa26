"""Ridge against a direct call of scikit-learn, and labels that only some sessions have."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from qoe_core.inputs import FeatureConfig
from qoe_core.models.interface import training_ratings
from qoe_core.models.regressors import Regressor, boosting, ridge
from qoe_core.qos import MEMORY_S

INPUTS = FeatureConfig(qos=("indicator", "stalled_so_far"), quality=("vmaf",))


def raw(session):
    stalled = session.stalled
    return np.stack([stalled, stalled.cumsum(), session.quality["vmaf"]], axis=1)


def remembered(scaled):
    """The inputs and their exponential averages, second by second."""
    blocks = [scaled]
    for tau in MEMORY_S:
        rows = [scaled[0]]
        for now in scaled[1:]:
            rows.append(np.exp(-1 / tau) * rows[-1] + (1 - np.exp(-1 / tau)) * now)
        blocks.append(np.array(rows))
    return np.concatenate(blocks, axis=1)


@pytest.fixture
def scaled(sessions):
    """A function from session to inputs scaled by the extremes of the first 20 sessions."""
    stacked = np.concatenate([raw(session) for session in sessions[:20]])
    low, high = stacked.min(axis=0), stacked.max(axis=0)
    return lambda session: (raw(session) - low) / (high - low)


@pytest.fixture
def fitted(sessions):
    return Regressor(make=ridge, inputs=INPUTS).fit(sessions[:20], [], seed=0)


@pytest.mark.parametrize("make", [ridge, boosting])
def test_sessions_predicted_at_once_get_the_scores_that_they_get_alone(
    sessions, make_session, make
):
    fitted = Regressor(make=make, inputs=INPUTS).fit(sessions[:20], [], seed=0)
    asked = [make_session(n, n, seconds=seconds) for n, seconds in enumerate((5, 40, 1, 12))]
    for alone, together in zip(map(fitted.predict, asked), fitted.predict_all(asked), strict=True):
        np.testing.assert_allclose(together.continuous, alone.continuous, rtol=0, atol=1e-9)
        assert together.overall == pytest.approx(alone.overall, abs=1e-9)


def test_continuous_ridge_is_scikit_learns_on_inputs_with_memory(sessions, scaled, fitted):
    inputs = np.concatenate([remembered(scaled(session)) for session in sessions[:20]])
    rated = np.concatenate([session.rated for session in sessions[:20]])
    expected = Ridge(alpha=1.0).fit(inputs, rated).predict(remembered(scaled(sessions[-1])))
    np.testing.assert_allclose(fitted.predict(sessions[-1]).continuous, expected, rtol=1e-9)


def test_overall_ridge_is_scikit_learns_on_pooled_inputs(sessions, scaled, fitted):
    def pooled(session):
        values = scaled(session)
        return np.concatenate([values.mean(0), values.min(0), values.max(0), values[-1]])

    overall = [session.overall for session in sessions[:20]]
    direct = Ridge(alpha=1.0).fit([pooled(session) for session in sessions[:20]], overall)
    expected = direct.predict([pooled(sessions[-1])]).item()
    assert fitted.predict(sessions[-1]).overall == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("make", [ridge, boosting])
def test_the_seed_changes_nothing(sessions, make):
    scores = [
        Regressor(make=make, inputs=INPUTS).fit(sessions[:20], [], seed=seed).predict(sessions[-1])
        for seed in (0, 1)
    ]
    np.testing.assert_array_equal(scores[0].continuous, scores[1].continuous)


def test_defect_6_a_regressor_is_scaled_on_its_training_sessions_only(sessions, make_session):
    longer = make_session(5, 1, seconds=40)
    fitted = Regressor(make=ridge, inputs=FeatureConfig(qos=("elapsed",))).fit(
        [session for session in sessions if session.n_seconds <= 16], [], seed=0
    )
    assert fitted.scaling(np.array([[float(longer.n_seconds)]])).item() == pytest.approx(39 / 15)


@pytest.mark.parametrize("field", ["rated", "overall"])
def test_labels_of_only_some_sessions_are_refused(sessions, make_session, refuses, field):
    unrated = make_session(5, 3, **{field: None, f"{field}_ci": None})
    with refuses(
        f"24 of 25 training sessions of tiny have {field}, expected all or none; "
        "are two data sets mixed?"
    ):
        training_ratings([*sessions, unrated])
