"""Medians over overlapping trials, against scipy and hand counts; pooling them is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qoe_core import overall, overall_scores, runs, tables, trials

TESTED = {"trial_0001": "abc", "trial_0002": "bcd", "trial_0003": "ade"}  # contents
SESSIONS = [f"{content}{number}" for content in "abcde" for number in range(4)]
RATED = {name: 20.0 + 60 * (i * 7 % 20) / 19 for i, name in enumerate(SESSIONS)}  # 20 to 80
NOISE = {"svr": 10.0, "deep": 20.0}
SEEDS = {"svr": (0,), "deep": (0, 1)}
CASES = [("svr", (0,)), ("deep", (0, 1)), ("deep, trace mean", (0, 1))]


def said(model, fold, seed):
    """What a model says of every session in a trial, in rating units."""
    rng = np.random.default_rng([*model.encode(), *fold.encode(), seed])
    noise = NOISE[model.partition(",")[0]]
    return {name: RATED[name] + noise * rng.normal() for name in SESSIONS}


def table_of(model, tested=TESTED):
    """The overall table of one experiment; every trial has a label scale of its own."""
    rows = []
    names = [model] if model == "svr" else [model, f"{model}, trace mean"]
    for low, (fold, contents) in enumerate(tested.items()):
        for seed, name in ((seed, name) for seed in SEEDS[model] for name in names):
            predicted = said(name, fold, seed)
            for session in SESSIONS:
                part = "test" if session[0] in contents else "train"
                label = [(of[session] - low) / (90 - low) for of in (predicted, RATED)]
                own = {"model": name, "fold": fold, "seed": seed, "session": session, "part": part}
                own |= {"predicted": label[0], "rated": label[1], "content": session[0]}
                rows.append({**own, "label_low": float(low), "label_high": 90.0})
    return pd.DataFrame(rows).assign(ci_low=np.nan, ci_high=np.nan)


def write(folder, model, table):
    folder = folder / "chapter" / "tiny--video-atlas" / model
    folder.mkdir(parents=True, exist_ok=True)
    table.to_parquet(folder / "overall.parquet")
    table[:0].to_parquet(folder / "predictions.parquet")
    empty = {"model": "", "part": "", "metric": "", "seed": 0, "from_second": 0, "session": ""}
    pd.DataFrame([empty])[:0].to_parquet(folder / "scores.parquet")


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A folder in the place of `runs.RUNS` that holds both experiments."""
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    for model in NOISE:
        write(tmp_path, model, table_of(model))
    return tmp_path


@pytest.fixture
def values(finished):
    return trials.per_trial("chapter", "tiny", ["svr", "deep"])


def expected(model, seeds, metric):
    """Means over seeds of one metric of each trial."""
    found = []
    for fold, contents in TESTED.items():
        names = [name for name in SESSIONS if name[0] in contents]
        rated = np.array([RATED[name] for name in names])
        of_seeds = []
        for seed in seeds:
            predicted = np.array([said(model, fold, seed)[name] for name in names])
            of_seeds.append(
                {
                    "plcc": stats.pearsonr(predicted, rated)[0],
                    "srocc": stats.spearmanr(predicted, rated)[0],
                    "rmse": np.sqrt(np.mean((predicted - rated) ** 2)) / 60,
                }[metric]
            )
        found.append(np.mean(of_seeds))
    return found


@pytest.mark.parametrize("metric", trials.METRICS)
@pytest.mark.parametrize(("model", "seeds"), CASES)
def test_each_trial_is_scored_on_its_own_test_sessions_and_averaged_over_seeds(
    values, model, seeds, metric
):
    rows = values.query("model == @model and metric == @metric")
    assert rows["fold"].tolist() == list(TESTED)
    assert rows["value"].tolist() == pytest.approx(expected(model, seeds, metric))
    assert set(rows["n"]) == {12}


@pytest.mark.parametrize("metric", trials.METRICS)
@pytest.mark.parametrize(("model", "seeds"), CASES)
def test_median_and_quartiles_are_those_of_the_trials(values, model, seeds, metric):
    (row,) = trials.medians(values).query("model == @model and metric == @metric").itertuples()
    percentiles = np.percentile(expected(model, seeds, metric), (25, 50, 75))
    found = (row.quarter, row.median, row.three_quarters)
    assert found == pytest.approx(tuple(percentiles))
    assert (row.dataset, row.split, row.trials) == ("tiny", "video-atlas", 3)


def test_models_keep_their_order_and_heads_stand_before_trace_means(values):
    assert list(trials.medians(values)["model"].unique()) == ["svr", "deep", "deep, trace mean"]


def scored(**of_models):
    """`per_trial` of one metric, from the values of each model."""
    rows = [
        (model, f"trial_{number}", "plcc", 12, value)
        for model, found in of_models.items()
        for number, value in enumerate(found)
    ]
    table = pd.DataFrame(rows, columns=["model", "fold", "metric", "n", "value"])
    return table.assign(dataset="tiny", split="video-atlas")


def test_a_trial_without_a_correlation_is_counted_and_left_out():
    (row,) = trials.medians(scored(flat=[0.1, np.nan, 0.5, 0.9])).itertuples()
    assert (row.median, row.trials, row.undefined) == (0.5, 4, 1)


def test_a_constant_prediction_leaves_its_trial_undefined(finished):
    table = table_of("svr")
    table.loc[table["fold"] == "trial_0002", "predicted"] = 0.5
    write(finished, "svr", table)
    values = trials.per_trial("chapter", "tiny", ["svr"]).query("metric == 'srocc'")
    assert values["value"].isna().tolist() == [False, True, False]


def test_a_trial_that_one_seed_leaves_undefined_is_undefined(finished):
    table = table_of("deep")
    table.loc[(table["fold"] == "trial_0001") & (table["seed"] == 1), "predicted"] = 0.5
    write(finished, "deep", table)
    values = trials.per_trial("chapter", "tiny", ["deep"])
    undefined = values[values["value"].isna()]
    assert set(undefined["fold"]) == {"trial_0001"}
    assert set(undefined["metric"]) == {"plcc", "srocc"}


def test_differences_are_paired_by_trial_and_a_tie_is_not_won():
    values = scored(svr=[0.5, 0.5, 0.5, 0.5, np.nan], deep=[0.4, 0.5, 0.7, 0.9, 0.9])
    (row,) = trials.paired(values, "svr").itertuples()
    assert (row.model, row.reference, row.trials) == ("deep", "svr", 4)
    assert (row.diff_median, row.won) == pytest.approx((0.1, 0.5))


def test_the_lower_error_wins_a_trial():
    values = scored(svr=[0.5, 0.5, 0.5, 0.5], deep=[0.4, 0.3, 0.7, 0.2]).assign(metric="rmse")
    (row,) = trials.paired(values, "svr").itertuples()
    assert (row.diff_median, row.won) == pytest.approx((-0.15, 0.75))


def test_every_other_row_is_held_against_the_reference_in_every_metric(values):
    found = trials.paired(values, "deep")
    assert list(zip(found["metric"], found["model"], strict=True)) == [
        (metric, model) for metric in trials.METRICS for model in ("svr", "deep, trace mean")
    ]


def test_a_reference_that_was_not_run_is_refused(values, refuses):
    with refuses("reference is 'gru', expected one of ['svr', 'deep', 'deep, trace mean']"):
        trials.paired(values, "gru")


def test_a_model_of_other_trials_is_refused(finished, refuses):
    write(finished, "svr", table_of("svr", {**TESTED, "trial_0002": "be"}))
    with refuses(
        "models were tested on different sessions in trial_0002: {'svr': 8, 'deep': 12, "
        "'deep, trace mean': 12}; are some tables from other trials?"
    ):
        trials.per_trial("chapter", "tiny", ["svr", "deep"])


def test_a_model_without_a_trial_is_refused(finished, refuses):
    write(finished, "svr", table_of("svr").query("fold != 'trial_0003'"))
    with refuses(
        "models were tested on different sessions in trial_0003: {'svr': 0, 'deep': 12, "
        "'deep, trace mean': 12}; are some tables from other trials?"
    ):
        trials.per_trial("chapter", "tiny", ["svr", "deep"])


def test_models_without_overall_scores_are_refused(finished, refuses):
    write(finished, "svr", table_of("svr")[:0])
    with refuses(
        "none of ['svr'] predicts overall QoE of tiny, split video-atlas, expected at least one; "
        "did viewers rate every second only?"
    ):
        trials.per_trial("chapter", "tiny", ["svr"])


def test_the_text_says_that_trials_overlap_and_prints_errors_times_100():
    values = scored(svr=[0.5, 0.625, 0.75], flat=[np.nan] * 3)
    errors = scored(svr=[0.1, 0.2, 0.4], flat=[0.3] * 3).assign(metric="rmse")
    ranks = values.assign(metric="srocc")
    lines = trials.as_text(pd.concat([values, ranks, errors])).splitlines()
    assert lines[0] == (
        "tiny, split video-atlas, test part, overall QoE: median (quartiles) over 3 trials of 12 "
        "test sessions; labels on [0, 1]; trials overlap, so quartiles are no intervals and no "
        "difference is called significant"
    )
    correlation = "0.625 (0.562 to 0.688)"
    assert lines[1].split() == ["PLCC", "SROCC", "RMSE", "x100", "trials", "undefined"]
    expected = f"svr {correlation} {correlation} 20.00 (15.00 to 30.00) 3 0"
    assert " ".join(lines[3].split()) == expected
    assert " ".join(lines[4].split()) == "flat undefined undefined 30.00 (30.00 to 30.00) 3 3"


AGAIN = (
    "b0 is tested in several folds by svr, seed 0, again in trial_0002; expected one fold for each "
    "session, do folds overlap, as the trials of video-atlas do? Score each of them alone"
)


@pytest.mark.usefixtures("finished")
def test_the_results_table_refuses_to_pool_trials(refuses):
    with refuses(AGAIN):
        tables.results("chapter", "tiny", "video-atlas", ["svr", "deep"], reference="svr")


@pytest.mark.usefixtures("finished")
def test_the_overall_chapter_refuses_to_pool_trials(refuses):
    scores = overall_scores.scores("chapter", "tiny", "video-atlas", ["svr"])
    with refuses(AGAIN):
        overall.results(scores)
