"""Frame features of small videos, through the store."""

import numpy as np
import pytest
import torch

from qoe_core import backbones, extraction, frames
from qoe_core.extraction import VideoConfig, extract, functions, video_features
from qoe_core.frames import FrameConfig
from qoe_core.motion import FEATURES, MotionConfig
from qoe_core.store import Store
from tests.clips import film

SMALL = VideoConfig(size=(32, 32), motion_size=(18, 32), motion=MotionConfig(samples=2))
N_LITE0 = 2 * (24 + 40 + 112 + 320)  # mean and deviation of the last four stages


@pytest.fixture
def filmed(tmp_path, make_session):
    """Three sessions of 3 to 5 s with videos of their own."""
    return [
        make_session(n, 0, seconds=3 + n, stalls=np.empty((0, 2)),
                     video=film(tmp_path / f"{n}.mp4", 3 + n, seed=n))
        for n in range(3)
    ]  # fmt: skip


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_each_second_has_the_features_of_its_middle_frame_and_of_its_motion(filmed, store):
    columns = video_features(filmed[0], SMALL, store)
    assert columns.shape == (3, N_LITE0 + len(FEATURES))
    shown = next(frames.seconds(filmed[0].video, FrameConfig(height=32, width=32))).frames[:, 0]
    network = backbones.load(SMALL.backbone)
    for second in range(3):
        alone = network(shown[second : second + 1])[0].numpy()
        # one frame or three at a time: convolutions sum in another order
        np.testing.assert_allclose(columns[second, :N_LITE0], alone, rtol=1e-4, atol=1e-5)


def test_features_are_extracted_once(filmed, store):
    extract(filmed, SMALL, store, workers=1)
    assert all(store.has(s.video, f) for s in filmed for f in functions(SMALL))
    before = [video_features(session, SMALL, store) for session in filmed]
    again = Store(store.folder)
    after = [video_features(session, SMALL, again) for session in filmed]
    assert again.counters["computed"] == 0
    for first, second in zip(before, after, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "changed",
    [
        VideoConfig(size=(40, 32), motion_size=(18, 32), motion=MotionConfig(samples=2)),
        VideoConfig(size=(32, 32), motion_size=(20, 32), motion=MotionConfig(samples=2)),
        VideoConfig(size=(32, 32), motion_size=(18, 32), motion=MotionConfig(samples=3)),
        VideoConfig(size=(32, 32), motion_size=(18, 32), motion=MotionConfig(samples=2),
                    interpolation="area"),
    ],
    ids=["size", "motion size", "samples", "interpolation"],
)  # fmt: skip
def test_another_configuration_meets_no_old_entry(filmed, store, changed):
    video_features(filmed[0], SMALL, store)
    assert not all(store.has(filmed[0].video, f) for f in functions(changed))


def test_another_decoder_meets_no_old_entry(filmed, store, monkeypatch):
    video_features(filmed[0], SMALL, store)
    monkeypatch.setattr(frames, "DECODER", "pyav 99")
    assert not any(store.has(filmed[0].video, f) for f in functions(SMALL))


def test_other_weights_meet_no_old_entry(filmed, store):
    trained, random = (
        VideoConfig(backbone=backbones.BackboneConfig(weights=weights), motion=None, size=(32, 32))
        for weights in ("pip", None)
    )
    video_features(filmed[0], trained, store)
    assert not store.has(filmed[0].video, functions(random)[0])


def test_features_do_not_depend_on_how_much_is_decoded_at_once(filmed, monkeypatch, tmp_path):
    whole = video_features(filmed[2], SMALL, Store(tmp_path / "whole"))
    monkeypatch.setattr(
        extraction.frames, "seconds", lambda path, config: _one_by_one(path, config)
    )
    chunks = video_features(filmed[2], SMALL, Store(tmp_path / "chunks"))
    np.testing.assert_allclose(chunks, whole, rtol=1e-4, atol=1e-5)  # sums in another order


def _one_by_one(path, config, whole=frames.seconds):
    budget = config.per_second * config.height * config.width * 3 + 64 * 64 * 3
    parts = list(whole(path, config, budget))
    assert len(parts) > 1
    return iter(parts)


def test_what_comes_later_does_not_change_a_second(tmp_path, make_session, store):
    fields = {"stalls": np.empty((0, 2)), "seconds": 4}
    one = make_session(0, 0, **fields, video=film(tmp_path / "a.mp4", 4, frozen=(3,)))
    two = make_session(0, 1, **fields, video=film(tmp_path / "b.mp4", 4))
    first, second = (video_features(session, SMALL, store) for session in (one, two))
    np.testing.assert_array_equal(first[:3], second[:3])
    assert np.abs(first[3] - second[3]).max() > 0.5


def test_a_frozen_second_has_no_motion(tmp_path, make_session, store):
    video = film(tmp_path / "a.mp4", 4, frozen=(1, 2))
    session = make_session(0, 0, seconds=4, stalls=np.empty((0, 2)), video=video)
    motion = video_features(session, SMALL, store)[:, N_LITE0:]
    moving = motion[:, FEATURES.index("changed_share")]
    assert moving[0] > 0.5
    assert 0.3 < moving[1] < 0.7  # the picture moved after the last sample of the second before
    assert moving[2] == 0
    assert moving[3] > 0.5


def test_a_session_without_video_is_refused(make_session, store, refuses):
    session = make_session()
    with refuses("tiny/content_0_pattern_0 has no video; choose quality metrics as inputs instead"):
        video_features(session, SMALL, store)
    with refuses("tiny/content_0_pattern_0 has no video, so there is nothing to extract"):
        extract([session], SMALL, store)


def test_a_video_of_another_length_is_refused(tmp_path, make_session, store, refuses):
    video = film(tmp_path / "a.mp4", 2)
    session = make_session(seconds=12, video=video)
    with refuses(
        f"tiny/content_0_pattern_0: {video} has 2 seconds, expected 12 as in the log; "
        "is it the video of another session?"
    ):
        video_features(session, SMALL, store)


def test_a_video_that_cannot_be_decoded_is_named_and_the_others_are_kept(filmed, store):
    filmed[1].video.write_bytes(b"not a video")
    with pytest.raises(RuntimeError, match=r"1 of 3 failed: tiny/content_1_pattern_0: .*1\.mp4"):
        extract(filmed, SMALL, store, workers=1)
    assert store.has(filmed[2].video, functions(SMALL)[0])


def test_a_config_without_backbone_and_motion_is_refused(refuses):
    with refuses("neither a backbone nor motion is asked for, expected one or both"):
        VideoConfig(backbone=None, motion=None)


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no GPU; runs on any machine with one"
)
def test_a_gpu_gives_the_same_features_in_full_precision(filmed):
    config = backbones.BackboneConfig(precision="float32")
    shown = next(frames.seconds(filmed[0].video, FrameConfig(height=64, width=64))).frames[:, 0]
    on_gpu, on_cpu = (backbones.load(config, device)(shown) for device in ("cuda", "cpu"))
    torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-3, atol=1e-4)
