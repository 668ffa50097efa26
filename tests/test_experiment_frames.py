"""Experiments whose models see the frames of the sessions' videos."""

import json

import numpy as np
import pandas as pd
import pytest

from qoe_core import experiment, paths, runs
from qoe_core.experiment import Experiment, plan
from qoe_core.extraction import VideoConfig, opened
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig
from qoe_core.motion import MotionConfig
from qoe_core.train_config import TrainConfig
from tests.clips import film

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))
VIDEO = VideoConfig(backbone=None, motion=MotionConfig(samples=2), motion_size=(18, 32))
ROWS = ["ridge-frames", "gru-frames"]


def asked(name, video=VIDEO, scaling="train"):
    training = TrainConfig(n_epochs=2, batch_size=2, device="cpu")
    model = ModelConfig(name=name, inputs=INPUTS, video=video, hidden=4, training=training)
    return Experiment(
        dataset="tiny", split="leave-content-out", model=model, seeds=(0,), scaling=scaling
    )


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")
    return tmp_path / "runs"


@pytest.fixture
def filmed(tmp_path, make_session):
    """Four sessions of 5 to 8 s, each of a content of its own, with videos."""
    return [
        make_session(
            n, 0, seconds=5 + n, stalls=np.empty((0, 2)),
            video=film(tmp_path / f"{n}.mp4", 5 + n, seed=n),
        )
        for n in range(4)
    ]  # fmt: skip


def run(request, sessions):
    """The folder and the record of a run."""
    folder = experiment.run(request, sessions, workers=1)
    return folder, json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize("name", ROWS)
def test_every_session_gets_finite_predictions(filmed, name):
    folder, _ = run(asked(name), filmed)
    tested = pd.read_parquet(folder / "predictions.parquet").query("part == 'test'")
    assert tested.groupby("session", observed=True).size().to_dict() == {
        session.name: session.n_seconds for session in filmed
    }
    assert np.isfinite(tested["predicted"]).all()
    overall = pd.read_parquet(folder / "overall.parquet")
    assert np.isfinite(overall["predicted"]).all()


@pytest.mark.parametrize("name", ROWS)
def test_a_second_run_computes_nothing(filmed, name):
    counters = []
    records = []
    for _ in range(2):
        records.append(run(asked(name), filmed)[1])
        stores = [opened(paths.STORE, memory) for memory in (0, 1_000_000_000)]
        counters.append([store.counters["computed"] for store in stores])
    assert [record["computed"] for record in records] == [4, 0]
    assert counters[0] == counters[1] == [4, 0]


@pytest.mark.parametrize(("name", "same"), [("ridge", True), ("ridge-frames", False)])
def test_a_changed_video_matters_to_a_row_that_sees_it(filmed, name, same):
    before = {unit.folder for unit in plan(asked(name), filmed)}
    film(filmed[0].video, 5, seed=9)
    after = {unit.folder for unit in plan(asked(name), filmed)}
    assert len(before & after) == (4 if same else 0)


def test_another_look_at_the_frames_gives_other_units(filmed):
    other = VideoConfig(backbone=None, motion=MotionConfig(samples=3), motion_size=(18, 32))
    first, second = (plan(asked("ridge-frames", video), filmed) for video in (VIDEO, other))
    assert not {unit.folder for unit in first} & {unit.folder for unit in second}


def test_whole_dataset_scaling_spans_the_frame_features_of_all_sessions(filmed):
    units = plan(asked("ridge-frames", scaling="whole-dataset"), filmed)
    assert {len(unit.scaling.low) for unit in units} == {2 + 9}


def test_a_session_without_video_is_refused_before_training(
    filmed, make_session, runs_folder, refuses
):
    with refuses("tiny/content_5_pattern_0 has no video, so there is nothing to extract"):
        run(asked("gru-frames"), [*filmed, make_session(5, 0)])
    assert not runs_folder.exists()


def test_a_damaged_video_is_named_before_training(filmed, runs_folder):
    filmed[1].video.write_bytes(b"not a video")
    with pytest.raises(RuntimeError, match=r"1 of 4 failed: tiny/content_1_pattern_0: .*1\.mp4"):
        run(asked("gru-frames"), filmed)
    assert not runs_folder.exists()
