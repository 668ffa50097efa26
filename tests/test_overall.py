"""Heads, pooled traces and stored predictors compared, against scipy, numpy and hand counts."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qoe_core import overall, overall_scores, paths, runs, tables
from qoe_core.bootstrap import draw_contents
from qoe_core.datasets import p1203
from tests.overall_runs import (
    ASKED,
    CONTENTS,
    MODELS,
    RATED,
    SESSIONS,
    experiment,
    stored_scores,
    write_all,
)


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


@pytest.fixture(scope="module")
def stored():
    return stored_scores()


@pytest.fixture(scope="module")
def found(scores, stored):
    return overall.results(overall_scores.with_stored(scores, stored))


def value(measured, model, metric):
    (row,) = measured[(measured["model"] == model) & (measured["metric"] == metric)].itertuples()
    return row.mean


def test_heads_and_trace_means_have_the_numbers_of_the_results_table(found):
    measured, _ = found
    table = tables.results(**ASKED, models=MODELS, reference="whole")
    known = table[table["part"] == "test"].set_index(["model", "metric"])
    same = measured[measured["way"].isin(["head", "trace mean"])].set_index(["model", "metric"])
    columns = ["mean", "low", "high", "n", "seeds", "contents"]
    pd.testing.assert_frame_equal(same[columns], known.loc[same.index, columns])


def test_correlations_of_a_stored_predictor_are_those_of_its_own_scores(found, stored):
    measured, _ = found
    rated = [RATED[name] for name in SESSIONS]
    for model in ("follows", "falls"):
        said = stored[stored["model"] == model]["predicted"]
        assert value(measured, model, "plcc") == pytest.approx(stats.pearsonr(said, rated)[0])
        assert value(measured, model, "srocc") == pytest.approx(stats.spearmanr(said, rated)[0])
        assert value(measured, model, "krocc") == pytest.approx(stats.kendalltau(said, rated)[0])


def test_rmse_of_a_stored_predictor_is_mapped_by_the_sessions_that_are_not_tested(found, stored):
    measured, _ = found
    said = stored[stored["model"] == "falls"]["predicted"].to_numpy()
    rated = np.array([RATED[name] for name in SESSIONS])
    content = np.array([name[0] for name in SESSIONS])
    mapped = np.empty(20)
    for fold in CONTENTS:
        fit = np.polyfit(said[content != fold], rated[content != fold], 1)
        mapped[content == fold] = np.polyval(fit, said[content == fold])
    expected = np.sqrt(np.mean((mapped - rated) ** 2)) / (rated.max() - rated.min())
    assert value(measured, "falls", "rmse") == pytest.approx(expected)


def test_a_difference_is_paired_over_contents_and_averaged_over_seeds(found):
    _, compared = found
    whole, _ = experiment("deep")
    tested = whole[whole["part"] == "test"]
    span = 90 - tested["label_low"]
    error = ((tested["predicted"] - tested["rated"]) * span / 60) ** 2
    sums = error.groupby([tested["model"], tested["seed"], tested["content"]]).sum()
    drawn = draw_contents(list(CONTENTS)).counts @ np.stack(
        [
            sums["deep, trace mean", 0],
            sums["deep, trace mean", 1],
            sums["deep", 0],
            sums["deep", 1],
        ],
        axis=1,
    )
    difference = np.sqrt(drawn / 20) @ [0.5, 0.5, -0.5, -0.5]
    (row,) = compared.query(
        "metric == 'rmse' and base == 'deep' and way == 'trace mean' and against == 'head'"
    ).itertuples()
    expected = tuple(np.percentile(difference, (2.5, 97.5)))
    assert (row.diff_low, row.diff_high) == pytest.approx(expected)


def test_each_way_is_held_against_head_trace_mean_and_the_best_stored_predictor(found):
    _, compared = found
    deep = compared.query("base == 'deep' and metric == 'srocc'")
    assert list(zip(deep["way"], deep["reference"], strict=True)) == [
        *(("trace mean", "deep"), ("last 10 s", "deep"), ("last 10 s", "deep, trace mean")),
        *(("peak-end", "deep"), ("peak-end", "deep, trace mean")),
        *(("head", "follows"), ("trace mean", "follows")),
    ]
    assert not compared.query("base == 'whole'")["against"].ne("best stored").any()


def test_a_verdict_is_given_only_where_the_interval_excludes_0(found):
    _, compared = found
    covers = (compared["diff_low"] <= 0) & (compared["diff_high"] >= 0)
    assert ((compared["verdict"] == "no evidence") == covers).all()
    assert {"better", "worse", "no evidence"} <= set(compared["verdict"])


def test_p_values_are_adjusted_over_what_is_held_against_the_same(found):
    _, compared = found
    for _, family in compared.groupby(["metric", "against"]):
        assert family["p_holm"].min() == pytest.approx(min(1, family["p"].min() * len(family)))


def row(base, way, against, verdict, low, high, metric="plcc"):
    given = {"metric": metric, "base": base, "way": way, "against": against, "verdict": verdict}
    return {**given, "reference": "KSQI", "diff_low": low, "diff_high": high}


MEASURED = pd.DataFrame([{"dataset": "tiny", "split": "strict", "n": 20, "contents": 4}])


def test_the_claim_counts_models_and_says_what_is_not_excluded():
    compared = [
        row("gru", "trace mean", "head", "better", 0.01, 0.05),
        row("tcn", "trace mean", "head", "no evidence", -0.0123, 0.05),
        row("ridge", "trace mean", "head", "no evidence", -0.01, 0.0617),
        row("lookup", "trace mean", "head", "better", 0.5, 0.7),  # blind
        row("gru", "head", "best stored", "worse", -0.2, -0.1),
        row("tcn", "head", "best stored", "", np.nan, np.nan),
        row("gru", "trace mean", "head", "worse", 0.01, 0.05, metric="rmse"),
    ]
    assert overall.claim(MEASURED, pd.DataFrame(compared)) == (
        "tiny, strict, 20 test sessions of 4 contents, overall PLCC: trace mean better than head "
        "in 1 of 3 models, worse in 0, no evidence in 2 (-0.012 to +0.062 not excluded); head "
        "better than best stored predictor, KSQI, in 0 of 2 models, worse in 1, undefined in 1."
    )


def test_the_claim_of_an_error_is_in_the_units_of_the_table():
    compared = [row("gru", "peak-end", "head", "no evidence", -0.0123, 0.05, metric="rmse")]
    assert overall.claim(MEASURED, pd.DataFrame(compared), "rmse").endswith(
        "overall RMSE x100: peak-end better than head in 0 of 1 models, worse in 0, no evidence in "
        "1 (-1.23 to +5.00 not excluded)."
    )


def test_without_a_trace_and_stored_scores_nothing_is_claimed(scores):
    measured, compared = overall.results(scores[scores["base"] == "whole"])
    assert compared.empty
    assert overall.claim(measured, compared) == (
        "tiny, leave-content-out, 20 test sessions of 5 contents, overall PLCC: no model has a "
        "trace and no score is stored, nothing is compared."
    )


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
def test_the_repository_rule_gives_the_32_published_numbers_of_p1203():
    outputs = p1203.stored_outputs(paths.DATA / p1203.FOLDER)
    table = pd.DataFrame(
        {
            "model": outputs["mode"].astype(int).astype(str),
            "session": outputs["pvs"] + "_" + outputs["context"],
            "content": outputs["pvs"].str.rpartition("_")[0],
            "predicted": outputs["O46"],
            "rated": outputs["mos"],
            "ci_low": outputs["mos"] - outputs["ci"],
            "ci_high": outputs["mos"] + outputs["ci"],
        }
    ).assign(part="test", way="stored", label_low=0.0, label_high=1.0)
    rule = overall.repository_rule(table).set_index(["context", "model", "metric"])["mean"]
    text = (paths.DATA / p1203.FOLDER / "README.md").read_text()
    published = {
        (context, mode): [cell.strip() for cell in cells.split("|")]
        for context, mode, cells in re.findall(r"^\| (mobile|pc) \| (\d) \|(.*)\|$", text, re.M)
    }
    assert {key: len(cells) for key, cells in published.items()} == dict.fromkeys(published, 4)
    assert len(published) == 8
    for key, cells in published.items():
        assert [f"{rule[(*key, metric)]:.3f}" for metric in overall.RULE_METRICS] == cells
