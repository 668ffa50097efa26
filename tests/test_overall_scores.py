"""Poolings of predicted traces and stored scores as rows of an overall table, against numpy."""

import numpy as np
import pytest

from qoe_core import overall_scores, runs
from tests.overall_runs import ASKED, MODELS, experiment, stored_scores, write, write_all


@pytest.fixture(scope="module", autouse=True)
def _runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    write_all(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "RUNS", folder)
        yield


@pytest.fixture(scope="module")
def scores():
    return overall_scores.scores(**ASKED, models=MODELS)


def test_rows_are_the_ways_of_each_model_in_order(scores):
    assert list(scores["model"].unique()) == [
        *("deep", "deep, trace mean", "deep, last 10 s", "deep, peak-end", "whole"),
        *("ensemble", "ensemble, trace mean", "ensemble, last 10 s", "ensemble, peak-end"),
        "constant",
    ]


@pytest.mark.parametrize("way", ["last 10 s", "peak-end"])
def test_a_pooling_is_mapped_to_overall_by_the_training_part_of_its_fold(scores, way):
    whole, second = experiment("deep")
    whole = whole[(whole["model"] == "deep") & (whole["fold"] == "c") & (whole["seed"] == 1)]
    traces = second[(second["fold"] == "c") & (second["seed"] == 1)].groupby("session")["predicted"]
    last = traces.apply(lambda trace: trace.to_numpy()[-10:].mean())
    pooled = last if way == "last 10 s" else (traces.min() + last) / 2
    x = pooled[whole["session"]].to_numpy()
    train = (whole["part"] == "train").to_numpy()
    expected = np.polyval(np.polyfit(x[train], whole["rated"].to_numpy()[train], 1), x)
    rows = scores[(scores["model"] == f"deep, {way}") & (scores["fold"] == "c")]
    rows = rows[rows["seed"] == 1].set_index("session").loc[whole["session"]]
    np.testing.assert_allclose(rows["predicted"], expected)


def test_heads_and_trace_means_stay_as_they_were_predicted(scores):
    whole, _ = experiment("deep")
    kept = scores[scores["way"].isin(["head", "trace mean"]) & (scores["base"] == "deep")]
    np.testing.assert_array_equal(kept["predicted"], whole["predicted"])


def test_models_without_overall_scores_are_refused(tmp_path, monkeypatch, refuses):
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    whole, second = experiment("deep")
    write(tmp_path, "deep", whole[:0], second)
    with refuses(
        "none of ['deep'] predicts overall QoE of tiny, split leave-content-out, expected at "
        "least one; did viewers rate every second only?"
    ):
        overall_scores.scores(**ASKED, models=["deep"])


def test_a_tested_session_without_a_stored_score_is_refused(scores, refuses):
    stored = stored_scores()
    other = stored[(stored["session"] != "b2") | (stored["model"] == "follows")]
    with refuses(
        "falls has no stored score of b2 with its content (1 of 20 sessions), expected one each; "
        "are they of one data set?"
    ):
        overall_scores.with_stored(scores, other)
