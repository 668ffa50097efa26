"""Speed of what the explorer computes while somebody waits, each against a bar; `qoe_core.bench`.

The session is simulated and the network untrained, of the default size and with the inputs of a
data set's chapter: neither changes the work. What the browser does is not in it.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from qoe_core import attribution, bench_training, what_if
from qoe_core.bench_video import Row, medians
from qoe_core.decimation import decimated
from qoe_core.explanation import Explanation
from qoe_core.incremental import Incremental
from qoe_core.models.network import FittedNetwork
from qoe_core.models.table_rows import build
from qoe_core.models.variants import OURS
from qoe_core.session import Session, hold_through_stalls, stalled_fraction
from qoe_core.traces import Trace
from qoe_core.widgets import lines
from qoe_core.widgets.panel import Panel
from qoe_core.widgets.timeline import N_POINTS, Timeline, View

SECONDS = 90
STALLS = ((20.0, 2.5), (50.0, 4.0), (70.0, 1.0))  # start and duration, s
N_STEPS = 32  # of integrated gradients
N_EDITS, N_CLICKS, ROUNDS = 100, 100, 5
N_MODELS = 5  # whose predictions the clicked timeline shows
LONG = 100_000  # seconds of the series that is decimated
GRADIENTS_S, WHAT_IF_MS, DECIMATION_MS, CLICK_MS = 2.0, 50.0, 10.0, 150.0  # bars


def rows(dataset: str) -> Iterable[Row]:
    """Everything, one after another."""
    session, other = simulated(seed=0), simulated(seed=1)
    model = bench_training.row_config(bench_training.parameters(dataset), OURS)
    network = build(model).begin([session, other], seed=0)
    mean = network.examples([session])[0].inputs.mean(0).numpy()
    explanation = Explanation(network=network, session=session, baseline=mean)
    yield gradients(explanation)
    yield predictions(network, session)
    yield decimation()
    yield clicks(explanation)


def simulated(seed: int) -> Session:
    """A session of SECONDS with three stalls, a bitrate that jumps, and ratings that follow it."""
    stalls = np.array(STALLS)
    stalled = stalled_fraction(stalls, SECONDS)
    rng = np.random.default_rng(seed)
    rate = np.where(stalled >= 1, 0.0, rng.choice([235.0, 750.0, 1750.0, 4300.0], SECONDS))
    vmaf = hold_through_stalls(25 * np.log10(np.maximum(rate, 1.0)), stalled)
    return Session(
        dataset="bench",
        name=f"simulated_{seed}",
        content="simulated",
        pattern="drawn",
        device="none",
        duration_s=float(SECONDS),
        stalls=stalls,
        bitrate_kbps=rate,
        quality={"vmaf": vmaf},
        scale=(0.0, 100.0),
        rated=vmaf,
        overall=float(vmaf.mean()),
    )


def gradients(explanation: Explanation) -> Row:
    """Seconds for integrated gradients of the mean score."""
    subject = attribution.subject(explanation.network, explanation.session, explanation.baseline)
    ways = {OURS: lambda: attribution.integrated_gradients(subject, N_STEPS)}
    spent = medians(ways, ROUNDS)[OURS]
    what = f"integrated gradients of {_session()}, {N_STEPS} steps, {OURS}"
    return what, spent, "s", "bar", GRADIENTS_S, GRADIENTS_S / spent


def predictions(network: FittedNetwork, session: Session) -> Row:
    """Milliseconds for an edit and its prediction, longest but 5 %."""
    incremental = Incremental(network, session)
    spent = _p95_ms([lambda edit=edit: incremental.predict(edit()) for edit in edits(session)])
    what = f"what-if prediction of {_session()}, p95 of {N_EDITS} edits, {OURS}"
    return what, spent, "ms", "bar", WHAT_IF_MS, WHAT_IF_MS / spent


def edits(session: Session) -> Iterator[Callable[[], Session]]:
    """N_EDITS changes of `simulated`, of each kind as many, made when they are called."""
    rng = random.Random(0)
    playing = np.flatnonzero(session.stalled == 0).tolist()
    for _ in range(N_EDITS // 5):
        start, number, before = rng.choice(playing), rng.randrange(len(STALLS)), rng.uniform(0, 40)
        length, first = rng.uniform(0.5, 8), rng.randrange(SECONDS - 5)
        kbps = rng.uniform(200, 5000)
        yield lambda at=float(start), s=length: what_if.insert_stall(session, at, s)
        yield lambda at=before: what_if.move_stall(session, 0, at)
        yield lambda n=number, s=length: what_if.lengthen_stall(session, n, s)
        yield lambda n=number: what_if.delete_stall(session, n)
        yield lambda at=first, to=kbps: what_if.set_bitrate(session, at, at + 5, to)


def decimation() -> Row:
    """Milliseconds for the points of a long series that a screen has room for."""
    values = np.random.default_rng(0).normal(size=LONG).cumsum()
    ways = {"ours": lambda: decimated(values, N_POINTS, 0, LONG - 1)}
    spent = 1e3 * medians(ways, 30)["ours"]
    what = f"decimate {LONG} simulated seconds to {N_POINTS} points"
    return what, spent, "ms", "bar", DECIMATION_MS, DECIMATION_MS / spent


def clicks(explanation: Explanation) -> Row:
    """Milliseconds from a click on a second to what the browser is told of it, longest but 5 %.

    As `widgets.explorer` does: the second is marked in the timeline, explained, and shown.
    """
    session, label = explanation.session, explanation.session.rated / 100
    predicted = {f"model {number}": label * (1 - number / 10) for number in range(N_MODELS)}
    trace = Trace(session.name, label, None, session.stalled, predicted)
    drawn = lines.as_played(trace, session, explanation.curves)
    timeline, panel = Timeline(lambda second: None, lambda *stall: None), Panel()
    timeline.draw(View(lines=drawn, stalls=session.stalls, second=0, title=session.name))

    def click(second: int) -> None:
        timeline.mark(second)
        panel.show(second, explanation.second(second))

    rng = random.Random(0)
    chosen = [rng.randrange(SECONDS) for _ in range(N_CLICKS)]
    spent = _p95_ms([lambda second=second: click(second) for second in chosen])
    what = f"click in {_session()} with {N_MODELS} models, p95 of {N_CLICKS}, without the browser"
    return what, spent, "ms", "bar", CLICK_MS, CLICK_MS / spent


def _session() -> str:
    return f"a simulated session of {SECONDS} s"


def _p95_ms(works: Sequence[Callable[[], object]]) -> float:
    """The time that 95 % of the works stay below; the first of them is done once before."""
    works[0]()
    spent = []
    for work in works:
        started = time.perf_counter()
        work()
        spent.append(1e3 * (time.perf_counter() - started))
    return statistics.quantiles(spent, n=20)[-1]
