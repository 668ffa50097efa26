"""A tiny corpus, built once: a photograph and a user's own clip under three patterns.

One pattern has a user's own trace, whose outage stalls the second segment.
"""

import shutil

import numpy as np
import pytest

from qoe_core.simulate.build import build
from qoe_core.simulate.contents import Display
from qoe_core.simulate.corpus import CorpusConfig
from qoe_core.simulate.ladder import Ladder
from tests.clips import encode


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Two seconds of a texture that moves to the side."""
    texture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    texture = texture.repeat(6, axis=0).repeat(8, axis=1)
    pictures = [np.roll(texture, number, axis=1) for number in range(50)]
    return encode(tmp_path_factory.mktemp("clips") / "My Clip.mp4", pictures)


@pytest.fixture(scope="session")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "Outage 1.csv"
    path.write_text("t_start_s,duration_s,throughput_mbps\n0,3,0.012\n3,1.3,0\n4.3,60,0.012\n")
    return path


@pytest.fixture(scope="session")
def make_config(clip, trace):
    def made(**changes):
        fields = {
            "contents": ("coffee", str(clip)),
            "abrs": ("throughput", "bba"),
            "traces": (str(trace), 0.05),
            "n_streamed": 2,
            "playouts": ("netflix1",),
            "seconds": 4,
            "n_viewers": 3,
            "display": Display(width=128, height=72),
            "ladder": Ladder(bitrate_kbps=(15, 60), height=(36, 72)),
        }
        return CorpusConfig(**(fields | changes))

    return made


@pytest.fixture(scope="session")
def tiny(make_config, tmp_path_factory):
    """Folder of the corpus; no test may change it."""
    return build(make_config(), tmp_path_factory.mktemp("corpora") / "simulated_tiny", workers=1)


@pytest.fixture
def copied(tiny, tmp_path):
    """Folder of a copy, which a test may change."""
    return shutil.copytree(tiny, tmp_path / tiny.name)
