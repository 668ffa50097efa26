"""Download, buffer, start-up and rebuffering of one session, exact to the microsecond.

Segments arrive whole and one after another. Playback starts, and resumes after a stall, when enough
segments wait or the last has arrived; a download waits while the buffer is full. All times are
integer microseconds of wall clock since the first request, so playback and stalls sum up exactly.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from qoe_core.simulate.abr import Abr, State
from qoe_core.simulate.ladder import Encodes
from qoe_core.simulate.throughput import Trace


@dataclass(frozen=True, kw_only=True)
class Player:
    """Buffer limits in segments; all are our choice.

    Raises:
        ValueError: a limit below 1, or a buffer that fills up before playback may begin.
    """

    start_segments: int = 1
    resume_segments: int = 2
    max_segments: int = 6

    def __post_init__(self):
        """Refuse a player that would wait for ever."""
        needed = max(self.start_segments, self.resume_segments)
        if min(self.start_segments, self.resume_segments) < 1 or self.max_segments < needed:
            raise ValueError(
                f"{self}: expected start and resume of at least 1 segment and a buffer that holds "
                f"{needed}; a full buffer would wait for playback and playback for the buffer"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaybackLog:
    """What happened to each segment; times in microseconds since the first request."""

    segment_us: int
    rung: Int[np.ndarray, " segment"]
    size_bits: Int[np.ndarray, " segment"]
    quality: Float[np.ndarray, " segment"]
    download_start_us: Int[np.ndarray, " segment"]
    download_end_us: Int[np.ndarray, " segment"]
    play_start_us: Int[np.ndarray, " segment"]

    @property
    def startup_us(self) -> int:
        """Wait before the first segment is shown."""
        return int(self.play_start_us[0])

    @property
    def wall_us(self) -> int:
        """From the first request to the end of the last segment."""
        return int(self.play_start_us[-1]) + self.segment_us

    @property
    def bitrate_kbps(self) -> Float[np.ndarray, " segment"]:
        """Bitrate of each shown segment."""
        return self.size_bits / self.segment_us * 1e3

    @property
    def stalls_us(self) -> Int[np.ndarray, "stall 2"]:
        """Start and duration of each stall in order, the start-up wait not among them."""
        ends = self.play_start_us[:-1] + self.segment_us
        waits = self.play_start_us[1:] - ends
        return np.stack([ends, waits], axis=1)[waits > 0]


def play(encodes: Encodes, trace: Trace, abr: Abr, player: Player) -> PlaybackLog:
    """Stream every segment of `encodes` once over `trace`."""
    segment_us = encodes.ladder.segment_us
    n_segments = encodes.size_bits.shape[1]
    rungs, sizes, starts, ends, measured = [], [], [], [], []
    shown = []  # when each segment starts to play, of those for which this is known
    for segment in range(n_segments):
        start = ends[-1] if ends else 0
        if segment >= player.max_segments:
            start = max(start, shown[segment - player.max_segments] + segment_us)
        waiting = segment - len(shown)
        buffer_us = waiting * segment_us if waiting or not shown else shown[-1] + segment_us - start
        state = State(
            bitrate_kbps=encodes.ladder.bitrate_kbps,
            buffer_s=buffer_us / 1e6,
            max_buffer_s=player.max_segments * encodes.ladder.segment_s,
            measured_kbps=tuple(measured),
            rung=rungs[-1] if rungs else None,
        )
        rungs.append(abr.choose(state))
        sizes.append(int(encodes.size_bits[rungs[-1], segment]))
        starts.append(start)
        ends.append(trace.arrival_us(start, sizes[-1]))
        measured.append(sizes[-1] / (ends[-1] - start) * 1e3)
        needed = player.resume_segments if shown else player.start_segments
        shown += _newly_shown(
            shown, ends[-1], waiting, needed, segment == n_segments - 1, segment_us
        )
    return PlaybackLog(
        segment_us=segment_us,
        rung=np.array(rungs),
        size_bits=np.array(sizes),
        quality=encodes.quality[rungs, np.arange(n_segments)],
        download_start_us=np.array(starts),
        download_end_us=np.array(ends),
        play_start_us=np.array(shown),
    )


def _newly_shown(
    shown: list[int], arrival: int, waiting: int, needed: int, last: bool, segment_us: int
) -> list[int]:
    """Play starts that the arrival of one more segment settles; none while playback waits on."""
    if shown and not waiting and arrival <= shown[-1] + segment_us:
        return [shown[-1] + segment_us]
    if waiting + 1 < needed and not last:
        return []
    return [arrival + ahead * segment_us for ahead in range(waiting + 1)]
