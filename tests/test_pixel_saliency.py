"""Slopes in pixels, against the score of pixels that were changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from qoe_core import attribution, extraction, paths
from qoe_core.backbones import BackboneConfig
from qoe_core.extraction import VideoConfig
from qoe_core.inputs import FeatureConfig, features
from qoe_core.models.network import FittedNetwork
from qoe_core.motion import MotionConfig
from qoe_core.pixel_saliency import saliency, sees_frames, shown
from qoe_core.qos import LabelScale, Scaling
from tests.clips import film

VIDEO = VideoConfig(
    backbone=BackboneConfig(name="test_resnet", weights=None),
    motion=MotionConfig(samples=2),
    motion_size=(18, 32),
    size=(32, 40),
)
INPUTS = FeatureConfig(qos=("recency",), frames=VIDEO)


class Weighted(nn.Module):
    """Score t is a weighted sum of the sines of second t's inputs."""

    def __init__(self, n_feat):
        super().__init__()
        self.weights = nn.Parameter(torch.linspace(-1, 1, n_feat))

    def forward(self, inputs, valid):
        continuous = inputs.sin() @ self.weights
        return continuous, continuous.mean(1)


@pytest.fixture
def session(tmp_path, make_session, monkeypatch):
    monkeypatch.setattr(paths, "STORE", tmp_path / "store")
    return make_session(seconds=4, video=film(tmp_path / "film.mp4", 4, seed=1))


@pytest.fixture
def network(session):
    seen = features(session, INPUTS)
    scaling = Scaling(seen.min(0) - 1, seen.max(0) + 1)
    return FittedNetwork(
        Weighted(seen.shape[1]), INPUTS, scaling, LabelScale(0.0, 100.0), LabelScale(0.0, 100.0)
    )


def subject(network, session, target=2):
    baseline = np.zeros(len(network.scaling.low))
    return attribution.subject(network, session, baseline, target)


def score_of(network, session, second, pixels):
    """The subject's score with other pixels in one second, by the backbone itself."""
    normalise, stages = extraction.functions(VIDEO)[0].model.module
    with torch.no_grad():
        seen = stages((pixels[None] / 255 - normalise.mean) / normalise.std)[0].numpy()
    low, high = network.scaling.low, network.scaling.high
    columns = slice(1, 1 + len(seen))
    of = subject(network, session)
    inputs = of.inputs.clone()
    inputs[second, columns] = torch.tensor(
        (seen - low[columns]) / (high - low)[columns], dtype=torch.float32
    )
    return of.scores(inputs[None]).item()


def test_the_strength_is_the_slope_of_the_score_in_each_pixel(network, session):
    found = saliency(network, session, subject(network, session), [2])
    pixels = torch.tensor(found.frames[0]).permute(2, 0, 1).float()
    row, column = np.unravel_index(found.strength[0].argmax(), (32, 40))
    slopes = []
    for colour in range(3):
        ends = []
        for step in (-1.0, 1.0):
            changed = pixels.clone()
            changed[colour, row, column] += step
            ends.append(score_of(network, session, 2, changed))
        slopes.append((ends[1] - ends[0]) / 2)
    # one level up and down is no limit, so the curvature of the backbone remains
    assert np.linalg.norm(slopes) == pytest.approx(found.strength[0].max(), rel=0.05)


def test_frames_are_those_of_the_chosen_seconds_in_their_order(network, session):
    both = saliency(network, session, subject(network, session), [3, 1])
    assert both.seconds == (3, 1)
    assert both.frames.shape == (2, 32, 40, 3)
    (alone,) = saliency(network, session, subject(network, session), [1]).frames
    np.testing.assert_array_equal(both.frames[1], alone)
    assert not np.array_equal(*both.frames)


def test_frames_that_were_decoded_before_give_the_same(network, session):
    of = subject(network, session)
    once = saliency(network, session, of, [2, 0])
    again = saliency(network, session, of, [2, 0], shown(network, session))
    np.testing.assert_array_equal(again.frames, once.frames)
    np.testing.assert_array_equal(again.strength, once.strength)


def test_pixels_of_a_second_that_the_score_does_not_see_have_no_strength(network, session):
    found = saliency(network, session, subject(network, session, target=1), [1, 2])
    assert (found.strength[0] > 0).any()
    assert (found.strength[1] == 0).all()


def test_the_backbone_stays_frozen(network, session):
    backbone = extraction.functions(VIDEO)[0].model.module
    saliency(network, session, subject(network, session), [0])
    assert not any(w.requires_grad or w.grad is not None for w in backbone.parameters())
    assert not any(part.training for part in backbone.modules())


def test_a_session_without_a_video_has_no_pixels(network, session, refuses):
    of = subject(network, session)
    without = replace(session, video=None)
    assert sees_frames(network, session)
    assert not sees_frames(network, without)
    with refuses(
        "tiny/content_0_pattern_0: no pixels to look at, expected a row that sees frames by a "
        "backbone and a session with a video; input attributions explain every network"
    ):
        saliency(network, without, of, [0])


def test_a_row_that_sees_only_motion_has_no_pixels(network, session):
    motion = replace(INPUTS, frames=replace(VIDEO, backbone=None))
    assert not sees_frames(replace(network, inputs=motion), session)


def test_a_second_outside_of_the_session_is_refused(network, session, refuses):
    with refuses("tiny/content_0_pattern_0: second 4 is asked for, expected 0 to 3"):
        saliency(network, session, subject(network, session), [0, 4])


def test_features_that_the_network_was_not_given_are_refused(network, session, refuses):
    of = subject(network, session)
    of.inputs[2] += 0.5
    with refuses(
        "tiny/content_0_pattern_0, second 2: a scaled frame feature is off by 0.500 from the one "
        "in the store, expected at most 0.05; was the video replaced?"
    ):
        saliency(network, session, of, [1, 2])
