"""Nine defects of an earlier implementation of this network, none of which may come back."""

import dataclasses
import json
import random
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import savemat

from qoe_core import experiment, runs, tables
from qoe_core.batches import collate
from qoe_core.datasets import live_nflx2
from qoe_core.experiment import Experiment
from qoe_core.inputs import FeatureConfig, features
from qoe_core.losses import LossConfig, total
from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.models.network import Network
from qoe_core.models.table_rows import ModelConfig
from qoe_core.qos import LabelScale, Scaling
from qoe_core.split import Split
from qoe_core.splits import folds
from qoe_core.train_config import TrainConfig

INPUTS = FeatureConfig(qos=("indicator", "recency", "representation", "switch"), quality=("vmaf",))
SMALL = DualAttentionConfig(width=12, video_convolutions=1, qos_convolutions=1, qos_layers=1)


def fitted(train, scaling=None, **changes):
    """The network after one epoch."""
    training = TrainConfig(**{"n_epochs": 1, "device": "cpu", **changes})
    make = partial(DualAttention, config=SMALL)
    return Network(make=make, inputs=INPUTS, training=training, scaling=scaling).fit(train, [], 0)


def reseed(seed):
    """Set every global generator."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the generator that code without a seed of its own uses
    torch.manual_seed(seed)


def asked(name="constant", split="leave-content-out", scaling="train"):
    model = ModelConfig(name=name, inputs=INPUTS)
    return Experiment(
        dataset="tiny", split=split, model=model, study="chapter", seeds=(3,), scaling=scaling
    )


@pytest.fixture
def few(make_session):
    """Three contents times two patterns."""
    return [make_session(content, pattern) for content in range(3) for pattern in range(2)]


@pytest.fixture(autouse=True)
def _runs_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path)


def test_the_overall_head_trains_with_one_session_a_batch(make_session):
    module = DualAttention(4, 1, SMALL)
    session = make_session()
    batch = collate(fitted([make_session(1), session]).examples([session]))
    terms = total(*module(batch.inputs, batch.valid), batch.rated, batch.overall, LossConfig())
    terms["overall"].backward()
    assert terms["loss"].isfinite()
    assert terms["overall"] > 0
    gradients = [parameter.grad for parameter in module.overall.parameters()]
    assert all(gradient.isfinite().all() and gradient.any() for gradient in gradients)


def test_batches_of_one_session_move_the_overall_score(make_session):
    """With a weight of 0 for it they do not, so it is the overall loss that moves it."""
    train = [make_session(content) for content in range(3)]
    moved = []
    for weight in (0.0, 1.0):
        loss = LossConfig(overall=weight)
        module = fitted(train, batch_size=1, weight_decay=0.0, loss=loss).module
        torch.manual_seed(0)
        start = DualAttention(4, 1, SMALL).overall.head.weight
        moved.append((module.overall.head.weight - start).abs().max().item())
    assert moved[0] == 0
    assert moved[1] > 1e-3


def test_the_split_is_seeded_and_not_redrawn(sessions):
    """Whatever the global generators are, and the same again in the tables of the evaluation."""
    drawn = []
    for state in (1, 2):
        reseed(state)
        (split,) = folds("random-by-video", sessions, seed=3)
        drawn.append({part: [s.name for s in members] for part, members in split.parts.items()})
    assert drawn[0] == drawn[1]
    reseed(4)
    folder = experiment.run(asked("ridge", "random-by-video"), sessions, workers=1)
    overall = pd.read_parquet(folder / "overall.parquet")
    test = set(overall.loc[overall["part"] == "test", "session"])
    train = set(overall.loc[overall["part"] != "test", "session"])
    assert test == set(drawn[0]["test"])
    assert not test & train


def test_the_split_is_by_content_and_not_by_video(sessions, refuses):
    for split in folds("leave-content-out", sessions, seed=0):
        held = {session.content for session in split.test}
        assert not held & {session.content for session in (*split.train, *split.validation)}
    with refuses(
        "split leave-content-out, fold a: content of test sessions ['content_0_pattern_1'] is also "
        "in training, expected every content on one side only"
    ):
        Split(
            name="leave-content-out",
            fold="a",
            train=(sessions[0],),
            validation=(),
            test=(sessions[1],),
            apart=("content",),
        )


def test_recency_is_scaled_to_0_and_1_like_every_other_feature(make_session):
    """(x - min) / (max - min), and not x - min / (max - min)."""
    train = [make_session(content, 1, seconds=20) for content in range(3)]
    found = fitted(train).examples(train)[0].inputs[:, INPUTS.qos.index("recency")]
    seconds = np.array([*range(1, 6), 0, 0, 0.5, *np.arange(1.5, 13)])  # a stall from 5 to 7.5 s
    np.testing.assert_allclose(found, seconds / 12.5, rtol=0, atol=1e-6)


def test_down_switches_are_kept(make_session):
    bitrate = np.array([1000.0, 100.0, 100.0, 1000.0, 10.0])
    session = make_session(seconds=5, bitrate_kbps=bitrate)
    column = INPUTS.qos.index("switch")
    raw = features(session, INPUTS)
    np.testing.assert_allclose(raw[:, column], [0, -1, 0, 1, -2], rtol=0, atol=1e-12)
    scaled = Scaling.fit([raw])(raw)[:, column]
    np.testing.assert_allclose(scaled, [2 / 3, 1 / 3, 2 / 3, 1, 0], rtol=0, atol=1e-12)


def test_extremes_are_those_of_the_training_sessions(make_session):
    train = [make_session(content) for content in range(3)]
    model = fitted(train)
    expected = Scaling.fit(features(session, INPUTS) for session in train)
    assert (model.scaling.low.tolist(), model.scaling.high.tolist()) == (
        expected.low.tolist(),
        expected.high.tolist(),
    )
    assert model.continuous == LabelScale.fit([session.rated for session in train])


@pytest.mark.parametrize(("scaling", "lowest"), [("train", -1), ("whole-dataset", 0)])
def test_test_sessions_span_the_scale_only_where_the_record_says_so(few, scaling, lowest):
    """The lowest rating of all is in the test part of its fold, the others go from 50 to 90."""
    ratings = [
        np.linspace(10 if n == 0 else 50, 90, session.n_seconds) for n, session in enumerate(few)
    ]
    rated = [
        dataclasses.replace(session, rated=rating, rated_ci=None)
        for session, rating in zip(few, ratings, strict=True)
    ]
    folder = experiment.run(asked(scaling=scaling), rated, workers=1)
    record = json.loads((folder / "run.json").read_text())
    table = pd.read_parquet(folder / "predictions.parquet")
    fold = table[table["fold"] == "content_0"]
    assert record["experiment"]["scaling"] == scaling
    assert (fold["rated"].min(), fold["rated"].max()) == (lowest, 1)


@pytest.mark.parametrize("fps", [24.0, 23.976, 29.97])
def test_there_is_a_label_every_second_and_none_is_dropped(tmp_path, fps):
    """Every ceil(fps)-th of 20.5 s of labels would drift away from the wall clock and end early."""
    n_frames = round(20.5 * fps)
    at_s = (np.arange(n_frames) + 0.5) / fps
    path = tmp_path / "Clip_Algorithm_Trace_0.mat"
    savemat(
        path,
        {
            **{"content_name": "Clip", "adaptation_algorithm": "Algorithm", "frame_rate": fps},
            **{"is_rebuffered_bool": np.zeros(n_frames), "playout_bitrate": np.full(n_frames, 9.0)},
            **{"N_total_frames": n_frames, "N_playback_frames": n_frames, "N_rebuffer_frames": 0},
            **{"video_duration_sec": n_frames / fps, "playback_duration_sec": n_frames / fps},
            **{"rebuffer_number": 0, "rebuffer_duration_sec": 0.0},
            **{"scene_cuts": np.empty((0, 0)), "per_segment_encoding_height": 720},
            **{field: np.full(n_frames, 0.5) for field, _, _ in live_nflx2.METRICS.values()},
            **{"continuous_zscored_mos": at_s / 10, "retrospective_zscored_mos": 0.3},
        },
    )
    session = live_nflx2.read_session(path)
    expected = [*np.arange(0.05, 2, 0.1), 2.025]  # mean of the times of each second, over 10
    # 2e-3: the frames of a second lie up to half a frame off its middle
    np.testing.assert_allclose(session.rated, expected, rtol=0, atol=2.2e-3)


def test_every_second_of_a_session_is_a_label_of_the_network(make_session):
    session = make_session(seconds=13)
    model = fitted([session, make_session(1)])
    expected = model.continuous.scale(session.rated)
    np.testing.assert_allclose(model.examples([session])[0].rated, expected, rtol=0, atol=1e-6)


def test_text_and_tables_have_the_numbers_of_one_results_file(sessions):
    folder = experiment.run(asked(), sessions, workers=1)
    table = pd.read_parquet(folder / "predictions.parquet").query("part == 'test'")
    error = (table["predicted"] - table["rated"]) ** 2
    rmse = 100 * (error.groupby(table["session"], observed=True).mean() ** 0.5).mean()
    found = tables.results("chapter", "tiny", "leave-content-out", ["constant"])
    shown = tables.wide(found, "continuous", "test")
    assert shown.loc["constant", "RMSE x100"].startswith(f"{rmse:.2f} [")
    assert f" & {rmse:.2f} [" in tables.as_latex(shown, "note")


def test_random_numbers_are_never_inputs(sessions):
    """Inputs and scores depend on the session only, the second time and with any global seed."""
    model = fitted(sessions[:4])
    inputs, scores = [], []
    for state in (1, 1, 2):
        reseed(state)
        inputs.append(model.examples([sessions[5]])[0].inputs)
        scores.append(model.predict(sessions[5]))
    assert all(again.equal(inputs[0]) for again in inputs)
    for again in scores[1:]:
        np.testing.assert_array_equal(again.continuous, scores[0].continuous)
        assert again.overall == scores[0].overall


def test_every_input_is_a_scaled_feature_of_the_session(sessions):
    model = fitted(sessions[:4])
    low, high = model.scaling.low, model.scaling.high
    expected = (features(sessions[5], INPUTS) - low) / np.where(high > low, high - low, np.inf)
    found = model.examples([sessions[5]])[0].inputs
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
