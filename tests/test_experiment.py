"""Experiments: what is computed again and what is not, and what they leave behind."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from qoe_core import experiment, parallel, runs
from qoe_core.experiment import Experiment, plan
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig
from qoe_core.splits import SPLITS
from qoe_core.train_config import TrainConfig

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))


def asked(name="ridge", n_epochs=2, split="leave-content-out", seeds=(0,), scaling="train"):
    training = TrainConfig(n_epochs=n_epochs, batch_size=8, device="cpu")
    model = ModelConfig(name=name, inputs=INPUTS, hidden=4, training=training)
    return Experiment(dataset="tiny", split=split, model=model, seeds=seeds, scaling=scaling)


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs")
    return tmp_path / "runs"


@pytest.fixture
def few(make_session):
    """Three contents times four patterns."""
    return [make_session(c, p, seconds=12 + (c + p) % 6) for c in range(3) for p in range(4)]


def run(request, sessions, workers=1):
    """The folder and the record of a run."""
    folder = experiment.run(request, sessions, workers=workers)
    return folder, json.loads((folder / "run.json").read_text())


def written(folder):
    files = [path for path in (folder / "units").rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in files}


@pytest.mark.parametrize("name", ["ridge", "gru"])
def test_a_finished_unit_is_not_computed_again(few, name):
    folder, first = run(asked(name), few)
    before = written(folder)
    _, second = run(asked(name), few)
    assert (first["computed"], second["computed"]) == (3, 0)
    assert written(folder) == before


def test_a_second_run_gives_the_same_tables(few):
    tables = []
    for _ in range(2):
        folder, _ = run(asked("gru"), few)
        tables.append([path.read_bytes() for path in sorted(folder.glob("*.parquet"))])
    assert tables[0] == tables[1]


@pytest.mark.parametrize(("name", "computed"), [("gru", 3), ("ridge", 0), ("constant", 0)])
def test_another_number_of_epochs_computes_only_networks_again(few, name, computed):
    run(asked(name, n_epochs=1), few)
    assert run(asked(name, n_epochs=2), few)[1]["computed"] == computed


def test_a_changed_session_computes_the_folds_that_see_it_again(few):
    run(asked("ridge"), few)
    few[0] = dataclasses.replace(few[0], rated=few[0].rated * 0.5)
    assert run(asked("ridge"), few)[1]["computed"] == 3


def test_a_unit_without_its_last_table_is_computed_again(few):
    folder, _ = run(asked("ridge"), few)
    next((folder / "units").glob("*/scores.parquet")).unlink()
    assert run(asked("ridge"), few)[1]["computed"] == 1


def test_two_workers_give_the_bytes_that_one_gives(few, runs_folder, monkeypatch):
    monkeypatch.setattr(parallel, "POOL_START_S", 0.0)
    tables = {}
    for workers in (1, 2):
        monkeypatch.setattr(runs, "RUNS", runs_folder / str(workers))
        folder, _ = run(asked("gru"), few, workers=workers)
        tables[workers] = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    assert tables[1] == tables[2]


def test_the_tables_hold_every_fold_and_seed(few):
    folder, _ = run(asked("gru", n_epochs=1, seeds=(0, 7)), few)
    scores = pd.read_parquet(folder / "scores.parquet")
    found = set(zip(scores["fold"], scores["seed"], strict=True))
    assert found == {(f"content_{c}", seed) for c in range(3) for seed in (0, 7)}


def test_a_model_without_randomness_has_one_seed(few):
    assert {unit.seed for unit in plan(asked("ridge", seeds=(4, 5)), few)} == {4}


def test_every_model_is_tested_on_every_random_draw(sessions):
    """Otherwise rows of one table would be tested on different sessions."""
    drawn = [
        [frozenset(unit.split.test) for unit in plan(request, sessions)]
        for request in (
            asked(name, split="random-by-video", seeds=(0, 1, 2)) for name in ("ridge", "gru")
        )
    ]
    assert drawn[0] == drawn[1]


def test_another_seed_gives_other_predictions(few):
    folder, _ = run(asked("gru", seeds=(0, 1)), few)
    table = pd.read_parquet(folder / "predictions.parquet").sort_values(["session", "second"])
    first, second = (table.loc[table["seed"] == s, "predicted"].to_numpy() for s in (0, 1))
    assert not np.array_equal(first, second)


def test_the_record_says_what_was_asked_and_found(few):
    _, record = run(asked("gru", seeds=(0, 1)), few)
    assert set(record) == {
        *("experiment", "units", "computed", "commit", "python", "packages", "device"),
        *("files", "sessions", "seconds", "peak_memory_mb", "device_memory_mb"),
    }
    assert record["experiment"]["model"]["training"]["n_epochs"] == 2


def test_a_finished_experiment_is_found_as_it_was_run(few):
    request = asked("gru", seeds=(0, 1))
    folder, _ = run(request, few)
    assert experiment.finished(request) == folder


@pytest.mark.parametrize(
    ("change", "unlike"),
    [
        ({"n_epochs": 3}, {"model.training.n_epochs": (2, 3)}),
        ({"seeds": (0,)}, {"seeds": ([0, 1], [0])}),
        ({"scaling": "whole-dataset"}, {"scaling": ("train", "whole-dataset")}),
    ],
)
def test_an_experiment_that_was_run_otherwise_is_refused(few, refuses, change, unlike):
    request = {"name": "gru", "seeds": (0, 1)}
    folder, _ = run(asked(**request), few)
    with refuses(f"{folder / 'run.json'}: was run otherwise, {unlike} (found, expected)"):
        experiment.finished(asked(**(request | change)))


def test_an_experiment_that_has_not_been_run_is_refused(refuses):
    request = asked()
    message = f"{request.folder / 'run.json'}: no such file; {request.name} has not been run"
    with refuses(message):
        experiment.finished(request)


def test_the_record_leads_to_the_folder_of_every_unit(few):
    folder, record = run(asked("ridge"), few)
    assert set(record["units"].values()) == {path.name for path in (folder / "units").iterdir()}


def test_sessions_without_overall_scores_leave_an_empty_overall_table(make_session):
    few = [make_session(c, p, overall=None, overall_ci=None) for c in range(3) for p in range(2)]
    assert pd.read_parquet(run(asked("gru"), few)[0] / "overall.parquet").empty


def test_sessions_without_continuous_ratings_leave_an_empty_predictions_table(make_session):
    few = [make_session(c, p, rated=None, rated_ci=None) for c in range(3) for p in range(2)]
    folder, _ = run(asked("gru"), few)
    assert pd.read_parquet(folder / "predictions.parquet").empty
    assert not pd.read_parquet(folder / "overall.parquet").empty


@pytest.fixture
def flat(make_session):
    """Two contents whose every rating is 50 and one that varies: only its fold cannot train."""
    same = {"rated": np.full(14, 50.0), "rated_ci": None, "overall": None, "overall_ci": None}
    varied = {"rated_ci": None, "overall": None, "overall_ci": None}
    return [make_session(0, 0, **same), make_session(1, 0, **same), make_session(2, 0, **varied)]


def test_a_unit_that_fails_names_itself_and_why(flat, refuses):
    with refuses(
        "1 of 3 failed: ridge, fold content_2, seed 0: all 28 training ratings are 50.0, expected "
        "a range; is the training part a single session?",
        RuntimeError,
    ):
        experiment.run(asked("ridge"), flat, workers=1)


def test_units_that_did_not_fail_are_kept(flat):
    with pytest.raises(RuntimeError, match="1 of 3 failed"):
        experiment.run(asked("ridge"), flat, workers=1)
    kept = [(unit.folder / "scores.parquet").exists() for unit in plan(asked("ridge"), flat)]
    assert kept == [True, True, False]


def test_a_metric_that_was_not_released_is_refused_before_training(few, make_session, runs_folder):
    few[-1] = dataclasses.replace(few[-1], quality={"ssim": np.ones(few[-1].n_seconds)})
    with pytest.raises(ValueError, match=r"tiny/content_2_pattern_3 has no quality \['vmaf'\]"):
        experiment.run(asked("ridge"), few, workers=1)
    assert not runs_folder.exists()


@pytest.mark.parametrize("field", ["rated", "overall"])
def test_a_label_that_some_sessions_lack_is_refused_before_training(few, runs_folder, field):
    few[0] = dataclasses.replace(few[0], **{field: None, f"{field}_ci": None})
    with pytest.raises(ValueError, match=f"11 of 12 training sessions of tiny have {field}"):
        experiment.run(asked("ridge"), few, workers=1)
    assert not runs_folder.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "luck"}, f"split is 'luck', expected one of {list(SPLITS)}"),
        ({"scaling": "test"}, "scaling is 'test', expected 'train' or 'whole-dataset'"),
        ({"seeds": ()}, "seeds are (), expected at least one, each once, from 0 on"),
        ({"seeds": (-1,)}, "seeds are (-1,), expected at least one, each once, from 0 on"),
        ({"seeds": (1, 1)}, "seeds are (1, 1), expected at least one, each once, from 0 on"),
    ],
)
def test_what_nothing_answers_to_is_refused(refuses, changes, message):
    with refuses(message):
        asked(**changes)
