"""What a network delivers over time: traces from files or from a Markov model, in exact integers.

Time is whole microseconds, throughput whole bits per second, so no bit is lost to rounding. A trace
that ends repeats from its start.
"""

import itertools
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qoe_core.datasets import release

COLUMNS = ("t_start_s", "duration_s", "throughput_mbps")
US = 1_000_000  # microseconds in a second; also bits in a megabit


@dataclass(frozen=True)
class Trace:
    """Steps of constant throughput, repeated for ever.

    Raises:
        ValueError: no step, unequal lengths, an empty step, a negative throughput, or no bit in
            the whole trace (a download would never end).
    """

    name: str
    duration_us: tuple[int, ...]
    rate_bps: tuple[int, ...]
    edges: tuple[int, ...] = field(init=False, repr=False)  # us, where the steps begin and end
    work: tuple[int, ...] = field(init=False, repr=False)  # microbits delivered until each edge

    def __post_init__(self):
        """Refuse a network that cannot be simulated, then sum up the steps."""
        if len(self.duration_us) != len(self.rate_bps) or not self.rate_bps:
            raise ValueError(
                f"trace {self.name}: {len(self.duration_us)} durations and {len(self.rate_bps)} "
                "throughputs, expected as many of each and at least one; is it cut off?"
            )
        for step, (duration, rate) in enumerate(zip(self.duration_us, self.rate_bps, strict=True)):
            if duration <= 0 or rate < 0:
                raise ValueError(
                    f"trace {self.name}, step {step}: lasts {duration} us at {rate} bit/s, "
                    "expected a positive duration and no negative throughput; wrong columns?"
                )
        if not any(self.rate_bps):
            raise ValueError(
                f"trace {self.name}: throughput is 0 in all {len(self.rate_bps)} steps, expected "
                "some above 0, since a download would never end; is it in another unit?"
            )
        steps = (d * r for d, r in zip(self.duration_us, self.rate_bps, strict=True))
        object.__setattr__(self, "edges", tuple(itertools.accumulate(self.duration_us, initial=0)))
        object.__setattr__(self, "work", tuple(itertools.accumulate(steps, initial=0)))

    def delivered(self, at_us: int) -> int:
        """Microbits (bit/s times us) that arrived from the start until `at_us`."""
        rounds, within = divmod(at_us, self.edges[-1])
        step = bisect_right(self.edges, within) - 1
        return (
            rounds * self.work[-1]
            + self.work[step]
            + self.rate_bps[step] * (within - self.edges[step])
        )

    def arrival_us(self, start_us: int, size_bits: int) -> int:
        """First whole microsecond at which a download of `size_bits` from `start_us` is complete.

        >>> Trace("slow", (1_000_000,), (1000,)).arrival_us(500_000, 1500)
        2000000
        """
        if start_us < 0 or size_bits < 1:
            raise ValueError(
                f"trace {self.name}: download of {size_bits} bits from {start_us} us, expected at "
                "least one bit and a start that is not negative"
            )
        target = self.delivered(start_us) + size_bits * US
        rounds, before = divmod(target - 1, self.work[-1])
        within = before + 1  # 1 to a whole round, so that a full round ends this one
        step = bisect_left(self.work, within) - 1
        rest = within - self.work[step]
        return rounds * self.edges[-1] + self.edges[step] - (-rest // self.rate_bps[step])


def read_trace(path: Path) -> Trace:
    """Read a CSV with columns t_start_s, duration_s, throughput_mbps; steps follow without a gap.

    Raises:
        ValueError: a missing column, a value that is not finite, a duration under a microsecond, a
            negative throughput, a first start other than 0, a gap or an overlap, or no throughput.
    """
    table = release.csv_table(path, COLUMNS)
    start, duration, rate = (table[name].to_numpy() for name in COLUMNS)
    release.series(path, "t_start_s", start, low=0.0)
    release.series(path, "duration_s", duration, low=1 / US)
    release.series(path, "throughput_mbps", rate, low=0.0)
    expected = np.concatenate([[0.0], (start + duration)[:-1]])
    apart = np.flatnonzero(np.abs(start - expected) > 1 / US)
    if apart.size:
        row = apart[0]
        raise ValueError(
            f"{path}, row {row}: t_start_s is {start[row]}, expected {expected[row]} (the end of "
            "the row before, or 0); is a row missing, or are the rows out of order?"
        )
    edges = [round(second * US) for second in (*start, start[-1] + duration[-1])]
    return Trace(
        name=path.stem,
        duration_us=tuple(end - begin for begin, end in itertools.pairwise(edges)),
        rate_bps=tuple(round(mbps * US) for mbps in rate),
    )


@dataclass(frozen=True, kw_only=True)
class Markov:
    """States of mean throughput, log-normal noise inside a state, one step a second.

    That throughput of one session dwells in a few states, with a Markov chain between them, is the
    observation of CS2P (Sun et al., SIGCOMM 2016). Deviation: log-normal instead of normal noise,
    which cannot fall below 0; all numbers are our choice.
    """

    levels: tuple[float, ...] = (0.1, 1.0, 1.9)  # throughput of each state relative to the mean
    stay: float = 0.75  # probability of the same state in the next second; else any other
    spread: float = 0.25  # standard deviation of the natural log inside a state
    n_seconds: int = 300  # length before it repeats

    def draw(self, name: str, mean_mbps: float, seed: tuple[int, ...]) -> Trace:
        """A trace whose states average `mean_mbps`; the same seed gives the same trace."""
        rng = np.random.default_rng(seed)
        leaves = rng.random(self.n_seconds) >= self.stay
        jumps = rng.integers(1, len(self.levels), self.n_seconds)
        state = np.cumsum(np.where(leaves, jumps, 0)) % len(self.levels)
        noise = rng.normal(-(self.spread**2) / 2, self.spread, self.n_seconds)  # mean factor 1
        mbps = mean_mbps * np.array(self.levels)[state] * np.exp(noise)
        return Trace(name, (US,) * self.n_seconds, tuple(round(rate * US) for rate in mbps))
