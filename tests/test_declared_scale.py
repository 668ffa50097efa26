"""Errors on the declared scale against ranges that the tables were written with."""

import numpy as np
import pandas as pd
import pytest

from qoe_core import declared_scale, runs

RANGES = {"one": (20.0, 70.0), "two": (0.0, 80.0)}  # of the training ratings, by fold
METRICS = {"plcc": 0.9, "rmse": 0.1, "rmse_star": 0.04, "or_half": 0.5}


def predictions(sessions, fold, seed=0):
    low, high = RANGES[fold]
    tables = [
        pd.DataFrame(
            {
                "session": s.name,
                "second": np.arange(s.n_seconds),
                "rated": (s.rated - low) / (high - low),
            }
        )
        for s in sessions
    ]
    return pd.concat(tables).assign(fold=fold, seed=seed)


def scores(fold, seed=0):
    return pd.DataFrame({"metric": METRICS.keys(), "value": METRICS.values()}).assign(
        fold=fold, seed=seed, session="s", part="test"
    )


@pytest.fixture
def experiment(tmp_path, monkeypatch, sessions):
    """A finished experiment of two folds, read back by the function under test."""
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    folder = runs.run_folder("chapter", "tiny", "strict", "gru")
    folder.mkdir(parents=True)
    said = pd.concat([predictions(sessions, fold) for fold in RANGES])
    said.astype({"fold": "category", "session": "category"}).to_parquet(
        folder / "predictions.parquet"
    )
    pd.concat([scores(fold) for fold in RANGES]).astype({"fold": "category"}).to_parquet(
        folder / "scores.parquet"
    )
    return "chapter", "tiny", "strict", ["gru"]


def values(table, fold):
    return table[table["fold"] == fold].set_index("metric")["value"].to_dict()


@pytest.mark.parametrize(("fold", "share"), [("one", 0.5), ("two", 0.8)])
def test_errors_shrink_by_the_share_of_the_declared_scale_that_a_fold_spans(
    experiment, sessions, fold, share
):
    found = declared_scale.scores(*experiment, sessions)
    expected = {**METRICS, "rmse": 0.1 * share, "rmse_star": 0.04 * share}
    assert values(found, fold) == pytest.approx(expected)


def test_a_scale_need_not_begin_at_zero(experiment, make_session, sessions):
    wider = [
        make_session(
            name=s.name,
            seconds=s.n_seconds,
            rated=s.rated,
            rated_ci=None,
            overall=None,
            overall_ci=None,
            scale=(-100.0, 100.0),
        )
        for s in sessions
    ]
    assert values(declared_scale.scores(*experiment, wider), "one")["rmse"] == pytest.approx(0.025)


def test_each_seed_has_its_own_range(experiment, sessions):
    folder = runs.run_folder(*experiment[:3], "gru")
    said = predictions(sessions, "one"), predictions(sessions, "two", seed=1).assign(fold="one")
    pd.concat(said).to_parquet(folder / "predictions.parquet")
    pd.concat([scores("one"), scores("one", seed=1)]).to_parquet(folder / "scores.parquet")
    found = declared_scale.scores(*experiment, sessions).query("metric == 'rmse'")
    assert found["value"].tolist() == pytest.approx([0.05, 0.08])


def test_other_ratings_than_those_of_the_experiment_are_refused(experiment, make_session, refuses):
    others = [make_session(c, p, seconds=12 + (c + p) % 6) for c in range(6) for p in range(4)]
    others[7] = make_session(1, 3, seconds=16, rated=others[7].rated[::-1].copy(), rated_ci=None)
    with refuses(
        "fold one, seed 0: the ratings in the predictions are not those of the 24 sessions; "
        "was the experiment run on another release?"
    ):
        declared_scale.scores(*experiment, others)


def test_a_session_that_is_not_there_is_refused(experiment, sessions):
    with pytest.raises(ValueError, match="not those of the 23 sessions"):
        declared_scale.scores(*experiment, sessions[1:])


def test_sessions_of_several_scales_are_refused(experiment, make_session, sessions, refuses):
    other = make_session(9, scale=(0.0, 200.0))
    message = "tiny declares the scales [(0.0, 100.0), (0.0, 200.0)], expected one of them"
    with refuses(message):
        declared_scale.scores(*experiment, [*sessions, other])
