"""Whose extremes span the scales of inputs and ratings: the training sessions, if not all."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from qoe_core import experiment, runs
from qoe_core.experiment import Experiment, plan
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig
from qoe_core.train_config import TrainConfig

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))


def asked(name="ridge", split="leave-content-out", scaling="train"):
    training = TrainConfig(n_epochs=2, batch_size=8, device="cpu")
    model = ModelConfig(name=name, inputs=INPUTS, hidden=4, training=training)
    return Experiment(dataset="tiny", split=split, model=model, seeds=(0,), scaling=scaling)


def predictions(request, sessions):
    """The predictions table of an experiment, by fold, session and second."""
    folder = experiment.run(request, sessions, workers=1)
    table = pd.read_parquet(folder / "predictions.parquet")
    return table.set_index(["fold", "session", "second"]).sort_index()


@pytest.fixture(autouse=True)
def _runs_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path)


@pytest.fixture
def few(make_session):
    """Three contents times four patterns."""
    return [make_session(c, p, seconds=12 + (c + p) % 6) for c in range(3) for p in range(4)]


@pytest.mark.parametrize("name", ["ridge", "gru"])
def test_defect_6_test_sessions_do_not_move_what_is_predicted_for_the_others(few, name):
    before = predictions(asked(name), few).loc["content_0"]
    changed = [
        dataclasses.replace(
            session, quality={"vmaf": session.quality["vmaf"] * 9}, rated=session.rated * 0.1
        )
        if session.content == "content_0"
        else session
        for session in few
    ]
    after = predictions(asked(name), changed).loc["content_0"]
    columns = ["predicted", "rated"]
    train = before["part"] != "test"
    pd.testing.assert_frame_equal(after.loc[train, columns], before.loc[train, columns])


def test_whole_dataset_inputs_are_scaled_by_the_extremes_of_all_sessions(few):
    vmaf = np.concatenate([session.quality["vmaf"] for session in few])
    for unit in plan(asked(scaling="whole-dataset"), few):
        assert (unit.scaling.low[2], unit.scaling.high[2]) == (vmaf.min(), vmaf.max())


def test_whole_dataset_labels_stay_between_0_and_1(few):
    rated = predictions(asked(scaling="whole-dataset"), few)["rated"]
    assert (rated.min(), rated.max()) == (0, 1)


def test_training_labels_let_test_ratings_leave_0_to_1(few):
    rated = predictions(asked(), few)["rated"]
    assert rated.min() < 0 or rated.max() > 1


def test_whole_dataset_units_depend_on_sessions_outside_their_fold(sessions):
    """In the strict split a fold leaves sessions out, but they still span the scale."""
    before = plan(asked(split="strict", scaling="whole-dataset"), sessions)
    sessions[0] = dataclasses.replace(sessions[0], rated=sessions[0].rated * 0.5)
    after = plan(asked(split="strict", scaling="whole-dataset"), sessions)
    assert not {unit.folder for unit in before} & {unit.folder for unit in after}


def test_all_models_of_a_fold_are_rated_on_one_scale(few):
    """A network keeps sessions for validation that ridge trains on."""
    ridge, gru = (predictions(asked(name), few)["rated"] for name in ("ridge", "gru"))
    pd.testing.assert_series_equal(ridge, gru)


def test_whole_dataset_scaling_gives_other_predictions(few):
    scaled = [predictions(asked(scaling=s), few)["predicted"] for s in ("train", "whole-dataset")]
    assert not scaled[0].equals(scaled[1])
