"""The simulated corpus: every content streamed under every pattern and rated by the same panel.

A pattern is an ABR algorithm on a trace. Everything follows from the config, seed included; every
session says `simulated` as its data set and device.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qoe_core.datasets.timeline import Timeline
from qoe_core.session import Session
from qoe_core.simulate.abr import ABRS
from qoe_core.simulate.contents import Content, draw_contents
from qoe_core.simulate.ladder import NETFLIX_2015, Ladder, encode
from qoe_core.simulate.player import PlaybackLog, Player, play
from qoe_core.simulate.throughput import Markov, Trace, read_trace
from qoe_core.simulate.viewers import SCALE, Panel, ViewerModel, draw_panel, mean_and_ci

# Mean throughput of the Markov traces (our choice, so that about half of the sessions stall); in
# mixed order, so that the first few patterns already spread
TRACE_MBPS = (0.9, 0.5, 2.0, 0.7, 1.3, 0.6, 4.0)


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Size and seed of a corpus; `traces` (CSV files) take the place of the Markov traces.

    `startup` keeps the wait before the first segment, as a stall at 0 s. LIVE-NFLX-II, whose
    sessions these resemble, leaves it out.

    Raises:
        ValueError: a size out of range, media that is no whole number of segments, or two traces of
            one name.
    """

    n_contents: int = 10
    n_patterns: int = 7  # sessions of each content
    seconds: int = 30  # of media in each session
    n_viewers: int = 24
    seed: int = 0
    startup: bool = False
    traces: tuple[Path, ...] = ()
    ladder: Ladder = NETFLIX_2015
    player: Player = field(default_factory=Player)
    viewers: ViewerModel = field(default_factory=ViewerModel)

    def __post_init__(self):
        """Refuse what cannot be drawn."""
        most = len(ABRS) * (len(self.traces) or len(TRACE_MBPS))
        for name, low, high in (
            ("n_contents", 1, 99),
            ("n_patterns", 1, most),
            ("seconds", 1, 3600),
            ("n_viewers", 2, 10_000),
            ("seed", 0, 2**32 - 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}, expected {low} to {high}")
        names = [path.stem for path in self.traces]
        if len(set(names)) < len(names):
            raise ValueError(f"traces are called {names}, expected each name once; rename a file")
        if self.seconds * 1_000_000 % self.ladder.segment_us:
            raise ValueError(
                f"seconds is {self.seconds}, expected a multiple of the segment duration "
                f"({self.ladder.segment_s} s)"
            )


def simulate(config: CorpusConfig) -> list[Session]:
    """All sessions, pattern by pattern inside each content; the same config, the same bytes."""
    n_segments = config.seconds * 1_000_000 // config.ladder.segment_us
    panel = draw_panel(config.viewers, config.n_viewers, config.seed)
    chosen = patterns(config)
    sessions = []
    for clip, content in enumerate(draw_contents(config.n_contents, n_segments, config.seed)):
        encodes = encode(content, config.ladder)
        for number, (abr, trace) in enumerate(chosen):
            log = play(encodes, trace, ABRS[abr], config.player)
            rng = np.random.default_rng((config.seed, 3, clip, number))
            sessions.append(
                rated_session(content, f"{abr}/{trace.name}", log, panel, rng, config.startup)
            )
    return sessions


def patterns(config: CorpusConfig) -> list[tuple[str, Trace]]:
    """The first `n_patterns` pairs of ABR name and trace: all traces once, then the next round.

    Each round shifts the ABRs by one, so that no pair comes twice.
    """
    if config.traces:
        traces = [read_trace(path) for path in config.traces]
    else:
        traces = [
            Markov().draw(f"markov{number}", mbps, (config.seed, 2, number))
            for number, mbps in enumerate(TRACE_MBPS, start=1)
        ]
    names = list(ABRS)
    pairs = [
        (names[(number + shift) % len(names)], trace)
        for shift in range(len(names))
        for number, trace in enumerate(traces)
    ]
    return pairs[: config.n_patterns]


def rated_session(
    content: Content,
    pattern: str,
    log: PlaybackLog,
    panel: Panel,
    rng: np.random.Generator,
    startup: bool,
) -> Session:
    """One playback at 1 Hz, rated; without `startup` it begins when playback does."""
    stalls = log.stalls_us / 1e6
    if startup:
        stalls = np.concatenate([[[0.0, log.startup_us / 1e6]], stalls])
    else:
        stalls[:, 0] -= log.startup_us / 1e6
    timeline = Timeline(np.full(len(log.rung), log.segment_us / 1e6), stalls)
    quality = timeline.held(log.quality)
    ratings, overall = panel.rate(quality, timeline.stalled, rng)
    rated, rated_ci = mean_and_ci(ratings)
    mean_overall, overall_ci = mean_and_ci(overall)
    return Session(
        dataset="simulated",
        name=f"{content.name}_{pattern.replace('/', '_')}",
        content=content.name,
        pattern=pattern,
        device="simulated",
        duration_s=timeline.duration_s,
        stalls=stalls,
        bitrate_kbps=timeline.mean(log.bitrate_kbps),
        quality={"modelled_quality": quality},
        scale=SCALE,
        rated=rated,
        rated_ci=rated_ci,
        overall=float(mean_overall),
        overall_ci=(float(overall_ci[0]), float(overall_ci[1])),
        ratings=ratings,
    )
