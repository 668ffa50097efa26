import numpy as np
import pandas as pd
import pytest

from qoe_core import traces

ERRORS = {"easy": [0.05, 0.15], "hard": [0.3, 0.5], "middle": [0.2, 0.2]}  # of two seeds
RATED = [0.1, 0.5, 0.9]
STALLED = [0.0, 0.5, 1.0]


@pytest.fixture
def scores():
    """Test errors of two models, beside rows that the ranking must not see."""
    rows = [
        ("gru", "test", "rmse", 0, session, seed, error)
        for session, errors in ERRORS.items()
        for seed, error in enumerate(errors)
    ]
    for session, error in zip(ERRORS, (0.9, 0.1, 0.2), strict=True):
        rows += [
            ("ridge", "test", "rmse", 0, session, 0, error),
            ("gru", "train", "rmse", 0, session, 0, error),
            ("gru", "test", "plcc", 0, session, 0, error),
            ("gru", "test", "rmse", 10, session, 0, error),
        ]
    columns = ["model", "part", "metric", "from_second", "session", "seed", "value"]
    return pd.DataFrame(rows, columns=columns)


def predictions(ci=0.1):
    """Two models on one test session, the first with two seeds, and on a training session."""
    runs = [("gru", 0, 0.0), ("gru", 1, 0.2), ("ridge", 0, -0.1)]
    tables = [
        pd.DataFrame(
            {
                "predicted": np.array(RATED) + shift,
                "rated": RATED,
                "ci_low": np.array(RATED) - ci,
                "ci_high": np.array(RATED) + ci,
                "stalled": STALLED,
            }
        ).assign(model=model, seed=seed, second=range(3), session=session, part=part)
        for model, seed, shift in runs
        for session, part in (("shown", "test"), ("other", "train"))
    ]
    return pd.concat(tables, ignore_index=True)


def test_sessions_are_ranked_by_test_error_mean_over_seeds(scores):
    found = traces.by_error(scores, "gru")
    assert found.to_dict() == pytest.approx({"easy": 0.1, "middle": 0.2, "hard": 0.4})
    assert list(found.index) == ["easy", "middle", "hard"]


def test_each_model_ranks_the_sessions_itself(scores):
    assert list(traces.by_error(scores, "ridge").index) == ["hard", "middle", "easy"]


def test_ranking_by_an_untested_model_is_refused(scores, refuses):
    with refuses("no test scores of 'lstm', only of ['gru', 'ridge']"):
        traces.by_error(scores, "lstm")


def test_a_trace_holds_rating_and_stalls_of_the_session():
    found = traces.trace(predictions(), "shown")
    assert found.session == "shown"
    assert found.rated.tolist() == pytest.approx(RATED)
    assert found.stalled.tolist() == STALLED


def test_predictions_are_means_over_seeds_by_model_in_the_order_of_the_table():
    found = traces.trace(predictions(), "shown").predicted
    assert list(found) == ["gru", "ridge"]
    assert found["gru"].tolist() == pytest.approx([0.2, 0.6, 1.0])
    assert found["ridge"].tolist() == pytest.approx([0.0, 0.4, 0.8])


def test_seconds_come_in_order_whatever_the_order_of_the_rows():
    shuffled = predictions().sample(frac=1, random_state=0)
    assert traces.trace(shuffled, "shown").rated.tolist() == pytest.approx(RATED)


def test_the_band_is_the_interval_of_the_rating():
    band = traces.trace(predictions(ci=0.1), "shown").band
    np.testing.assert_allclose(band, [[0.0, 0.2], [0.4, 0.6], [0.8, 1.0]], atol=1e-12)


def test_a_session_without_an_interval_has_no_band():
    assert traces.trace(predictions(ci=np.nan), "shown").band is None


@pytest.mark.parametrize("session", ["other", "unknown"])
def test_a_session_that_was_not_tested_is_refused(session, refuses):
    with refuses(f"{session!r} is not a test session of this predictions table"):
        traces.trace(predictions(), session)
