"""Speed and memory, measured in one run: `python -m qoe_core.bench` writes figures/bench/bench.csv.

Not a test: nothing is asserted. Trains on the human data sets that are found, else on the simulated
corpus, which must have been built.
"""

import dataclasses
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import yaml

from qoe_core import (
    bench_browser,
    bench_explorer,
    bench_peers,
    bench_training,
    bench_video,
    library,
    parallel,
)
from qoe_core.datasets import catalog
from qoe_core.experiment import Experiment, plan
from qoe_core.manifest import Producer
from qoe_core.models.table_rows import ENSEMBLE
from qoe_core.paths import PARAMS
from qoe_core.units import Bundle, Unit, run_bundle

COLUMNS = ["what", "value", "unit", "reference", "reference_value", "ratio"]
N_PARALLEL = 12  # units that are run one by one, then on all cores


def main() -> None:
    """Measure, print as it goes, export."""
    names = catalog.found() or [library.SIMULATED]
    rows = [("read all sessions, " + name, seconds(library.sessions, name), "s") for name in names]
    chosen = "live_nflx2" if "live_nflx2" in names else library.SIMULATED
    params = bench_training.parameters(chosen)
    report = yaml.safe_load((PARAMS / f"03_results--{chosen}--leave-content-out.yaml").read_text())
    sessions = library.sessions(chosen)
    with tempfile.TemporaryDirectory() as folder:
        for model in (name for name in report["models"] if not name.endswith(ENSEMBLE)):
            fold = Bundle(units(params, model, sessions, Path(folder))[:1])
            rows.append((f"one fold of {chosen}, {model}", seconds(run_bundle, fold), "s"))
        rows.append(("peak memory, everything above", peak_mb(resource.RUSAGE_SELF), "MB"))
        alone, pooled = both_ways(params, sessions, Path(folder))
        rows.append(("peak memory of one worker", peak_mb(resource.RUSAGE_CHILDREN), "MB"))
        compared = [*bench_training.rows(chosen, names, Path(folder))]
        compared += bench_peers.rows(names, Path(folder) / "peers")
        compared += bench_video.rows(Path(folder))
        compared += bench_explorer.rows(chosen)
        compared += bench_browser.rows(names)
    title = f"{N_PARALLEL} folds and seeds of {chosen}, gru"
    workers = (f"{title}, all cores", pooled, "s", f"{title}, one by one", alone, alone / pooled)
    alone_rows = [row + ("", None, None) for row in rows]
    table = pd.DataFrame([*alone_rows, workers, *compared], columns=COLUMNS)
    producer = Producer(
        notebook="bench", program="qoe_core/bench.py", parameters={"dataset": chosen}
    )
    producer.csv(table, "bench")
    sys.stdout.write(table.to_string(index=False, na_rep="") + "\n")


def seconds(work: Callable[..., object], *arguments: object) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - started


def peak_mb(who: int) -> float:
    """Largest resident memory so far of this process, or of its largest child that ended."""
    return resource.getrusage(who).ru_maxrss / 1024


def units(params: dict, model: str, sessions: Sequence, folder: Path) -> list[Unit]:
    """The units of one model with the chapter's parameters, kept under `folder`."""
    experiment = Experiment(
        dataset=params["dataset"],
        split=params["split"],
        model=bench_training.row_config(params, model),
        seeds=tuple(params["seeds"]),
    )
    planned = plan(experiment, sessions)
    return [dataclasses.replace(u, folder=folder / model / u.folder.name) for u in planned]


def both_ways(params: dict, sessions: Sequence, folder: Path) -> tuple[float, float]:
    """Seconds of the same GRU units one by one, and on all cores."""
    times = []
    for workers in (1, None):
        planned = units(params, "gru", sessions, folder / f"workers_{workers}")[:N_PARALLEL]
        todo = [Bundle([unit]) for unit in planned]
        started = time.perf_counter()
        parallel.each(run_bundle, todo, workers=workers, title=f"workers: {workers or 'all'}")
        times.append(time.perf_counter() - started)
    return times[0], times[1]


if __name__ == "__main__":
    main()
