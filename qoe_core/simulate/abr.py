"""Adaptive bitrate algorithms: what the player knows before a download in, the rung to ask for out.

Each is stateless; everything it may use is in `State`. Nothing here knows the future.
"""

from dataclasses import dataclass, field
from statistics import harmonic_mean
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class State:
    """What is known when the next segment is chosen."""

    bitrate_kbps: tuple[int, ...]  # mean bitrate of each rung, ascending
    buffer_s: float  # media downloaded and not yet played
    max_buffer_s: float
    measured_kbps: tuple[float, ...]  # throughput of each finished download, oldest first
    rung: int | None  # of the last download; None before the first


@runtime_checkable
class Abr(Protocol):
    """Anything that chooses a rung."""

    def choose(self, state: State) -> int:
        """Index into `state.bitrate_kbps`."""
        ...


def highest_within(bitrate_kbps: tuple[int, ...], limit_kbps: float) -> int:
    """The highest rung that needs no more than `limit_kbps`, or the lowest if none fits."""
    return max(0, sum(rate <= limit_kbps for rate in bitrate_kbps) - 1)


@dataclass(frozen=True)
class Fixed:
    """The same rung throughout, as progressive download has it; refuses one the ladder lacks.

    The default is the middle of five (our choice): the top one mostly stalls on a slow network.
    """

    rung: int = 2

    def choose(self, state: State) -> int:
        """The fixed rung."""
        if not 0 <= self.rung < len(state.bitrate_kbps):
            raise ValueError(
                f"fixed rung is {self.rung}, expected 0 to {len(state.bitrate_kbps) - 1}; "
                "is the ladder shorter than this player expects?"
            )
        return self.rung


@dataclass(frozen=True)
class Throughput:
    """The highest rung below a safe share of the harmonic mean of the last downloads.

    Source: the harmonic mean is the estimator of FESTIVE (Jiang, Sekar, Zhang, CoNEXT 2012), robust
    to single fast downloads; the safety factor 0.9 is that of the ThroughputRule of dash.js (its
    wiki, "ABR Logic"). Deviation: none of FESTIVE's randomised scheduling and gradual switching;
    5 downloads are our choice.
    """

    window: int = 5
    safety: float = 0.9

    def choose(self, state: State) -> int:
        """The lowest rung before anything was measured."""
        if not state.measured_kbps:
            return 0
        estimate = harmonic_mean(state.measured_kbps[-self.window :])
        return highest_within(state.bitrate_kbps, self.safety * estimate)


@dataclass(frozen=True)
class BufferBased:
    """A rate map from the buffer: lowest rung in the reservoir, linear over the cushion, then top.

    The rung changes only when the map passes the next rung up or down, so it does not flutter.

    Source: BBA-0 of Huang, Johari, McKeown, Trunnell, Watson, SIGCOMM 2014. Deviation: reservoir
    and cushion are shares of a far shorter buffer (our choice), because the sessions are short.
    """

    reservoir: float = 0.2
    cushion: float = 0.6

    def choose(self, state: State) -> int:
        """The last rung while the map stays between its neighbours."""
        rates = state.bitrate_kbps
        filled = (state.buffer_s / state.max_buffer_s - self.reservoir) / self.cushion
        mapped_kbps = rates[0] + min(1.0, max(0.0, filled)) * (rates[-1] - rates[0])
        if state.rung is None:
            return highest_within(rates, mapped_kbps)
        above, below = min(state.rung + 1, len(rates) - 1), max(state.rung - 1, 0)
        if mapped_kbps >= rates[above]:
            return highest_within(rates, mapped_kbps)
        if mapped_kbps <= rates[below]:
            return sum(rate < mapped_kbps for rate in rates)
        return state.rung


@dataclass(frozen=True)
class Hybrid:
    """Throughput while the buffer is short; one rung more once it is long and BBA asks for more.

    Source: the idea of DYNAMIC (Spiteri, Sitaraman, Sparacio, MMSys 2018), with its 10 s threshold.
    Deviations: BBA-0 in the place of BOLA, a single threshold without memory, and the limit of one
    rung above what the throughput carries, because a short buffer cannot repay more. A player that
    holds 12 s decides with at most 10 s, so it climbs only with a full buffer.
    """

    throughput: Throughput = field(default_factory=Throughput)
    buffer_based: BufferBased = field(default_factory=BufferBased)
    threshold_s: float = 10.0

    def choose(self, state: State) -> int:
        """The throughput choice below the threshold, at most one rung above it beyond."""
        safe = self.throughput.choose(state)
        if state.buffer_s < self.threshold_s:
            return safe
        return safe + (self.buffer_based.choose(state) > safe)


ABRS: dict[str, Abr] = {
    "fixed": Fixed(),
    "throughput": Throughput(),
    "bba": BufferBased(),
    "hybrid": Hybrid(),
}
