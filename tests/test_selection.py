"""What the explorer may choose from, on experiments that were really run."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import yaml

from qoe_core import library, paths, runs, selection
from qoe_core.selection import Chapter, Selection, finished
from tests.explored import NAMES, SESSIONS, WHERE, run_all


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return run_all(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def _runs(root, monkeypatch):
    for module in (runs, paths):
        monkeypatch.setattr(module, "RUNS", root)
    monkeypatch.setattr(library, "sessions", lambda dataset: list(SESSIONS))


@pytest.fixture
def chapter():
    return Chapter(**WHERE)


def asked(**fields):
    defaults = {"models": (), "network": "", "session": ""}
    return Selection(**WHERE, **(defaults | fields))


def test_finished_runs_are_found_by_data_set_and_split():
    rows = ["dual_attention", "gru", "gru-ensemble", "ridge"]
    assert finished("chapter") == {"tiny": {"leave-content-out": rows}}
    assert finished("another") == {}


def test_networks_are_the_rows_that_can_be_looked_into(chapter):
    assert chapter.networks == ["dual_attention", "gru"]


def test_a_chapter_without_a_run_is_refused(root, refuses):
    with refuses(
        f"{root}/chapter/tiny--strict: no finished run, expected some model's; `make results` "
        "runs them"
    ):
        Chapter(**(WHERE | {"split": "strict"}))


def test_a_selection_without_names_gets_the_first_ones(chapter):
    found = chapter.completed(asked())
    assert (found.session, found.models, found.network) == (NAMES[0], tuple(chapter.models), "")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"session": "nobody"}, f"session is ['nobody'], expected some of {NAMES}"),
        (
            {"models": ("gru", "tcn")},
            "models is ['tcn'], expected some of ['dual_attention', 'gru', 'gru-ensemble', "
            "'ridge']",
        ),
        ({"network": "ridge"}, "network is ['ridge'], expected some of ['dual_attention', 'gru']"),
        ({"second": 12}, "second is [12], expected some 0 to 11"),
    ],
)
def test_what_is_not_there_is_refused_by_name(chapter, refuses, fields, said):
    with refuses(
        f"tiny, leave-content-out: {said}; was it run, or is it that of another data set?"
    ):
        chapter.completed(asked(**fields))


def test_the_nearest_selection_keeps_what_the_chapter_has(chapter):
    before = asked(session="nobody", models=("tcn", "gru"), network="tcn", second=5)
    found = chapter.nearest(dataclasses.replace(before, dataset="other", split="strict"))
    assert found == asked(session=NAMES[0], models=("gru",))


def test_a_selection_comes_back_from_its_yaml():
    one = asked(models=("gru", "ridge"), session=NAMES[1], second=3)
    fields = yaml.safe_load(one.as_yaml())
    assert Selection(**fields | {"models": tuple(fields["models"])}) == one


def test_errors_are_those_of_the_test_sessions(chapter, root):
    table = chapter.errors
    row = table[(table["session"] == NAMES[2]) & (table["model"] == "ridge")].iloc[0]
    said = pd.read_parquet(root / "chapter/tiny--leave-content-out/ridge/predictions.parquet")
    said = said[(said["session"] == NAMES[2]) & (said["part"] == "test")]
    assert row["rmse"] == pytest.approx(np.sqrt(((said["predicted"] - said["rated"]) ** 2).mean()))
    assert row["stalled_s"] == SESSIONS[2].stalls[:, 1].sum()
    assert set(table["session"]) == set(NAMES)


def test_a_trace_has_what_each_model_said(chapter):
    found = chapter.trace(NAMES[0], ["gru", "ridge"])
    assert list(found.predicted) == ["gru", "ridge"]
    assert len(found.rated) == SESSIONS[0].n_seconds


def test_a_model_that_was_not_run_is_refused(chapter, root, refuses):
    path = root / "chapter/tiny--leave-content-out/tcn/predictions.parquet"
    with refuses(f"{path}: no such table; `make results` writes it"):
        chapter.trace(NAMES[0], ["tcn"])


@pytest.fixture
def copied(root, tmp_path, monkeypatch):
    """A folder with the GRU's run, to be spoilt."""
    here = tmp_path / "chapter/tiny--leave-content-out/gru"
    here.mkdir(parents=True)
    for name in ("predictions.parquet", "run.json"):
        source = root / "chapter/tiny--leave-content-out/gru" / name
        (here / name).write_bytes(source.read_bytes())
    for module in (runs, paths):
        monkeypatch.setattr(module, "RUNS", tmp_path)
    return here


@pytest.mark.parametrize("column", ["dataset", "split"])
def test_a_table_of_something_else_is_refused(copied, refuses, column):
    path = copied / "predictions.parquet"
    pd.read_parquet(path).assign(**{column: "other"}).to_parquet(path)
    expected = WHERE[column]
    with refuses(f"{path}: {column} is ['other'], expected {expected!r}; was the folder renamed?"):
        Chapter(**WHERE).trace(NAMES[0], ["gru"])


def test_predictions_of_another_version_of_the_session_are_refused(copied, monkeypatch, refuses):
    other = dataclasses.replace(SESSIONS[0], rated=SESSIONS[0].rated * 0.5, rated_ci=None)
    monkeypatch.setattr(selection.library, "sessions", lambda dataset: [other, *SESSIONS[1:]])
    with refuses(
        f"{copied / 'predictions.parquet'}: made from another version of {NAMES[0]!r} than the "
        "one that was read now; have the data or their reader changed since? `make results` runs "
        "it again"
    ):
        Chapter(**WHERE).trace(NAMES[0], ["gru"])


def test_models_of_different_commits_are_told_apart(chapter, root, monkeypatch, tmp_path):
    assert chapter.notice(["gru", "ridge"]) == ""
    for model, commit in (("gru", "a" * 40), ("ridge", "b" * 40)):
        folder = tmp_path / "chapter/tiny--leave-content-out" / model
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps({"commit": commit}))
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    assert chapter.notice(["gru", "ridge"]) == (
        "these predictions were made by different versions of the code: gru at aaaaaaaaaaaa, "
        "ridge at bbbbbbbbbbbb"
    )
