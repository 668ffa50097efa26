"""Differences and words of the ablation, against means and percentiles taken here."""

import numpy as np
import pandas as pd
import pytest

from qoe_core import ablation, runs, tables
from qoe_core.bootstrap import draw_contents
from qoe_core.metrics import DIRECTION
from qoe_core.tables import OURS

ASKED = {"study": "chapter", "dataset": "tiny", "split": "leave-content-out"}
SESSIONS = [f"s{number:02d}" for number in range(20)]
CONTENTS = ["abcde"[number % 5] for number in range(20)]
QOS, FUTURE, GATE = f"{OURS}-qos", f"{OURS}-not_causal", f"{OURS}-without_gate"
TRACE, WHOLE, FLAT = f"{OURS}-continuous_only", f"{OURS}-overall_only", f"{OURS}-without_long_time"
MODELS = [OURS, QOS, FUTURE, GATE, TRACE, WHOLE, FLAT]
PLCC = {OURS: 0.8, QOS: 0.6, FUTURE: 0.9, GATE: 0.8, TRACE: 0.7, FLAT: np.nan}


def scores_of(model):
    """Worse without the video branch, better without the mask, constant without attention."""
    rng = np.random.default_rng([*model.encode()])
    found = []
    for metric, metric_mean in (("plcc", PLCC[model]), ("rmse", 0.4 - PLCC[model] / 4)):
        for seed in (0, 1):
            value = metric_mean + rng.uniform(-0.03, 0.03, len(SESSIONS))
            rows = pd.DataFrame({"session": SESSIONS, "content": CONTENTS, "value": value})
            found.append(rows.assign(metric=metric, seed=seed))
    return pd.concat(found).assign(model=model, part="test", from_second=0)


def overall_of(model):
    rated = np.linspace(0, 1, len(SESSIONS))
    spread = {QOS: 0.5}.get(model, 0.05)
    noise = np.random.default_rng([1, *model.encode()]).normal(0, spread, len(SESSIONS))
    found = pd.DataFrame({"session": SESSIONS, "content": CONTENTS, "rated": rated})
    found = found.assign(model=model, predicted=rated + noise)
    derived = found.assign(model=f"{model}, trace mean", predicted=rated + 4 * noise)
    if model != WHOLE:
        found = pd.concat([found, derived])
    unknown = {"ci_low": np.nan, "ci_high": np.nan, "label_low": 0.0, "label_high": 1.0}
    return found.assign(**unknown, seed=0, fold="", part="test")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The ablation of seven experiments; TRACE predicts no overall score, WHOLE no trace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "RUNS", tmp_path_factory.mktemp("runs"))
        for model in MODELS:
            folder = runs.run_folder(**ASKED, model=model)
            folder.mkdir(parents=True)
            scores = scores_of(OURS)[:0].astype(object) if model == WHOLE else scores_of(model)
            overall = overall_of(OURS)[:0].astype(object) if model == TRACE else overall_of(model)
            scores.to_parquet(folder / "scores.parquet")
            overall.to_parquet(folder / "overall.parquet")
        yield ablation.ablation(**ASKED, models=MODELS)


def one(table, model, target="continuous", metric="plcc"):
    keys = {"model": model, "target": target, "metric": metric}
    (row,) = table[(table[list(keys)] == pd.Series(keys)).all(axis=1)].itertuples()
    return row


def test_rows_are_variants_in_order_with_the_trace_mean_behind_the_full_network(table):
    found = table.groupby("target")["model"].unique().map(list).to_dict()
    assert found["continuous"] == [OURS, QOS, FUTURE, GATE, TRACE, FLAT]
    assert found["overall"] == [OURS, f"{OURS}, trace mean", QOS, FUTURE, GATE, WHOLE, FLAT]


def test_columns_are_those_of_the_contract(table):
    assert list(table.columns) == ablation.COLUMNS


def test_every_variant_target_and_metric_has_one_row(table):
    assert not table.duplicated(["model", "target", "metric"]).any()
    assert set(table["part"]) == {"test"}
    assert set(table["metric"]) == {"plcc", "srocc", "rmse"}


def test_a_difference_is_full_minus_variant_over_contents(table):
    each = [
        scores_of(model).query("metric == 'rmse'").groupby("session")["value"].mean()
        for model in (OURS, QOS)
    ]
    difference = each[0] - each[1]
    by_content = difference.groupby(np.array(CONTENTS)).mean().to_numpy()  # as many sessions each
    draws = draw_contents(CONTENTS)
    expected = np.percentile(draws.counts @ by_content / len(by_content), (2.5, 97.5))
    row = one(table, QOS, metric="rmse")
    assert row.full_minus == pytest.approx(difference.mean())
    assert (row.full_minus_low, row.full_minus_high) == pytest.approx(tuple(expected))


def test_an_overall_difference_is_full_minus_variant(table):
    full, variant = (
        np.corrcoef(overall_of(model)[: len(SESSIONS)][["predicted", "rated"]].T)[0, 1]
        for model in (OURS, QOS)
    )
    assert one(table, QOS, "overall").full_minus == pytest.approx(full - variant)


def test_the_overall_head_is_compared_with_the_mean_of_its_own_trace(table):
    row = one(table, f"{OURS}, trace mean", "overall", "rmse")
    assert row.full_minus < 0
    assert row.sentence.startswith("overall head: worth ")


@pytest.mark.parametrize(
    ("model", "verdict"),
    [(QOS, "worth"), (FUTURE, "costs"), (GATE, "no evidence"), (FLAT, ""), (OURS, "")],
)
@pytest.mark.parametrize("metric", ["plcc", "rmse"])
def test_the_verdict_is_about_the_part_that_the_variant_lacks(table, model, verdict, metric):
    assert one(table, model, metric=metric).verdict == verdict


def test_no_verdict_contradicts_its_interval(table):
    compared = table.dropna(subset=["full_minus"])
    for row in compared.itertuples():
        bounds = sorted(DIRECTION[row.metric] * np.array([row.full_minus_low, row.full_minus_high]))
        expected = {(True, True): "worth", (False, False): "costs"}
        assert row.verdict == expected.get((bounds[0] > 0, bounds[1] >= 0), "no evidence")


def test_p_values_are_adjusted_over_the_rows_shown(table):
    for _, family in table.dropna(subset=["p"]).groupby(["target", "metric"]):
        assert family["p_holm"].min() == pytest.approx(min(1, family["p"].min() * len(family)))
        assert (family["p_holm"] >= family["p"]).all()
    assert table[table["p"].isna()]["p_holm"].isna().all()


def test_a_gain_is_positive_for_an_error_too(table):
    row = one(table, QOS, metric="rmse")
    value, low, high = (
        f"{-100 * bound:.2f}" for bound in (row.full_minus, row.full_minus_high, row.full_minus_low)
    )
    assert row.sentence == (
        f"video branch: worth {value} of continuous RMSE x100 "
        f"(95 % interval {low} to {high}, Holm p {row.p_holm:.3f})"
    )


def test_a_cost_is_positive_too(table):
    row = one(table, FUTURE)
    value, low, high = (
        f"{-bound:.3f}" for bound in (row.full_minus, row.full_minus_high, row.full_minus_low)
    )
    assert row.sentence == (
        f"causal mask: costs {value} of continuous PLCC "
        f"(95 % interval {low} to {high}, Holm p {row.p_holm:.3f})"
    )


def test_where_the_interval_covers_0_there_is_no_evidence(table):
    row = one(table, GATE)
    assert row.sentence == (
        f"gate: no evidence of a gain in continuous PLCC (95 % interval {row.full_minus_low:.3f} "
        f"to {row.full_minus_high:.3f}, Holm p {row.p_holm:.3f})"
    )


def test_an_undefined_difference_is_called_so(table):
    assert one(table, FLAT).sentence == (
        "long-time attention: difference of continuous PLCC undefined"
    )


def test_the_full_network_has_no_difference_and_no_sentence(table):
    row = one(table, OURS)
    assert (np.isnan(row.full_minus), row.sentence, row.change) == (True, "", "the full network")


def test_summary_has_one_row_a_variant_and_three_columns_a_metric(table):
    found = ablation.summary(table, "continuous")
    assert list(found.index) == [OURS, QOS, FUTURE, GATE, TRACE, FLAT]
    assert list(found.columns) == [
        *("change", "PLCC", "full minus it, PLCC", "Holm p, PLCC"),
        *("RMSE x100", "full minus it, RMSE x100", "Holm p, RMSE x100"),
        *("n", "undefined", "seeds"),
    ]


def test_summary_prints_value_difference_and_p(table):
    row = one(table, QOS, metric="rmse")
    found = ablation.summary(table, "continuous").loc[QOS]
    assert found["change"] == "QoS branch alone, no video"
    assert found["RMSE x100"] == f"{100 * row.mean:.2f} [{100 * row.low:.2f}, {100 * row.high:.2f}]"
    low, high = 100 * row.full_minus_low, 100 * row.full_minus_high
    assert (
        found["full minus it, RMSE x100"] == f"{100 * row.full_minus:.2f} [{low:.2f}, {high:.2f}]"
    )
    assert found["Holm p, RMSE x100"] == f"{row.p_holm:.3f}"


def test_summary_leaves_out_what_does_not_exist(table):
    found = ablation.summary(table, "continuous")
    assert found.loc[OURS, ["full minus it, PLCC", "Holm p, PLCC"]].tolist() == ["", ""]
    assert found.loc[FLAT, ["PLCC", "full minus it, PLCC"]].tolist() == ["undefined", "undefined"]


def test_summary_goes_through_caption_and_latex_of_the_results(table):
    note = tables.caption(table, "overall", "test")
    assert note.startswith("tiny, split leave-content-out, test part, overall QoE: ")
    lines = tables.as_latex(ablation.summary(table, "overall"), note).splitlines()
    assert sum(line.startswith(r"dual\_attention") for line in lines) == 7


def test_the_full_network_alone_is_shown_without_differences(table):
    found = ablation.ablation(**ASKED, models=[OURS])
    assert set(found["model"]) == {OURS, f"{OURS}, trace mean"}
    assert set(found[found["target"] == "continuous"]["verdict"]) == {""}


def test_a_model_that_is_no_variant_is_refused(refuses):
    with refuses(
        f"models are ['dual_attention', 'ridge'], of which ['ridge'] are not among "
        f"{ablation.VARIANTS}; does a new variant lack its words in CHANGES?"
    ):
        ablation.ablation(**ASKED, models=[OURS, "ridge"])


def test_variants_without_the_full_network_are_refused(refuses):
    with refuses(
        f"reference is 'dual_attention', expected 'best baseline' or one of ['{QOS}']; "
        "is its row missing from the models?"
    ):
        ablation.ablation(**ASKED, models=[QOS])
