import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data
from torch.nn.functional import interpolate
from torchvision.models import get_model

from qoe_core import motion
from qoe_core.motion import FEATURES, FLOW_WIDTH, FlowEnergy, MotionConfig

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)  # of the 3-D ResNets, torchvision's documentation
KINETICS_STD = (0.22803, 0.22145, 0.216989)


def measured(seconds):
    """One dict of features for each second."""
    rows = FlowEnergy(samples=seconds.shape[1])(seconds)
    return [dict(zip(FEATURES, row.tolist(), strict=True)) for row in rows]


def grey(levels):
    """Pictures of one level each: `[second][sample]` to `[second sample 3 18 32]`."""
    levels = torch.tensor(levels, dtype=torch.uint8)
    return levels[:, :, None, None, None].expand(-1, -1, 3, 18, 32).clone()


def camera_move(down, right, samples=4, scale=1):
    """A second in which a photograph of 48x80 moves by whole pixels from sample to sample."""
    camera = torch.from_numpy(data.camera()[None, None].astype(np.float32))
    picture = interpolate(camera, (128 * scale, 160 * scale), mode="area")[0, 0]
    frames = []
    for sample in range(samples):
        top, left = (scale * (40 - step * sample) for step in (down, right))
        frames.append(picture[top : top + 48 * scale, left : left + 80 * scale])
    return torch.stack(frames).round().to(torch.uint8)[None, :, None].expand(-1, -1, 3, -1, -1)


def test_a_frozen_picture_gives_zero_everywhere():
    frozen = camera_move(0, 0).expand(3, -1, -1, -1, -1)
    np.testing.assert_array_equal(FlowEnergy(samples=4)(frozen), np.zeros((3, len(FEATURES))))


@pytest.mark.parametrize(("down", "right"), [(0, 1), (0, 3), (2, 0), (-3, 4)])
@pytest.mark.parametrize("scale", [1, 2], ids=["as it is", "twice as large"])
def test_a_camera_move_has_its_speed_in_widths_per_second(down, right, scale):
    row = measured(camera_move(down, right, scale=scale))[0]
    expected = np.hypot(down, right) * 4 / FLOW_WIDTH  # pixels a sample, samples, pixels a width
    # up to 5 pixels of 80 appear from nowhere at an edge, and flow is estimated to a 1/50 pixel
    assert row["speed_mean"] == pytest.approx(expected, rel=0.03)
    assert row["speed_std"] < 0.1 * expected
    assert row["energy_mean"] == pytest.approx(expected**2, rel=0.06)
    assert row["moving_share"] == 1


def test_the_same_move_on_more_samples_is_a_higher_speed():
    four = measured(camera_move(0, 1, samples=4))[0]["speed_mean"]
    eight = measured(camera_move(0, 1, samples=8))[0]["speed_mean"]
    assert eight == pytest.approx(2 * four, rel=0.02)  # other pixels appear at the edge


def test_energy_is_the_square_of_mean_and_deviation_of_speed():
    row = measured(torch.randint(0, 256, (1, 3, 3, 30, 40), dtype=torch.uint8))[0]
    energy = row["speed_mean"] ** 2 + row["speed_std"] ** 2
    assert row["energy_mean"] == pytest.approx(energy, rel=1e-5)  # float32


def test_a_step_in_brightness_is_a_change_without_motion():
    row = measured(grey([[50, 100]]))[0]
    change = pytest.approx(50 / 255, rel=1e-5)  # float32
    assert (row["change_mean"], row["change_max"], row["changed_share"]) == (change, change, 1)
    assert row["change_std"] == pytest.approx(0, abs=1e-6)
    assert (row["speed_max"], row["energy_mean"], row["moving_share"]) == (0, 0, 0)


def test_a_step_between_seconds_belongs_to_the_second():
    first, second = measured(grey([[50, 50], [100, 100]]))
    assert set(first.values()) == {0}
    assert second["change_mean"] == pytest.approx(25 / 255, rel=1e-5)  # of one pair in two
    assert second["change_std"] == pytest.approx(25 / 255, rel=1e-5)
    assert second["change_max"] == pytest.approx(50 / 255, rel=1e-5)
    assert second["changed_share"] == 0.5


def test_change_is_that_of_luma():
    frames = grey([[0, 0]])
    frames[0, 1, 1] = 255  # green
    assert measured(frames)[0]["change_mean"] == pytest.approx(0.7152, rel=1e-5)  # BT.709


@pytest.mark.parametrize(("step", "share"), [(2, 0), (4, 0.25)])
def test_a_change_within_the_noise_of_video_does_not_count(step, share):
    frames = grey([[100, 100]])
    frames[0, 1, :, :9, :16] += step  # a quarter of the picture
    assert measured(frames)[0]["changed_share"] == share


def test_a_second_does_not_see_those_that_follow():
    seconds = torch.randint(0, 256, (4, 3, 3, 24, 32), dtype=torch.uint8)
    edited = seconds.clone()
    edited[2:] = 255 - edited[2:]
    flow = FlowEnergy(samples=3)
    torch.testing.assert_close(flow(edited)[:2], flow(seconds)[:2], rtol=0, atol=0)
    assert (flow(edited)[2] != flow(seconds)[2]).any()


@pytest.mark.parametrize(("height", "width"), [(2, 2), (2, 200), (90, 7), (48, 81)])
def test_pictures_of_any_size_give_finite_features(height, width):
    seconds = torch.randint(0, 256, (2, 2, 3, height, width), dtype=torch.uint8)
    assert FlowEnergy(samples=2)(seconds).isfinite().all()


def test_the_default_needs_no_weights_and_says_what_it_depends_on():
    flow = motion.load(MotionConfig(), "cpu")
    assert flow.n_features == len(FEATURES)
    assert json.loads(json.dumps(flow.identity)) == flow.identity
    assert flow.identity["samples"] == 8
    assert FlowEnergy(samples=4).identity != flow.identity


def test_a_network_gives_what_its_classifier_classifies(tmp_path):
    network = get_model("mc3_18", weights=None).eval()
    save_file(network.state_dict(), tmp_path / "some.safetensors")
    seconds = torch.randint(0, 256, (3, 4, 3, 32, 40), dtype=torch.uint8)
    config = MotionConfig(name="mc3_18", samples=4, weights=str(tmp_path / "some.safetensors"))
    features = motion.load(config, "cpu")(seconds)

    clips = seconds.permute(0, 1, 3, 4, 2).numpy() / 255
    clips = torch.from_numpy((clips - KINETICS_MEAN) / KINETICS_STD).float()
    with torch.inference_mode():
        scores = network(clips.permute(0, 4, 1, 2, 3))
        torch.testing.assert_close(network.fc(features), scores, rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.parametrize(
    ("name", "size", "n_features"),
    [("r3d_18", (2, 16, 16), 512), ("swin3d_t", (4, 32, 32), 768), ("s3d", (14, 224, 224), 1024)],
)
def test_a_network_gives_as_many_features_as_it_says(name, size, n_features):
    samples, height, width = size
    network = motion.load(MotionConfig(name=name, samples=samples), "cpu")
    seconds = torch.randint(0, 256, (1, samples, 3, height, width), dtype=torch.uint8)
    assert network.n_features == n_features
    assert network(seconds).shape == (1, n_features)


def test_a_network_says_what_it_depends_on():
    identity = motion.load(MotionConfig(name="mc3_18"), "cpu").identity
    assert json.loads(json.dumps(identity)) == identity
    assert (identity["name"], identity["samples"]) == ("mc3_18", 8)
    assert identity["random_weights"] is True
    assert identity != motion.load(MotionConfig(name="mc3_18", samples=4), "cpu").identity


@pytest.mark.parametrize(
    ("name", "samples", "size", "expected"),
    [
        ("s3d", 8, 224, "(14, 224, 224) or more"),
        ("s3d", 16, 112, "(14, 224, 224) or more"),
        ("mvit_v2_s", 17, 224, "(16, 224, 224)"),
    ],
)
def test_a_second_of_another_size_than_a_network_takes_is_refused(
    refuses, name, samples, size, expected
):
    network = motion.load(MotionConfig(name=name, samples=samples), "cpu")
    with refuses(
        f"a second is ({samples}, {size}, {size}) (samples, height, width), expected {expected}, "
        "which this network was built for"
    ):
        network(torch.zeros(1, samples, 3, size, size, dtype=torch.uint8))


@pytest.mark.parametrize("name", ["flow-energy", "mc3_18"])
def test_another_number_of_samples_is_refused(refuses, name):
    with refuses(
        "a second comes with 2 samples, expected 8; were the frames sampled for another "
        "configuration?"
    ):
        motion.load(MotionConfig(name=name), "cpu")(grey([[1, 2]]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 1}, "samples is 1, expected at least 2: motion is a change"),
        (
            {"name": "flow-enrgy"},
            "no motion is called 'flow-enrgy'; the closest names are ['flow-energy']",
        ),
        (
            {"name": "r3d_18", "precision": "float61"},
            "no precision is called 'float61'; the closest names are ['float16', 'bfloat16', "
            "'float32']",
        ),
        (
            {"weights": "some.safetensors"},
            "flow-energy has neither weights nor another precision than float32, got weights "
            "'some.safetensors', precision 'auto'; is a network meant?",
        ),
    ],
)
def test_a_configuration_that_cannot_be_met_is_refused(refuses, changes, message):
    with refuses(message):
        MotionConfig(**changes)
