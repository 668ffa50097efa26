"""Download, buffer, start-up and rebuffering of one session, and what each display refresh shows.

Segments arrive whole and one after another. Playback starts, and resumes after a stall, at the
first display refresh at which enough segments wait or the last has arrived; a download waits while
the buffer is full. All times are integer microseconds of wall clock since the first request, and
everything visible happens on a refresh, so playback and stalls sum up exactly, frame by frame.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

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
    """What happened to each segment; times in microseconds since the first request.

    A scripted playout has no downloads: both are None.

    Raises:
        ValueError: a segment or a play start that is no whole number of refreshes, or a segment
            that plays before the one before it has ended.
    """

    segment_us: int
    tick_us: int  # between two display refreshes; one media frame each while playing
    rung: Int[np.ndarray, " segment"]
    size_bits: Int[np.ndarray, " segment"]
    play_start_us: Int[np.ndarray, " segment"]
    download_start_us: Int[np.ndarray, " segment"] | None = None
    download_end_us: Int[np.ndarray, " segment"] | None = None

    def __post_init__(self):
        """Refuse what no display could show."""
        if self.segment_us % self.tick_us:
            raise ValueError(
                f"segment_us is {self.segment_us}, expected whole refreshes of {self.tick_us} us; "
                "does the frame rate divide the segment?"
            )
        late = np.diff(self.play_start_us, prepend=-self.segment_us) - self.segment_us
        wrong = np.flatnonzero((late < 0) | (late % self.tick_us != 0))
        if wrong.size:
            raise ValueError(
                f"segment {wrong[0]} starts to play at {self.play_start_us[wrong[0]]} us, expected "
                f"a refresh (every {self.tick_us} us) after the segment before; another clock?"
            )

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Shown:
    """What each display refresh shows; the last shown frame stays while playback waits.

    Before anything was shown, rung and media frame are -1 and `stalled` is True.
    """

    rung: Int[np.ndarray, " refresh"]
    media_frame: Int[np.ndarray, " refresh"]
    stalled: Bool[np.ndarray, " refresh"]  # nothing new: frozen, or nothing shown yet


def shown(log: PlaybackLog, startup: bool = False) -> Shown:
    """Refresh by refresh from the beginning of playback, or with `startup` from the first request.

    >>> two = {"rung": np.array([1, 0]), "size_bits": np.array([9, 9])}
    >>> starts = np.array([3, 6])
    >>> log = PlaybackLog(segment_us=2, tick_us=1, play_start_us=starts, **two)
    >>> shown(log).media_frame
    array([0, 1, 1, 2, 3])
    """
    n_frames = log.segment_us // log.tick_us
    first = (log.play_start_us - (0 if startup else log.startup_us)) // log.tick_us
    of_frame = (first[:, None] + np.arange(n_frames)).ravel()  # the refresh that shows it first
    stalled = np.ones(of_frame[-1] + 1, dtype=bool)
    stalled[of_frame] = False
    media_frame = np.cumsum(~stalled) - 1
    rung = np.where(media_frame < 0, -1, log.rung[media_frame // n_frames])
    return Shown(rung=rung, media_frame=media_frame, stalled=stalled)


def play(encodes: Encodes, trace: Trace, abr: Abr, player: Player) -> PlaybackLog:
    """Stream every segment of `encodes` once over `trace`."""
    segment_us = encodes.ladder.segment_us
    tick_us = 1_000_000 // encodes.display.fps
    n_segments = encodes.size_bits.shape[1]
    rungs, sizes, starts, ends, measured = [], [], [], [], []
    plays = []  # when each segment starts to play, of those for which this is known
    for segment in range(n_segments):
        start = ends[-1] if ends else 0
        if segment >= player.max_segments:
            start = max(start, plays[segment - player.max_segments] + segment_us)
        state = State(
            bitrate_kbps=encodes.ladder.bitrate_kbps,
            buffer_s=(segment * segment_us - _played_us(plays, start, segment_us)) / 1e6,
            max_buffer_s=player.max_segments * encodes.ladder.segment_s,
            measured_kbps=tuple(measured),
            rung=rungs[-1] if rungs else None,
        )
        rungs.append(abr.choose(state))
        sizes.append(int(encodes.size_bits[rungs[-1], segment]))
        starts.append(start)
        ends.append(trace.arrival_us(start, sizes[-1]))
        measured.append(sizes[-1] / (ends[-1] - start) * 1e3)
        waiting = segment + 1 - len(plays)
        needed = player.resume_segments if plays else player.start_segments
        runs_dry = plays[-1] + segment_us if plays else 0
        if ends[-1] <= runs_dry or waiting >= needed or segment == n_segments - 1:
            refresh = -(-ends[-1] // tick_us) * tick_us
            first = max(refresh, runs_dry)
            plays += [first + ahead * segment_us for ahead in range(waiting)]
    return PlaybackLog(
        segment_us=segment_us,
        tick_us=tick_us,
        rung=np.array(rungs),
        size_bits=np.array(sizes),
        play_start_us=np.array(plays),
        download_start_us=np.array(starts),
        download_end_us=np.array(ends),
    )


def _played_us(plays: list[int], now: int, segment_us: int) -> int:
    return sum(min(max(now - start, 0), segment_us) for start in plays)
