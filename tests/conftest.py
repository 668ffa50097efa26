"""Tiny sessions that every test can run on in milliseconds."""

import re

import numpy as np
import pytest
import torch

from qoe_core.batches import Example
from qoe_core.session import Session, hold_through_stalls, stalled_fraction


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _fixed_seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def refuses():
    """`with refuses(message):` expects an error that says exactly this."""

    def expect(message, error=ValueError):
        return pytest.raises(error, match=rf"\A{re.escape(message)}\Z")

    return expect


def make_session(content=0, pattern=0, seconds=14, **changes):
    """A session whose rating follows its quality, with a stall of 2.5 s from second 5 on."""
    rng = np.random.default_rng([content, pattern, seconds])
    stalls = np.array([[5.0, 2.5]]) if pattern % 2 else np.empty((0, 2))
    stalled = stalled_fraction(stalls, float(seconds))
    fully = stalled >= 1
    bitrate = np.where(fully, 0.0, 10 ** rng.uniform(2.5, 3.7, seconds))
    height = hold_through_stalls(np.where(bitrate > 2000, 1080.0, 540.0), stalled)
    vmaf = hold_through_stalls(20 + 15 * np.log10(np.maximum(bitrate, 1)), stalled)
    rated = np.clip(vmaf - 20 * np.convolve(stalled, np.ones(3), "full")[:seconds], 1, 99)
    fields = {
        "dataset": "tiny",
        "name": f"content_{content}_pattern_{pattern}",
        "content": f"content_{content}",
        "pattern": f"abr_{pattern % 2}/trace_{pattern // 2}",
        "device": "test",
        "duration_s": float(seconds),
        "stalls": stalls,
        "bitrate_kbps": bitrate,
        "quality": {"vmaf": vmaf},
        "height_px": height,
        "scale": (0.0, 100.0),
        "rated": rated,
        "rated_ci": np.stack([rated - 4, rated + 4], axis=1),
        "overall": float(rated.mean()),
        "overall_ci": (float(rated.mean()) - 3, float(rated.mean()) + 3),
    }
    return Session(**{**fields, **changes})


@pytest.fixture(scope="session", name="make_session")
def _make_session():
    return make_session


@pytest.fixture
def sessions():
    """Six contents times four patterns, 12 to 17 s long."""
    return [make_session(c, p, seconds=12 + (c + p) % 6) for c in range(6) for p in range(4)]


@pytest.fixture
def examples():
    """Ten sessions of 6 to 15 s whose rating is the running mean of the first of three inputs."""
    made = []
    for length in range(6, 16):
        inputs = torch.rand(length, 3)
        rated = inputs[:, 0].cumsum(0) / torch.arange(1, length + 1)
        made.append(Example(inputs, rated, rated.mean()))
    return made
