"""What a model sees: order and units of the columns, and what frame features depend on."""

import dataclasses
import json

import numpy as np
import pytest

from qoe_core import paths
from qoe_core.backbones import BackboneConfig
from qoe_core.extraction import VideoConfig, video_features
from qoe_core.inputs import FeatureConfig, features, identity, prepare, restored
from qoe_core.motion import MotionConfig
from qoe_core.qos import QOS
from qoe_core.store import Store
from tests.clips import film

MOTION = VideoConfig(backbone=None, motion=MotionConfig(samples=2), motion_size=(18, 32))
FRAMES = FeatureConfig(qos=("elapsed", "recency"), frames=MOTION)
PATH = "elsewhere/weights.safetensors"


@pytest.fixture(autouse=True)
def store_folder(tmp_path, monkeypatch):
    """An empty folder in the place of paths.STORE."""
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def played(make_session):
    return make_session(0, 1)


@pytest.fixture
def loading(make_session):
    """Two seconds of initial loading, then two that are played."""
    return make_session(
        seconds=4,
        stalls=np.array([[0.0, 2.0]]),
        bitrate_kbps=np.array([0.0, 0.0, 100.0, 1000.0]),
        quality={"vmaf": np.array([np.nan, np.nan, 60.0, 80.0])},
    )


@pytest.fixture
def filmed(tmp_path, make_session):
    """A session of 3 s with a video."""
    return make_session(seconds=3, video=film(tmp_path / "a.mp4", 3))


def entries(folder):
    return {path.stem for path in folder.rglob("*.safetensors")}


def test_columns_are_the_qos_features_then_the_quality_metrics(played):
    table = features(played, FeatureConfig(qos=("switch", "indicator"), quality=("vmaf",)))
    columns = [QOS["switch"](played), QOS["indicator"](played), played.quality["vmaf"]]
    np.testing.assert_array_equal(table, np.stack(columns, axis=1))


def test_columns_are_the_qos_features_then_the_frame_features(filmed, tmp_path):
    table = features(filmed, FRAMES)
    np.testing.assert_array_equal(table[:, 0], [1, 2, 3])
    np.testing.assert_array_equal(table[:, 1], QOS["recency"](filmed))
    alone = video_features(filmed, MOTION, Store(tmp_path / "another"))
    np.testing.assert_array_equal(table[:, 2:], alone)


@pytest.mark.parametrize(
    "video", [{"quality": ("vmaf",)}, {"frames": MOTION}], ids=lambda v: [*v][0]
)
@pytest.mark.parametrize("qos", [(), ("recency", "switch")])
def test_as_many_columns_as_qos_features_come_before_the_video(filmed, video, qos):
    config = FeatureConfig(qos=qos, **video)
    alone = features(filmed, FeatureConfig(qos=(), **video))
    np.testing.assert_array_equal(features(filmed, config)[:, config.n_qos :], alone)


def test_strred_enters_as_a_logarithm(make_session):
    session = make_session(seconds=3, quality={"strred": np.array([0.0, 9.0, 9999.0])})
    table = features(session, FeatureConfig(qos=(), quality=("strred",)))
    np.testing.assert_allclose(table[:, 0], [0, 1, 4], rtol=0, atol=1e-12)


def test_inputs_are_unknown_only_before_the_first_shown_second(loading):
    table = features(loading, FeatureConfig(qos=tuple(QOS), quality=("vmaf",)))
    assert not np.isfinite(table[:2]).all(axis=1).any()
    assert np.isfinite(table[2:]).all()


def test_a_metric_that_was_not_released_is_refused(played, refuses):
    with refuses(
        "tiny/content_0_pattern_1 has no quality ['ssim', 'psnr'], it has ['vmaf']; "
        "choose metrics that this data set was released with"
    ):
        features(played, FeatureConfig(qos=(), quality=("ssim", "vmaf", "psnr")))


@pytest.mark.parametrize("ask", [features, identity])
def test_frames_of_a_session_without_video_are_refused(played, refuses, ask):
    with refuses("tiny/content_0_pattern_1 has no video; choose quality metrics as inputs instead"):
        ask(played, FRAMES)


@pytest.mark.parametrize(
    ("qos", "quality"),
    [((), ()), (("recency", "recency"), ()), (("bitrate",), ()), (("switch",), ("switch",))],
    ids=["none", "one twice", "unknown", "the same name in both"],
)
def test_a_choice_of_inputs_is_refused(refuses, qos, quality):
    with refuses(
        f"features are qos={qos}, quality={quality}; expected at least one, each once, and QoS "
        f"names out of {list(QOS)}"
    ):
        FeatureConfig(qos=qos, quality=quality)


def test_quality_metrics_together_with_frames_are_refused(refuses):
    with refuses(
        "features are quality=('vmaf',) and frames, expected one of the two: full-reference "
        "metrics and no-reference frame features are different classes of model, which tables "
        "keep apart"
    ):
        FeatureConfig(qos=("recency",), quality=("vmaf",), frames=MOTION)


def test_prepared_sessions_have_their_frame_features_in_the_store(filmed, store_folder):
    prepare([filmed], FRAMES, workers=1)
    assert entries(store_folder) == set(identity(filmed, FRAMES))
    store = Store(store_folder)
    video_features(filmed, MOTION, store)
    assert store.counters["computed"] == 0


def test_frame_features_are_read_from_the_folder_that_is_given(filmed, store_folder, tmp_path):
    features(filmed, FRAMES, tmp_path / "another")
    assert (len(entries(tmp_path / "another")), store_folder.exists()) == (1, False)


def test_nothing_is_prepared_without_frames(played, store_folder):
    prepare([played], FeatureConfig(qos=("recency",)), workers=1)
    assert not store_folder.exists()


def test_inputs_without_frames_have_no_identity(filmed):
    assert identity(filmed, FeatureConfig(qos=("recency",), quality=("vmaf",))) == ()


def test_identity_is_that_of_the_content_wherever_it_lies(filmed, make_session, tmp_path):
    copied = tmp_path / "copied.mp4"
    copied.write_bytes(filmed.video.read_bytes())
    other = make_session(1, 1, seconds=9, video=copied)
    assert identity(other, FRAMES) == identity(filmed, FRAMES)


def test_identity_changes_with_the_content_of_the_video(filmed):
    before = identity(filmed, FRAMES)
    film(filmed.video, 3, seed=1)
    assert not set(identity(filmed, FRAMES)) & set(before)


@pytest.mark.parametrize(
    "change",
    [
        {"motion_size": (20, 32)},
        {"interpolation": "area"},
        {"motion": MotionConfig(samples=3)},
        {"backbone": BackboneConfig(name="test_resnet", weights=None), "size": (32, 32)},
    ],
    ids=lambda change: [*change][0],
)
def test_identity_changes_with_what_looks_at_the_frames(filmed, change):
    changed = FeatureConfig(qos=FRAMES.qos, frames=dataclasses.replace(MOTION, **change))
    assert identity(filmed, changed) != identity(filmed, FRAMES)


def in_a_file(config):
    """The fields of a config as they come out of a JSON file."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def with_weights(weights, size=(32, 32)):
    backbone = BackboneConfig(name="test_resnet", weights=weights)
    video = dataclasses.replace(MOTION, backbone=backbone, size=size)
    return FeatureConfig(qos=(), frames=video)


@pytest.mark.parametrize(
    "config",
    [
        FeatureConfig(qos=("recency",), quality=("vmaf",)),
        FeatureConfig(qos=(), frames=VideoConfig()),
        FeatureConfig(qos=("switch",), frames=VideoConfig(motion=None, interpolation="area")),
        with_weights(None),
        FRAMES,
    ],
    ids=["quality", "frames only", "no motion", "random weights", "no backbone"],
)
def test_a_config_comes_back_from_a_file(config):
    assert restored(in_a_file(config)) == config


@pytest.mark.parametrize("weights", [PATH, "hub"])
def test_a_file_does_not_decide_which_weights_are_opened(refuses, weights):
    with refuses(
        f"inputs name the weights [{weights!r}], which are not opened because a file says so; "
        "give the VideoConfig whose weights you trust as `video`"
    ):
        restored(in_a_file(with_weights(weights)))


def test_the_callers_weights_take_the_place_of_those_in_a_file():
    mine = with_weights("here/weights.safetensors")
    assert restored(in_a_file(with_weights(PATH)), mine.frames) == mine


def test_the_callers_video_must_agree_in_all_but_the_weights(refuses):
    shown = [dataclasses.asdict(with_weights(None, size).frames) for size in ((32, 32), (40, 40))]
    for fields in shown:
        del fields["backbone"]["weights"], fields["motion"]["weights"]
    with refuses(
        f"inputs are frame features by {shown[0]}, but `video` is {shown[1]}, expected them to "
        "differ in nothing but the weights"
    ):
        restored(in_a_file(with_weights(PATH)), with_weights(PATH, (40, 40)).frames)


@pytest.mark.parametrize(
    "fields", [{"sound": ["loudness"]}, {"frames": {}}, {"frames": 5}], ids=lambda f: [*f][0]
)
def test_fields_of_another_version_are_refused(refuses, fields):
    with refuses(
        f"inputs are { ({'qos': ['recency']} | fields) }, expected the fields of a FeatureConfig; "
        "were they written by another version?"
    ):
        restored({"qos": ["recency"]} | fields)
