"""The eight playout patterns of LIVE-Netflix: scripted bitrate changes and stalls, for any content.

Source: Bampis et al., "Study of temporal effects on subjective video quality of experience", IEEE
TIP 26(11), 2017. The numbers were read off the 112 released sessions: stalls and low-rate frames
from their list of impairments, rates from the levels that LSTM-QoE's files give (pattern 6 with its
two levels put right). Nothing of the ratings is used.

In the release every event lies at a fixed distance from the middle of the media, which last 59 to
75 s; the shares below are the means over its 14 contents. There is no start-up wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from qoe_core.simulate.ladder import Encodes
from qoe_core.simulate.player import PlaybackLog

RATES_KBPS = (66, 100, 160, 195, 250, 500)  # that occur in the release


class Part(NamedTuple):
    """A stretch of media at one bitrate, and the stall that comes before it."""

    start: float  # share of the media that was played before, 0 to 1
    rate_kbps: int  # one of RATES_KBPS
    stall_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Playout:
    """Parts in order; the first begins at 0 and has no stall.

    Raises:
        ValueError: no part, starts that do not rise from 0 and stay below 1, another rate, a stall
            before anything was shown, or a negative one.
    """

    name: str
    parts: tuple[Part, ...]

    def __post_init__(self):
        """Refuse what cannot be played."""
        starts = (*(part.start for part in self.parts), 1.0)
        if starts[0] != 0 or any(one >= next_ for one, next_ in pairwise(starts)):
            raise ValueError(
                f"playout {self.name}: parts start at {starts[:-1]}, expected 0 first, then rising "
                "shares below 1; are they seconds?"
            )
        for number, part in enumerate(self.parts):
            if (
                part.rate_kbps not in RATES_KBPS
                or part.stall_s < 0
                or (part.stall_s and not number)
            ):
                raise ValueError(
                    f"playout {self.name}, part {number}: {part.rate_kbps} kbit/s after a stall of "
                    f"{part.stall_s} s, expected one of {RATES_KBPS} and no stall before part 0"
                )


PLAYOUTS: Mapping[str, Playout] = {
    name: Playout(name=name, parts=parts)
    for name, parts in {
        "netflix0": (Part(0, 500),),
        "netflix1": (Part(0, 250), Part(0.466, 250, 8.0)),
        "netflix2": (Part(0, 160),),
        "netflix3": (Part(0, 195), Part(0.542, 195, 4.0)),
        "netflix4": (Part(0, 250), Part(0.466, 66), Part(0.628, 250)),
        "netflix5": (Part(0, 250), Part(0.334, 250, 6.67), Part(0.400, 250, 6.67)),
        "netflix6": (Part(0, 250), Part(0.334, 160, 8.33), Part(0.541, 250)),
        "netflix7": (Part(0, 250), Part(0.334, 100), Part(0.665, 250)),
    }.items()
}


def play_out(encodes: Encodes, playout: Playout) -> PlaybackLog:
    """Play every segment of `encodes` once, as the pattern says; there are no downloads.

    Our choices: parts begin at the nearest segment border, each holding at least one segment;
    stalls keep their seconds, to the nearest refresh, because annoyance depends on them; a rate
    becomes the rung of nearest rank (lowest to lowest, highest to highest), because the release's
    rates mean nothing on another ladder.

    Raises:
        ValueError: media of fewer segments than the pattern has parts.
    """
    n_rungs, n_segments = encodes.size_bits.shape
    segment_us, tick_us = encodes.ladder.segment_us, 1_000_000 // encodes.display.fps
    borders = _borders(playout, n_segments)
    ranks = [RATES_KBPS.index(part.rate_kbps) / (len(RATES_KBPS) - 1) for part in playout.parts]
    rung = np.repeat(
        [round(rank * (n_rungs - 1)) for rank in ranks], np.diff([*borders, n_segments])
    )
    stalls_us = np.zeros(n_segments, dtype=int)
    stalls_us[borders] = [
        round(part.stall_s * encodes.display.fps) * tick_us for part in playout.parts
    ]
    segments = np.arange(n_segments)
    return PlaybackLog(
        segment_us=segment_us,
        tick_us=tick_us,
        rung=rung,
        size_bits=encodes.size_bits[rung, segments],
        play_start_us=segments * segment_us + np.cumsum(stalls_us),
    )


def _borders(playout: Playout, n_segments: int) -> list[int]:
    """The segment with which each part begins."""
    borders = [0]
    for part in playout.parts[1:]:
        borders.append(max(borders[-1] + 1, round(part.start * n_segments)))
    if borders[-1] >= n_segments:
        raise ValueError(
            f"playout {playout.name} has {len(playout.parts)} parts and the media {n_segments} "
            "segments, expected at least one segment a part; are the media too short?"
        )
    return borders
