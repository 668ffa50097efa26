"""What happens to each content of a corpus: an ABR algorithm on a trace, or a playout."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qoe_core.simulate.abr import ABRS
from qoe_core.simulate.corpus import CorpusConfig, each_once
from qoe_core.simulate.ladder import Encodes
from qoe_core.simulate.player import PlaybackLog, Player, play
from qoe_core.simulate.playouts import PLAYOUTS, Playout, play_out
from qoe_core.simulate.throughput import Markov, Trace, read_trace

LONGEST = 20  # times its media that a session may last; our choice


@dataclass(frozen=True, kw_only=True, eq=False)
class Pattern:
    """`trace` with the ABR algorithm of that name, or a playout."""

    name: str
    abr: str = ""
    trace: Trace | None = None
    playout: Playout | None = None

    def play(self, encodes: Encodes, player: Player) -> PlaybackLog:
        """What the player does with one content."""
        if self.playout is not None:
            return play_out(encodes, self.playout)
        return play(encodes, self.trace, ABRS[self.abr], player)


def patterns(config: CorpusConfig) -> list[Pattern]:
    """The first `n_streamed` pairs of ABR and trace, then the playouts; each was tried once.

    All traces come once before the next round, which shifts the ABRs by one, so that no pair comes
    twice.

    Raises:
        ValueError: a trace that `traces` refuses, an ABR that the ladder is too short for, a
            playout of more parts than the media have segments, or a session that would last far
            longer than its media.
    """
    n_abrs = len(config.abrs)
    pairs = [
        (config.abrs[(number + shift) % n_abrs], trace)
        for shift in range(n_abrs)
        for number, trace in enumerate(traces(config))
    ]
    made = [
        Pattern(name=f"{abr}/{trace.name}", abr=abr, trace=trace)
        for abr, trace in pairs[: config.n_streamed]
    ]
    made += [Pattern(name=name, playout=PLAYOUTS[name]) for name in config.playouts]
    for pattern in made:
        _try(pattern, config)
    return made


def traces(config: CorpusConfig) -> list[Trace]:
    """The throughput of each network, drawn or read.

    Raises:
        ValueError: a file that is missing, a trace with a gap or without throughput, or two of one
            name.
    """
    missing = [path for path in config.traces if isinstance(path, str) and not Path(path).is_file()]
    if missing:
        raise ValueError(
            f"trace {missing[0]} is no file, expected a CSV or a number (Mbit/s), for which YAML "
            "needs a point where there is an exponent"
        )
    made = [
        read_trace(Path(given))
        if isinstance(given, str)
        else Markov().draw(f"markov{number}", given, (config.seed, 2, number))
        for number, given in enumerate(config.traces, start=1)
    ]
    each_once("traces", [trace.name for trace in made])
    return made


def _try(pattern: Pattern, config: CorpusConfig) -> None:
    """Play segments of nominal size, which takes a moment, where encoding takes minutes."""
    n_segments = config.seconds * 1_000_000 // config.ladder.segment_us
    bits = np.array(config.ladder.bitrate_kbps) * config.ladder.segment_us // 1000
    nominal = Encodes(
        ladder=config.ladder,
        display=config.display,
        size_bits=np.tile(np.maximum(bits, 1)[:, None], n_segments),
        quality={},
    )
    lasts_s = pattern.play(nominal, config.player).wall_us / 1e6
    if lasts_s > LONGEST * config.seconds:
        raise ValueError(
            f"{pattern.name} would last about {lasts_s:.0f} s, expected at most {LONGEST} times "
            f"the {config.seconds} s of media; is the throughput in another unit than Mbit/s?"
        )
