import json

import pandas as pd
import pytest

from qoe_core import runs

WHERE = ("chapter", "tiny", "strict")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder of runs."""
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    return tmp_path


def finished(model, table, commit="abc", units=()):
    """The folder of an experiment with one table, as `run` leaves it."""
    folder = runs.run_folder(*WHERE, model)
    folder.mkdir(parents=True)
    table.to_parquet(folder / "scores.parquet")
    record = {"commit": commit, "units": dict(units)}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def trained(folder, digest, rows):
    path = folder / "units" / digest / runs.HISTORY
    path.parent.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(path)


def test_an_experiment_has_a_folder_by_study_data_split_and_model(root):
    assert runs.run_folder(*WHERE, "gru") == root / "chapter" / "tiny--strict" / "gru"


@pytest.mark.usefixtures("root")
def test_tables_of_several_experiments_come_one_after_another():
    finished("gru", pd.DataFrame({"model": ["gru"] * 2, "value": [1.0, 2.0]}))
    finished("ridge", pd.DataFrame({"model": ["ridge"], "value": [3.0]}))
    found = runs.load(*WHERE, ["ridge", "gru"], "scores")
    assert found["model"].tolist() == ["ridge", "gru", "gru"]
    assert found.index.tolist() == [0, 1, 2]


def test_an_experiment_that_was_not_run_is_refused_with_how_to_run_it(root, refuses):
    finished("gru", pd.DataFrame({"value": [1.0]}))
    with refuses(
        f"{root}/chapter/tiny--strict/ridge/scores.parquet: no such table; `make results` writes "
        "it, or notebooks/02_train.ipynb with study='chapter', dataset='tiny', split='strict', "
        "model='ridge'"
    ):
        runs.load(*WHERE, ["gru", "ridge"], "scores")


@pytest.mark.usefixtures("root")
def test_an_exploration_is_not_read_as_the_chapter():
    finished("gru", pd.DataFrame({"value": [1.0]}))
    with pytest.raises(ValueError, match="no such table"):
        runs.load("explore", "tiny", "strict", ["gru"], "scores")


@pytest.mark.usefixtures("root")
def test_an_empty_table_does_not_change_the_types_of_the_others():
    finished("gru", pd.DataFrame({"seed": [1, 2]}))
    finished("ridge", pd.DataFrame({"seed": []}, dtype=object))
    assert runs.load(*WHERE, ["ridge", "gru"], "scores")["seed"].tolist() == [1, 2]
    assert runs.load(*WHERE, ["ridge", "gru"], "scores")["seed"].dtype == int


@pytest.mark.usefixtures("root")
def test_text_of_any_type_becomes_sorted_categories_of_all_tables():
    words = ["b", "c"]
    for model, kind in (("gru", "category"), ("rnn", "str"), ("ridge", "object")):
        finished(model, pd.DataFrame({"session": pd.Series(words, dtype=kind)}))
        words = ["a", "b"]
    found = runs.load(*WHERE, ["gru", "rnn", "ridge"], "scores")["session"]
    assert found.tolist() == ["b", "c", "a", "b", "a", "b"]
    assert found.cat.categories.tolist() == ["a", "b", "c"]


@pytest.mark.usefixtures("root")
def test_what_a_table_is_not_needed_for_is_left_in_the_file():
    table = pd.DataFrame({"part": ["test", "train"], "value": [1.0, 2.0], "fold": ["x", "y"]})
    finished("gru", table)
    finished("ridge", pd.DataFrame(columns=["part", "value"]))
    chosen = {"columns": ["value"], "filters": [("part", "in", ["test"])]}
    found = runs.load(*WHERE, ["ridge", "gru"], "scores", **chosen)
    assert found.to_dict("list") == {"value": [1.0]}


@pytest.mark.usefixtures("root")
def test_only_empty_tables_give_an_empty_one_with_their_columns():
    finished("gru", pd.DataFrame(columns=["seed", "value"]))
    found = runs.load(*WHERE, ["gru"], "scores")
    assert list(found.columns) == ["seed", "value"]
    assert found.empty


@pytest.mark.usefixtures("root")
def test_each_experiment_says_which_commit_ran_it():
    finished("gru", pd.DataFrame({"value": [1.0]}), commit="abc")
    finished("ridge", pd.DataFrame({"value": [1.0]}), commit="def+changes")
    assert runs.commits(*WHERE, ["ridge", "gru"]) == {"ridge": "def+changes", "gru": "abc"}


@pytest.mark.usefixtures("root")
def test_history_has_a_row_an_epoch_of_the_first_unit():
    units = {"b, seed 0": "d1", "a, seed 0": "d0"}
    folder = finished("gru", pd.DataFrame({"value": [1.0]}), units=units)
    trained(folder, "d0", [{"epoch": 1, "train/loss": 0.75}])
    trained(folder, "d1", [{"epoch": 1, "train/loss": 0.5}, {"epoch": 2, "train/loss": 0.25}])
    assert runs.history(folder).to_dict("list") == {"epoch": [1, 2], "train/loss": [0.5, 0.25]}


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("units", [{"a, seed 0": "d0"}, {}], ids=["no epochs", "ensemble"])
def test_a_model_that_was_not_trained_in_epochs_has_an_empty_history(units):
    folder = finished("ridge", pd.DataFrame({"value": [1.0]}), units=units)
    assert runs.history(folder).empty


@pytest.mark.usefixtures("root")
def test_tested_are_the_overall_scores_of_the_model_itself_where_there_are_any():
    folder = finished("gru", pd.DataFrame({"value": [1.0]}))
    overall = {"model": ["gru", "gru", "gru, trace mean"], "part": ["test", "train", "test"]}
    pd.DataFrame(overall | {"predicted": [1.0, 2.0, 3.0]}).to_parquet(folder / "overall.parquet")
    assert runs.tested(*WHERE, "gru")["predicted"].tolist() == [1.0]


@pytest.mark.usefixtures("root")
def test_tested_are_seconds_where_nobody_rated_the_whole():
    folder = finished("gru", pd.DataFrame({"value": [1.0]}))
    seconds = pd.DataFrame({"model": ["gru"] * 2, "part": ["train", "test"], "second": [0, 1]})
    seconds.to_parquet(folder / "predictions.parquet")
    seconds.iloc[:0].to_parquet(folder / "overall.parquet")
    assert runs.tested(*WHERE, "gru")["second"].tolist() == [1]
