"""A network on frame features: examples out of the store, and a fitted one on disk."""

import dataclasses

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from qoe_core import paths
from qoe_core.backbones import BackboneConfig
from qoe_core.batches import collate
from qoe_core.extraction import VideoConfig
from qoe_core.inputs import FeatureConfig, features
from qoe_core.loading import Loader
from qoe_core.models.examples import Examples
from qoe_core.models.network import FittedNetwork, Network
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.motion import MotionConfig
from qoe_core.qos import LabelScale, Scaling
from qoe_core.train_config import TrainConfig
from tests.clips import film

QOS = FeatureConfig(qos=("recency", "indicator"))
TRAINING = TrainConfig(n_epochs=2, device="cpu")
SHARED = {"motion": MotionConfig(samples=2), "motion_size": (18, 32), "size": (32, 32)}


@pytest.fixture(autouse=True)
def _store_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")


@pytest.fixture
def filmed(tmp_path, make_session):
    """Three sessions of 3 to 5 s with videos of their own."""
    return [
        make_session(n, 0, seconds=3 + n, video=film(tmp_path / f"{n}.mp4", 3 + n, seed=n))
        for n in range(3)
    ]


@pytest.fixture
def video(tmp_path):
    """A small backbone with weights in a file, and the motion of two samples a second."""
    return seeing(tmp_path / "mine.safetensors")


def seeing(path):
    """A config with random weights that are written to `path`."""
    save_file(timm.create_model("test_resnet").state_dict(), path)
    return VideoConfig(backbone=BackboneConfig(name="test_resnet", weights=str(path)), **SHARED)


def row(video):
    return build(
        ModelConfig(name="gru-frames", inputs=QOS, video=video, hidden=4, training=TRAINING)
    )


@pytest.fixture
def saved(filmed, video, tmp_path):
    """A network that was trained on frames, and the file that it was saved to."""
    fitted = row(video).fit(filmed[:2], filmed[2:], seed=0)
    fitted.save(tmp_path / "fitted.safetensors")
    return fitted, tmp_path / "fitted.safetensors"


def test_a_saved_network_gives_identical_scores(saved, filmed, video):
    fitted, path = saved
    loaded = FittedNetwork.load(path, row(video).make, video)
    assert loaded.inputs == fitted.inputs == FeatureConfig(qos=QOS.qos, frames=video)
    before, after = (model.predict(filmed[2]) for model in (fitted, loaded))
    np.testing.assert_array_equal(after.continuous, before.continuous)
    assert after.overall == before.overall


def test_a_saved_network_does_not_open_the_weights_that_its_file_names(saved, video, refuses):
    with refuses(
        f"{saved[1]}: inputs name the weights [{video.backbone.weights!r}], which are not opened "
        "because a file says so; give the VideoConfig whose weights you trust as `video`"
    ):
        FittedNetwork.load(saved[1], row(video).make)


def test_weights_that_the_training_did_not_see_are_refused(saved, video, tmp_path):
    other = seeing(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"trained on frame features by weights with SHA-256 \['"):
        FittedNetwork.load(saved[1], row(video).make, other)


def test_a_module_is_made_for_its_qos_and_its_video_columns(filmed):
    made, gru = [], row(VideoConfig(backbone=None, **SHARED))

    def make(n_qos, n_video):
        made.append((n_qos, n_video))
        return gru.make(n_qos, n_video)

    Network(make=make, inputs=gru.inputs, training=TRAINING).fit(filmed[:2], [], seed=0)
    assert made == [(2, 9)]


@pytest.fixture
def examples(filmed, tmp_path):
    """Examples of the filmed sessions out of a store of their own."""
    motion = VideoConfig(backbone=None, **SHARED)
    inputs = FeatureConfig(qos=("elapsed",), frames=motion)
    folder = tmp_path / "another"
    scaling = Scaling.fit(features(session, inputs, folder) for session in filmed)
    return Examples(filmed, inputs, scaling, LabelScale(0.0, 100.0), None, folder)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_out_of_the_store_are_the_same_whoever_loads_them(examples, filmed, workers):
    loaded = Loader([examples], workers).epoch([[[2, 0]], [[1]]])
    batches = [collate(groups[0]) for groups in loaded]
    assert [batch.valid.sum(dim=1).tolist() for batch in batches] == [[5, 3], [4]]
    for batch, places in zip(batches, ([2, 0], [1]), strict=True):
        for row_number, place in enumerate(places):
            session = filmed[place]
            raw = features(session, examples.inputs, examples.folder)
            expected = torch.tensor(examples.scaling(raw), dtype=torch.float32)
            assert batch.inputs[row_number, : len(raw)].equal(expected)
            rated = torch.tensor(session.rated / 100, dtype=torch.float32)
            assert batch.rated[row_number, : len(raw)].equal(rated)
    assert all(batch.overall.isnan().all() for batch in batches)


def test_examples_hold_no_frame_features(examples, filmed):
    """They are read when asked for: an example shows a change of the video."""
    before = examples[0].inputs
    film(filmed[0].video, 3, seed=9)
    assert not examples[0].inputs.equal(before)


def test_examples_read_the_store_that_they_are_given(examples):
    assert len(examples[0].inputs) == 3
    assert not paths.STORE.exists()


def test_a_network_is_trained_on_frames_that_stay_in_the_store(saved, filmed):
    assert isinstance(saved[0].examples(filmed), Examples)


def test_labels_of_a_session_without_ratings_are_unknown(examples, filmed):
    unrated = dataclasses.replace(filmed[0], rated=None, rated_ci=None)
    changed = dataclasses.replace(examples, sessions=[unrated])
    assert (len(changed), changed[0].rated.isnan().all().item()) == (1, True)
