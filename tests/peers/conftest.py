"""Sessions whose rating is a known function of what was shown, and what one peer says of them."""

import numpy as np
import pytest

from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.session import hold_through_stalls, stalled_fraction


@pytest.fixture(scope="session")
def inputs():
    return FeatureConfig(qos=("indicator", "stalled_so_far"), quality=("vmaf",))


@pytest.fixture(scope="session")
def watched(make_session):
    """A session rated by a leaky average of its VMAF, 70 % kept each second, less 20 in a stall."""

    def build_session(content, pattern, seconds=20, **changes):
        rng = np.random.default_rng([content, pattern])
        stalls = np.array([[5.0, 2.0]]) if pattern % 2 and seconds > 7 else np.empty((0, 2))
        stalled = stalled_fraction(stalls, float(seconds))
        levels = rng.choice([300.0, 1000.0, 4000.0], size=seconds // 4 + 1).repeat(4)[:seconds]
        vmaf = hold_through_stalls(20 * np.log10(levels) - 10, stalled)
        rated = [vmaf[0]]
        for now in vmaf[1:]:
            rated.append(0.7 * rated[-1] + 0.3 * now)
        rated = np.array(rated) - 20 * stalled
        fields = {
            "stalls": stalls,
            "bitrate_kbps": np.where(stalled >= 1, 0.0, levels),
            "quality": {"vmaf": vmaf},
            "rated": rated,
            "rated_ci": None,
            "overall": float(rated.mean()),
            "overall_ci": None,
        }
        return make_session(content, pattern, seconds, **{**fields, **changes})

    return build_session


@pytest.fixture(scope="session")
def train(watched):
    return [watched(c, p, seconds=18 + (c + p) % 5) for c in range(6) for p in range(4)]


@pytest.fixture(scope="session")
def unseen(watched):
    return [watched(c, p) for c in (7, 8) for p in range(4)]


@pytest.fixture(scope="session")
def fit(inputs, train):
    """Train a peer by name on `train`; kept where nothing but the name is said."""
    kept = {}

    def fit_peer(name, sessions=None, seed=0, **options):
        if sessions is None and seed == 0 and not options:
            if name not in kept:
                kept[name] = fit_peer(name, train)
            return kept[name]
        quick = {"folds": 2} if name == "video_atlas" else {}
        config = ModelConfig(name=name, inputs=inputs, peer={**quick, **options})
        return build(config).fit(train if sessions is None else sessions, [], seed)

    return fit_peer


@pytest.fixture
def nothing_shown(watched):
    """Four seconds of loading, then the viewer gave up."""
    return watched(
        *(9, 0, 4),
        stalls=np.array([[0.0, 4.0]]),
        bitrate_kbps=np.zeros(4),
        quality={"vmaf": np.full(4, np.nan)},
        rated=np.full(4, 20.0),
        overall=20.0,
    )


@pytest.fixture
def late_start(watched):
    """Two seconds of loading before the first shown one."""
    whole = watched(7, 0)
    waited = np.arange(20) < 2
    return watched(
        *(7, 0),
        stalls=np.array([[0.0, 2.0]]),
        bitrate_kbps=np.where(waited, 0.0, whole.bitrate_kbps),
        quality={"vmaf": np.where(waited, np.nan, whole.quality["vmaf"])},
    )
