"""The table over data sets, beside reported numbers, and means per content taken here by hand."""

import numpy as np
import pandas as pd
import pytest

from qoe_core import paths, peer_table, runs
from qoe_core.models.variants import OURS

PLCC = {OURS: 0.9, "lstm_qoe": 0.8, "ridge": 0.7}


def results(dataset="lfovia", split="released", target="continuous"):
    """Test rows of three models as `tables.results` makes them; ridge has no defined PLCC."""
    rows = [
        {"model": model, "metric": metric, "mean": value, "low": value / 2, "high": value * 2}
        for model, plcc in PLCC.items()
        for metric, value in (("plcc", plcc), ("srocc", plcc / 2), ("krocc", 0.1), ("rmse", 0.05))
    ]
    table = pd.DataFrame(rows).assign(dataset=dataset, split=split, target=target, part="test")
    table = table.assign(n=20, undefined=0, seeds=3, contents=5)
    undefined = (table["model"] == "ridge") & (table["metric"] == "plcc")
    return table.assign(**{c: table[c].mask(undefined) for c in ("mean", "low", "high")})


def one(table, model, metric="plcc"):
    (row,) = table[(table["model"] == model) & (table["metric"] == metric)].to_dict("records")
    return row


@pytest.fixture
def table():
    return peer_table.peer_table(results())


def test_columns_are_those_of_the_contract(table):
    assert list(table.columns) == peer_table.COLUMNS


def test_every_model_and_metric_has_one_row(table):
    assert not table.duplicated(["dataset", "split", "target", "model", "metric"]).any()
    assert set(table["metric"]) == {"plcc", "srocc", "rmse"}


def test_our_rows_come_first_in_their_order_then_those_that_papers_alone_have(table):
    models = list(table["model"].unique())
    assert models[:3] == list(PLCC)
    assert "NLSS-QoE" in models[3:]
    assert "LSTM-QoE" not in models


def test_a_reported_number_stands_beside_what_it_re_implements(table):
    row = one(table, "lstm_qoe", "rmse")
    assert (row["mean"], row["reported"], row["mark"]) == (0.05, pytest.approx(0.0956), "R")
    assert row["reported_model"] == "LSTM-QoE"


def test_a_row_of_another_name_has_the_number_of_what_it_follows():
    table = peer_table.peer_table(results().replace({"model": {"ridge": "tcn"}}))
    assert one(table, "tcn")["reported"] == 0.82
    assert "CNN-QoE" not in set(table["model"])


def test_a_model_that_papers_alone_have_has_only_the_reported_number(table):
    row = one(table, "NLSS-QoE")
    assert row["reported"] == 0.767
    assert np.isnan([row[name] for name in ("mean", "low", "high", "n", "seeds")]).all()
    assert (row["dataset"], row["split"], row["target"]) == ("lfovia", "released", "continuous")


def test_a_row_that_no_paper_reports_has_no_words_on_protocol(table):
    row = one(table, "ridge")
    assert np.isnan(row["reported"])
    assert {row[name] for name in peer_table.REPORTED} == {""}


@pytest.mark.parametrize(
    ("dataset", "split", "model", "protocol"),
    [
        ("lfovia", "released", "lstm_qoe", "same protocol"),
        ("lfovia", "leave-content-out", "lstm_qoe", "other protocol"),
        ("lfovia", "released", "CNN-QoE (authors' grid)", "other protocol"),  # by its note
        ("live_nflx2", "leave-content-out", OURS, "other protocol"),  # unstated
        ("live_nflx2", "released", OURS, "other protocol"),
    ],
)
def test_the_protocol_is_another_unless_split_and_aggregation_are_known_to_agree(
    dataset, split, model, protocol
):
    table = peer_table.peer_table(results(dataset, split))
    assert one(table, model)["protocol"] == protocol


def test_reported_numbers_of_another_target_are_not_shown():
    assert peer_table.peer_table(results(target="overall"))["reported"].isna().all()


def test_a_wide_table_names_the_split_beside_every_number(table):
    other = peer_table.peer_table(results("simulated", "leave-content-out"))
    wide = peer_table.wide(pd.concat([table, other]), "continuous")
    here, there = "lfovia, released", "simulated, leave-content-out"
    titles = ["PLCC", "SROCC", "RMSE x100"]
    assert list(wide.columns) == [
        *(f"{here}: {title}" for title in [*titles, "reported"]),
        *(f"{there}: {title}" for title in titles),
    ]


def test_cells_are_means_with_intervals_and_reported_ones_with_mark_and_protocol(table):
    wide = peer_table.wide(table, "continuous")
    assert wide.loc["lstm_qoe"].to_list() == [
        "0.800 [0.400, 1.600]",
        "0.400 [0.200, 0.800]",
        "5.00 [2.50, 10.00]",
        "0.800 / 0.730 / 9.56 (R, same protocol)",
    ]
    assert wide.loc["ridge"].to_list()[::3] == ["undefined", ""]
    assert wide.loc["NLSS-QoE"].to_list()[:3] == [""] * 3


def test_what_a_paper_does_not_say_is_a_dash():
    table = peer_table.peer_table(results("p1203", "leave-content-out", "overall"))
    cell = peer_table.wide(table, "overall").loc["P.1203 mode 3, pc"].iloc[-1]
    assert cell == "0.926 / 0.908 / - (P, other protocol)"


def test_the_caption_counts_sessions_contents_and_seeds_of_every_data_set(table):
    assert peer_table.caption(table, "continuous").startswith(
        "continuous QoE, test part, mean [95 % interval over contents]; "
        "lfovia, released: 20 sessions of 5 contents, up to 3 seeds; reported as "
    )


def test_models_of_a_variant_are_those_of_its_results_table(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    (tmp_path / "03_results--tiny--strict.yaml").write_text("models: [ridge, gru]\n")
    assert peer_table.variant_models("tiny--strict") == ["ridge", "gru"]
    assert peer_table.names("tiny--content-and-pattern-out") == ("tiny", "content-and-pattern-out")


def test_a_variant_without_params_is_refused(tmp_path, monkeypatch, refuses):
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    (tmp_path / "03_results--tiny--strict.yaml").write_text("models: []\n")
    with refuses("variant is 'tiny', expected one of ['tiny--strict']; a misspelling?"):
        peer_table.variant_models("tiny")


def scores(model, values):
    """Scores of one metric by session, over two seeds that differ by 0.2."""
    rows = [
        {"session": session, "content": session[0], "seed": seed, "value": value + 0.2 * seed}
        for session, value in values.items()
        for seed in (0, 1)
    ]
    fixed = {"model": model, "metric": "plcc", "part": "test", "from_second": 0}
    found = pd.DataFrame(rows).assign(**fixed)
    elsewhere = [found.assign(part="train", value=9.0), found.assign(from_second=10, value=9.0)]
    texts = ["model", "metric", "session", "content", "part"]
    return pd.concat([found, *elsewhere]).astype(dict.fromkeys(texts, "category"))


@pytest.fixture
def finished(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    values = {"ridge": {"a1": 0.1, "a2": 0.3, "b1": 0.5}, "gru": {"a1": 0.2, "a2": 0.4, "b1": 0.6}}
    tables = {model: scores(model, of_model) for model, of_model in values.items()}
    undefined = (tables["gru"]["session"] == "a1") & (tables["gru"]["seed"] == 1)
    tables["gru"].loc[undefined, "value"] = np.nan
    tables["blind"] = tables["gru"][:0].astype(object)
    for model, table in tables.items():
        folder = runs.run_folder("chapter", "tiny", "strict", model)
        folder.mkdir(parents=True)
        table.to_parquet(folder / "scores.parquet")


@pytest.mark.usefixtures("finished")
def test_a_content_is_the_mean_over_its_sessions_and_seeds():
    table = peer_table.per_content("chapter", "tiny--strict", ["ridge", "gru"])
    assert list(table.columns) == peer_table.CONTENT_COLUMNS
    assert list(table["model"]) == ["ridge", "ridge", "gru", "gru"]
    assert list(table["content"]) == ["a", "b"] * 2
    assert list(table["mean"]) == pytest.approx([0.3, 0.6, 0.5, 0.7])


@pytest.mark.usefixtures("finished")
def test_a_session_that_one_seed_leaves_undefined_is_left_out_and_counted():
    table = peer_table.per_content("chapter", "tiny--strict", ["gru"])
    assert list(table["n"]) == [2, 1]
    assert list(table["undefined"]) == [1, 0]
    assert list(table["seeds"]) == [2, 2]


@pytest.mark.usefixtures("finished")
def test_contents_without_continuous_scores_are_refused(refuses):
    with refuses(
        "tiny--strict: none of ['blind'] was scored second by second, expected continuous QoE; "
        "has the data set overall scores only?"
    ):
        peer_table.per_content("chapter", "tiny--strict", ["blind"])
