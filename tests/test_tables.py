import re

import numpy as np
import pandas as pd
import pytest

from qoe_core import runs, tables
from qoe_core.datasets import catalog
from qoe_core.experiment import Experiment, run
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig

MODELS = ["zeta", "alpha", "mid", "flat"]  # neither in alphabetical order nor in that of results
EARLY = ["alpha", "mid"]  # stop on validation sessions
ASKED = {"study": "chapter", "dataset": "tiny", "split": "leave-content-out"}
CONTENTS = "abcdef"
N_SESSIONS = 18
METRICS = ("plcc", "rmse")


def scores_of(model):
    """Scores of two seeds: alpha correlates best, zeta has the least error, flat is constant.

    mid correlates better than alpha on half of the contents and worse on the others.
    """
    rng = np.random.default_rng([*model.encode()])
    plcc = {"zeta": 0.3, "alpha": 0.8, "mid": 0.8, "flat": np.nan}[model]
    rmse = {"zeta": 0.05, "alpha": 0.1, "mid": 0.1, "flat": 0.3}[model]
    rows = []
    for part in ("test", "train", *(["validation"] if model in EARLY else [])):
        for session in range(N_SESSIONS):
            for seed, metric in ((s, m) for s in (0, 1) for m in METRICS):
                value = {"plcc": plcc, "rmse": rmse}[metric] + rng.uniform(-0.04, 0.04)
                if (model, metric) == ("mid", "plcc"):
                    value += 0.1 if session % 2 else -0.14
                identity = {"model": model, "fold": "", "seed": seed, "part": part}
                where = {"session": f"s{session:02d}", "content": CONTENTS[session % 6]}
                rows.append({**identity, **where, "metric": metric, "value": value})
    found = pd.DataFrame(rows).assign(dataset="tiny", split="leave-content-out")
    late = found.assign(value=found["value"] / 2)
    return pd.concat([found.assign(from_second=0), late.assign(from_second=10)], ignore_index=True)


def overall_of(model):
    rng = np.random.default_rng([1, *model.encode()])
    rated = np.linspace(0, 1, N_SESSIONS)
    noise = {"zeta": 0.3, "alpha": 0.05, "mid": 0.06, "flat": 0.5}[model]
    of_parts = [
        pd.DataFrame(
            {
                "predicted": rated + rng.normal(0, noise, N_SESSIONS),
                "rated": rated,
                "session": [f"s{session:02d}" for session in range(N_SESSIONS)],
                "content": [CONTENTS[session % 6] for session in range(N_SESSIONS)],
            }
        ).assign(part=part, model=model)
        for part in ("test", "train", *(["validation"] if model in EARLY else []))
    ]
    found = pd.concat(of_parts, ignore_index=True)
    if model == "mid":
        derived = found.assign(model="mid, trace mean", predicted=found["predicted"] ** 2)
        found = pd.concat([found, derived], ignore_index=True)
    limits = {"ci_low": np.nan, "ci_high": np.nan, "label_low": 0.0, "label_high": 100.0}
    return found.assign(**limits, fold="", seed=0)


def finish_all():
    """Leave four experiments under RUNS as `run` would."""
    for model in MODELS:
        folder = runs.run_folder(**ASKED, model=model)
        folder.mkdir(parents=True)
        scores_of(model).to_parquet(folder / "scores.parquet")
        overall_of(model).to_parquet(folder / "overall.parquet")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The results of four experiments."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "RUNS", root)
        finish_all()
        return tables.results(**ASKED, models=MODELS)


def rows_of(table, **wanted):
    chosen = table
    for column, value in wanted.items():
        chosen = chosen[chosen[column] == value]
    return chosen


def test_exported_columns_are_those_of_the_contract():
    names = "dataset split target model part metric seeds n undefined mean low high median sd"
    expected = [*names.split(), "diff_mean", "diff_low", "diff_high"]
    assert list(tables.COLUMNS) == expected


def test_results_hold_every_exported_column_in_order(table):
    assert list(table.columns)[: len(tables.COLUMNS)] == tables.COLUMNS


def test_every_model_metric_and_part_has_one_row(table):
    keys = ["target", "model", "part", "metric"]
    assert not table.duplicated(keys).any()
    continuous = rows_of(table, target="continuous")
    assert len(continuous) == len(METRICS) * (2 * len(MODELS) + len(EARLY))


def test_mean_median_and_spread_are_over_sessions_of_the_mean_over_seeds(table):
    (row,) = rows_of(
        table, target="continuous", model="mid", part="test", metric="plcc"
    ).itertuples()
    scores = scores_of("mid").query("part == 'test' and metric == 'plcc' and from_second == 0")
    sessions = scores.groupby("session")["value"].mean()
    assert (row.mean, row.median, row.sd) == pytest.approx(
        (sessions.mean(), sessions.median(), sessions.std())
    )


def test_rows_count_sessions_seeds_and_contents(table):
    found = rows_of(table, target="continuous")
    assert set(found["n"]) == {N_SESSIONS}
    assert set(found["seeds"]) == {2}
    assert set(table["contents"]) == {len(CONTENTS)}


def test_a_model_without_any_defined_score_is_counted_and_left_empty(table):
    rows = rows_of(table, target="continuous", model="flat", metric="plcc")
    assert (rows["undefined"] == N_SESSIONS).all()
    assert rows[["mean", "low", "high", "median", "sd", "diff_mean", "p"]].isna().all(axis=None)


def test_errors_are_shares_of_the_label_range_in_the_exported_columns(table):
    assert rows_of(table, target="continuous", metric="rmse")["high"].max() < 0.4


def test_models_come_in_the_order_asked_for_each_before_its_trace_mean(table):
    expected = ["zeta", "alpha", "mid", "mid, trace mean", "flat"]
    assert list(rows_of(table, target="overall")["model"].unique()) == expected


@pytest.mark.parametrize("part", ["train", "validation"])
def test_models_are_compared_on_test_sessions_only(table, part):
    rows = rows_of(table, part=part)
    assert rows[["diff_mean", "diff_low", "diff_high", "p", "p_holm"]].isna().all(axis=None)
    assert set(rows["reference"]) | set(rows["verdict"]) == {""}


@pytest.mark.parametrize(("metric", "best"), [("plcc", "alpha"), ("rmse", "zeta")])
def test_the_reference_has_the_best_mean_in_the_direction_of_the_metric(table, metric, best):
    rows = rows_of(table, target="continuous", part="test", metric=metric)
    assert set(rows[rows["model"] != best].dropna(subset=["mean"])["reference"]) == {best}


def test_the_reference_is_not_compared_with_itself(table):
    rows = rows_of(table, target="continuous", part="test", metric="rmse", model="zeta")
    assert rows[["diff_mean", "diff_low", "diff_high", "p", "p_holm"]].isna().all(axis=None)
    assert list(rows["verdict"]) == [""]


def test_a_difference_is_model_minus_reference(table):
    rows = rows_of(table, target="continuous", part="test", metric="rmse").set_index("model")
    expected = rows.loc["flat", "mean"] - rows.loc["zeta", "mean"]
    assert rows.loc["flat", "diff_mean"] == pytest.approx(expected)


@pytest.mark.parametrize(("model", "verdict"), [("zeta", "worse"), ("mid", "no evidence")])
def test_worse_is_said_only_where_the_interval_leaves_out_zero(table, model, verdict):
    rows = rows_of(table, target="continuous", part="test", metric="plcc", model=model)
    (row,) = rows.itertuples()
    assert (row.diff_low <= 0 <= row.diff_high) == (verdict == "no evidence")
    assert row.verdict == verdict


def test_no_verdict_contradicts_its_interval(table):
    for row in table[table["reference"] != ""].itertuples():
        said = {(True, False): "worse", (False, True): "better"}
        if row.metric == "rmse":
            said = {(True, False): "better", (False, True): "worse"}
        expected = said.get((row.diff_high < 0, row.diff_low > 0), "no evidence")
        assert row.verdict == expected


def test_p_values_are_adjusted_over_the_models_of_one_metric(table):
    compared = table[table["reference"] != ""]
    for _, family in compared.groupby(["target", "metric"]):
        ordered = family.sort_values("p")
        largest = 0.0
        for still_open, row in zip(range(len(family), 0, -1), ordered.itertuples(), strict=True):
            largest = max(largest, min(1.0, row.p * still_open))
            assert row.p_holm == pytest.approx(largest)


def test_results_of_overall_scores_alone_need_no_continuous_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    folder = runs.run_folder(**ASKED, model="zeta")
    folder.mkdir(parents=True)
    scores_of("zeta")[:0].astype(object).to_parquet(folder / "scores.parquet")
    overall_of("zeta").to_parquet(folder / "overall.parquet")
    assert set(tables.results(**ASKED, models=["zeta"])["target"]) == {"overall"}


def test_rows_of_one_part_are_the_same_without_the_others(table, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    finish_all()
    alone = tables.results(**ASKED, models=MODELS, parts=["test"])
    pd.testing.assert_frame_equal(alone, rows_of(table, part="test").reset_index(drop=True))


def test_a_finished_experiment_gives_a_row_for_both_targets(sessions, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    for name in ("constant", "lookup"):
        experiment = Experiment(
            dataset="tiny",
            split="leave-content-out",
            model=ModelConfig(name=name, inputs=FeatureConfig(qos=("elapsed",))),
            study="chapter",
        )
        run(experiment, sessions, workers=1)
    found = tables.results(**ASKED, models=["lookup", "constant"])
    tested = rows_of(found, part="test", metric="rmse")
    assert list(tested["target"] + " " + tested["model"]) == [
        *("continuous lookup", "overall lookup", "overall lookup, trace mean"),
        *("continuous constant", "overall constant"),
    ]
    assert set(tested["n"]) == {len(sessions)}


def test_text_table_has_mean_and_interval_with_errors_times_100(table):
    (row,) = rows_of(
        table, target="continuous", part="test", metric="rmse", model="mid"
    ).itertuples()
    cell = tables.wide(table, "continuous", "test").loc["mid", "RMSE x100"]
    assert cell == f"{100 * row.mean:.2f} [{100 * row.low:.2f}, {100 * row.high:.2f}]"


def test_text_table_has_correlations_as_they_are(table):
    (row,) = rows_of(
        table, target="continuous", part="test", metric="plcc", model="mid"
    ).itertuples()
    cell = tables.wide(table, "continuous", "test").loc["mid", "PLCC"]
    assert cell == f"{row.mean:.3f} [{row.low:.3f}, {row.high:.3f}]"


def test_an_undefined_score_is_called_undefined(table):
    assert tables.wide(table, "continuous", "test").loc["flat", "PLCC"] == "undefined"


def test_text_table_ends_in_counts(table):
    found = tables.wide(table, "continuous", "test")
    assert list(found.columns) == ["PLCC", "RMSE x100", "n", "undefined", "seeds"]
    assert found.loc["flat", ["n", "undefined", "seeds"]].tolist() == [N_SESSIONS, N_SESSIONS, 2]


@pytest.mark.parametrize(("part", "models"), [("test", MODELS), ("validation", EARLY)])
def test_text_table_lists_the_models_of_the_part_in_order(table, part, models):
    assert list(tables.wide(table, "continuous", part).index) == models


def test_every_metric_has_a_title():
    assert list(tables.TITLES) == list(tables.DIRECTION)


def test_spread_shows_train_before_test_in_the_order_of_the_models(table):
    found = tables.spread(table, "continuous", "plcc")
    assert list(found.columns) == [
        f"{part} {name}"
        for part in ("train", "validation", "test")
        for name in ("mean", "median", "sd")
    ]
    assert list(found.index) == MODELS


def test_spread_of_an_error_is_times_100(table):
    (row,) = rows_of(
        table, target="continuous", part="train", metric="rmse", model="mid"
    ).itertuples()
    found = tables.spread(table, "continuous", "rmse").loc["mid"]
    assert found["train median"] == pytest.approx(100 * row.median)


def test_caption_names_data_aggregation_sessions_seeds_and_contents(table):
    assert tables.caption(table, "continuous", "train") == (
        "tiny, split leave-content-out, train part, continuous QoE: mean over sessions of the "
        "metric per session; 18 sessions, up to 2 seeds; 95 % intervals from 10,000 draws of "
        "6 whole contents; labels on [0, 1]"
    )


def test_caption_of_overall_scores_names_another_aggregation(table):
    assert "overall QoE: metric over sessions, mean over seeds; 18 sessions" in tables.caption(
        table, "overall", "test"
    )


def test_text_is_the_caption_above_the_table(table):
    first, header, *lines = tables.as_text(table, "continuous", "test").splitlines()
    assert first == tables.caption(table, "continuous", "test")
    assert header.split()[:2] == ["PLCC", "RMSE"]
    assert [line.split()[0] for line in lines] == ["model", *MODELS]


def test_latex_escapes_what_would_not_compile():
    found = tables.as_latex(pd.DataFrame({"a_b": ["5 % & more"]}, index=["m#1"]), "note")
    assert r"index & a\_b \\" in found
    assert r"m\#1 & 5 \% \& more \\" in found


def test_latex_has_as_many_cells_in_each_row_as_columns(table):
    lines = tables.as_latex(tables.wide(table, "continuous", "test"), "note").splitlines()
    columns = re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", lines[1]).group(1)
    rows = [line for line in lines if line.endswith(r" \\")]
    assert {len(re.split(r"(?<!\\)&", row)) for row in rows} == {len(columns)}
    assert len(rows) == 1 + len(MODELS)


def test_latex_begins_with_its_note_and_closes_what_it_opens(table):
    lines = tables.as_latex(tables.wide(table, "overall", "test"), "who made it").splitlines()
    assert lines[0] == "% who made it"
    assert [line for line in lines if line.startswith("\\") and not line.endswith(r" \\")] == [
        r"\begin{tabular}{lrrrrrrr}",
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_latex_rounds_numbers_to_three_digits():
    assert "m & 0.123 \\\\\n" in tables.as_latex(pd.DataFrame({"x": [0.12345]}, ["m"]), "note")


@pytest.mark.parametrize("dataset", catalog.CATALOG)
def test_every_published_number_has_a_known_mark_and_a_source(dataset):
    found = tables.published(dataset)
    assert set(found["mark"]) <= set(tables.MARKS)
    assert found[["source", "aggregation", "split"]].notna().all(axis=None)


def test_published_numbers_are_all_of_known_data_sets():
    counts = {name: len(tables.published(name)) for name in catalog.CATALOG}
    path = tables.resources.files("qoe_core") / "published.csv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert sum(counts.values()) == len(lines) - 1


def test_recalled_numbers_say_so():
    rows = tables.published("stall2")
    assert set(rows["mark"]) == {"R"}
    assert tables.MARKS["R"] == "recalled, unverified"


def test_published_errors_are_times_100():
    assert tables.published("live_netflix")["rmse"].between(1, 100).all()


def test_a_data_set_that_no_paper_reports_has_no_published_rows():
    assert tables.published("simulated").empty
