"""Pooled seconds against scipy and a plain loop over draws; mapped scores against numpy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qoe_core import pooled, runs
from qoe_core.bootstrap import draw_contents

MODELS = ["ridge"]


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Two seeds of one model: 3 test contents of 20 seconds, one overall score a content."""
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    folder = runs.run_folder("chapter", "tiny", "leave-content-out", "ridge")
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    seconds = pd.DataFrame(
        {
            "model": "ridge",
            "seed": np.repeat([0, 1], 60),
            "part": "test",
            "content": np.tile(np.repeat(["a", "b", "c"], 20), 2),
            "predicted": rng.random(120),
        }
    )
    seconds["rated"] = seconds["predicted"] * 0.5 + rng.random(120) * 0.4
    overall = pd.DataFrame(
        {
            "model": "ridge",
            "part": "test",
            "session": [f"s{i}" for i in range(8)],
            "predicted": np.linspace(0.1, 0.9, 8),
            "rated": [0.0, 0.2, 0.1, 0.5, 0.4, 0.8, 0.7, 1.0],
            "ci_low": np.nan,
            "ci_high": np.nan,
            "label_low": 0.0,
            "label_high": 1.0,
        }
    )
    seconds.to_parquet(folder / "predictions.parquet")
    overall.to_parquet(folder / "overall.parquet")
    return seconds, overall


def asked(function):
    return function("chapter", "tiny", "leave-content-out", MODELS)


def test_pooled_plcc_is_scipys_over_all_seconds_mean_over_seeds(written):
    seconds, _ = written
    each = [
        stats.pearsonr(s["predicted"], s["rated"]).statistic for _, s in seconds.groupby("seed")
    ]
    assert asked(pooled.pooled_seconds)["plcc"].item() == pytest.approx(np.mean(each), abs=1e-9)


def test_pooled_rmse_is_over_all_seconds_mean_over_seeds(written):
    seconds, _ = written
    error = seconds["predicted"] - seconds["rated"]
    each = np.sqrt((error**2).groupby(seconds["seed"]).mean())
    assert asked(pooled.pooled_seconds)["rmse"].item() == pytest.approx(each.mean(), abs=1e-12)


def test_pooled_interval_is_that_of_resampled_contents(written):
    seconds, _ = written
    draws = draw_contents(["a", "b", "c"])
    groups = {key: part for key, part in seconds.groupby(["seed", "content"])}
    drawn = []
    for counts in draws.counts[:400]:
        names = np.repeat(["a", "b", "c"], counts.astype(int))
        tables = [pd.concat([groups[seed, name] for name in names]) for seed in (0, 1)]
        drawn.append(np.mean([np.corrcoef(t["predicted"], t["rated"])[0, 1] for t in tables]))
    row = asked(pooled.pooled_seconds).iloc[0]
    low, high = np.percentile(drawn, (2.5, 97.5))
    # 400 of the 10,000 draws: 10 distinct samples of three contents, so the bounds nearly agree
    assert (row["plcc_low"], row["plcc_high"]) == pytest.approx((low, high), abs=0.01)


def test_pooled_rows_count_seconds_of_one_seed_and_undefined_seeds(written):
    row = asked(pooled.pooled_seconds).iloc[0]
    assert (row["seeds"], row["n"], row["undefined"]) == (2, 60, 0)


def test_a_constant_of_each_content_has_a_correlation_but_no_bounds(written):
    seconds, _ = written
    folder = runs.run_folder("chapter", "tiny", "leave-content-out", "ridge")
    level = seconds["content"].map({"a": 0.1, "b": 0.5, "c": 0.3})
    seconds.assign(predicted=level).to_parquet(folder / "predictions.parquet")
    row = asked(pooled.pooled_seconds).iloc[0]
    assert -1 <= row["plcc"] <= 1
    assert np.isnan(row["plcc_low"])
    assert row["rmse_low"] <= row["rmse"] <= row["rmse_high"]


def test_first_order_mapping_leaves_plcc_and_gives_the_least_squares_rmse(written):
    _, overall = written
    row = asked(pooled.mapped_overall).iloc[0]
    x, y = overall["predicted"], overall["rated"]
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    assert row["plcc, first order"] == pytest.approx(row["plcc"], abs=1e-12)
    assert row["rmse, first order"] == pytest.approx(np.sqrt((residual**2).mean()), abs=1e-9)


def test_a_mapping_that_is_refused_is_nan(written, tmp_path):
    _, overall = written
    folder = runs.run_folder("chapter", "tiny", "leave-content-out", "ridge")
    overall.assign(rated=overall["rated"].to_numpy()[::-1]).to_parquet(folder / "overall.parquet")
    assert np.isnan(asked(pooled.mapped_overall)["rmse, third order"].item())


def test_without_overall_scores_there_is_nothing_to_map(written):
    _, overall = written
    folder = runs.run_folder("chapter", "tiny", "leave-content-out", "ridge")
    overall.iloc[:0].to_parquet(folder / "overall.parquet")
    assert asked(pooled.mapped_overall).empty
