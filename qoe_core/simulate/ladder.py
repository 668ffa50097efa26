"""The bitrates on offer, and what a content becomes when it is encoded at each of them.

Axes: rung = encodes from the lowest bitrate to the highest, segment = pieces of equal duration.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from qoe_core.simulate.contents import Content

ADAPTATION = 0.6  # 0: constant bitrate, 1: constant quality; how far VBR follows (our choice)


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Mean bitrate (kbit/s) and height (lines) of each rung, ascending; segments of one duration.

    Raises:
        ValueError: no rung, unequal lengths, bitrates that do not rise, or an empty segment.
    """

    bitrate_kbps: tuple[int, ...]
    height: tuple[int, ...]
    segment_us: int = 2_000_000

    def __post_init__(self):
        """Refuse what no player could choose from."""
        steps = itertools.pairwise((0, *self.bitrate_kbps))
        rising = all(low < high for low, high in steps)
        if not self.bitrate_kbps or len(self.bitrate_kbps) != len(self.height) or not rising:
            raise ValueError(
                f"ladder has bitrates {self.bitrate_kbps} and heights {self.height}, expected as "
                "many of each and positive bitrates from low to high; is a rung missing?"
            )
        if self.segment_us < 1:
            raise ValueError(f"segment_us is {self.segment_us}, expected a positive number of us")

    @property
    def segment_s(self) -> float:
        """Media time of a segment (s)."""
        return self.segment_us / 1e6


# The fixed ladder before per-title encoding: Aaron et al., "Per-Title Encode Optimization",
# Netflix Technology Blog, December 2015
NETFLIX_2015 = Ladder(
    bitrate_kbps=(235, 375, 560, 750, 1050, 1750, 2350, 3000, 4300, 5800),
    height=(240, 288, 384, 384, 480, 480, 720, 720, 1080, 1080),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Encodes:
    """Size and modelled quality (0 to 100) of every segment of one content at every rung."""

    ladder: Ladder
    size_bits: Int[np.ndarray, "rung segment"]
    quality: Float[np.ndarray, "rung segment"]


def encode(content: Content, ladder: Ladder) -> Encodes:
    """Variable-bitrate encodes: hard segments get more bits, and a rung keeps its mean bitrate."""
    share = np.exp(ADAPTATION * content.difficulty)
    bitrate_kbps = np.outer(ladder.bitrate_kbps, share / share.mean())
    size_bits = np.rint(bitrate_kbps * 1e3 * ladder.segment_s).astype(np.int64)
    return Encodes(ladder=ladder, size_bits=size_bits, quality=content.quality(bitrate_kbps))
