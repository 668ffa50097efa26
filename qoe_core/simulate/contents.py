"""Simulated contents: how hard each segment is to encode, and what quality a bitrate buys it.

Quality is a modelled score of 0 to 100, like VMAF in range and direction but not measured by it. It
is a logistic function of the logarithm of the bitrate: low and flat when starved, about linear in
log bitrate between, saturating near 100. That curves of quality over bitrate saturate, and that
each title has its own, is the finding behind per-title encoding (Aaron et al., "Per-Title Encode
Optimization", Netflix Technology Blog, December 2015). Every number below is our choice.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

EASIEST_KBPS, HARDEST_KBPS = 90.0, 1200.0  # bitrate that buys quality 50
STEEPNESS = 1.2  # of the logistic, per unit of natural log bitrate
SCENE_SEGMENTS = 4  # mean length of a scene in segments
SCENE_SPREAD = 0.35  # standard deviation of the difficulty of a scene, natural log
SEGMENT_SPREAD = 0.10  # of a segment inside its scene


@dataclass(frozen=True, kw_only=True, eq=False)
class Content:
    """One source clip: spatial and temporal complexity (0 to 1) and the difficulty of each segment.

    `difficulty` is the natural log of the bits that a segment needs, relative to the whole clip.
    """

    name: str
    spatial: float
    temporal: float
    difficulty: Float[np.ndarray, " segment"]

    @property
    def half_kbps(self) -> float:
        """Bitrate (kbit/s) at which a segment of difficulty 0 has quality 50."""
        complexity = (self.spatial + self.temporal) / 2
        return EASIEST_KBPS * (HARDEST_KBPS / EASIEST_KBPS) ** complexity

    def quality(
        self, bitrate_kbps: Float[np.ndarray, "*rung segment"]
    ) -> Float[np.ndarray, "*rung segment"]:
        """Modelled quality of each segment at its own bitrate (kbit/s, positive), 0 to 100."""
        needed = self.half_kbps * np.exp(self.difficulty)
        return 100 / (1 + (needed / bitrate_kbps) ** STEEPNESS)


def draw_contents(n_contents: int, n_segments: int, seed: int) -> list[Content]:
    """`content_01`, `content_02`, ... spread evenly over both complexities (Latin hypercube)."""
    rng = np.random.default_rng((seed, 0))
    complexities = qmc.LatinHypercube(d=2, rng=rng).random(n_contents)
    return [
        Content(
            name=f"content_{number:02d}",
            spatial=float(spatial),
            temporal=float(temporal),
            difficulty=_difficulty(n_segments, rng),
        )
        for number, (spatial, temporal) in enumerate(complexities, start=1)
    ]


def _difficulty(n_segments: int, rng: np.random.Generator) -> Float[np.ndarray, " segment"]:
    scene = np.cumsum(rng.random(n_segments) < 1 / SCENE_SEGMENTS)
    of_scene = rng.normal(0, SCENE_SPREAD, scene[-1] + 1)[scene]
    difficulty = of_scene + rng.normal(0, SEGMENT_SPREAD, n_segments)
    return difficulty - difficulty.mean()
