"""One function over many units, on all cores, with one progress line.

Workers are fresh interpreters with one numerical thread each, so results do not depend on how many
there are; they end with their parent, however it ends.
"""

import functools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing.connection import wait
from typing import Protocol, TypeVar, runtime_checkable

import torch
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

POOL_START_S = 6.0  # starting workers costs about this; shorter work is done in this process


@runtime_checkable
class Named(Protocol):
    """A unit that can say which one it is."""

    @property
    def name(self) -> str:
        """For messages."""
        ...


Unit = TypeVar("Unit", bound=Named)


def each(
    work: Callable[[Unit], object],
    units: Sequence[Unit],
    *,
    workers: int | None,
    title: str,
    expected_s: float = 0.0,
) -> None:
    """Do `work` on every unit; the order in which they finish is not defined.

    Args:
        work: a module-level function.
        units: what it is called with, one at a time.
        workers: processes; None for the cores there are.
        title: what the progress line says.
        expected_s: about what a unit costs, so that long ones need not be tried alone first.

    Raises:
        RuntimeError: `work` failed on a unit, which it names; the others are done first.
    """
    n_workers = min(workers or len(os.sched_getaffinity(0)), len(units))
    failed: dict[str, BaseException] = {}
    with tqdm(total=len(units), desc=title, disable=not units, mininterval=5) as progress:
        rest = list(units)
        while rest and not _pool_pays(progress, n_workers, expected_s):
            unit = rest.pop(0)
            try:
                _alone(work, unit)
            except RuntimeError as error:
                failed[unit.name] = error
            progress.update()
        if rest:
            failed |= _pooled(work, rest, n_workers, progress)
    if failed:
        problems = "; ".join(f"{name}: {error}" for name, error in failed.items())
        first = next(iter(failed.values()))
        raise RuntimeError(f"{len(failed)} of {len(units)} failed: {problems}") from first


def _pool_pays(progress: tqdm, n_workers: int, expected_s: float) -> bool:
    """Whether what is left, at the pace so far, takes longer than starting workers would."""
    left = progress.total - progress.n
    at_once = min(n_workers, left)
    pace = (time.time() - progress.start_t) / progress.n if progress.n else expected_s
    return at_once > 1 and pace * left * (1 - 1 / at_once) > POOL_START_S


def _alone(work: Callable[[Unit], object], unit: Unit) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _libraries(work).limit(limits=1):
            work(unit)
    except (ValueError, ArithmeticError, RuntimeError, OSError) as error:
        raise RuntimeError(str(error)) from error  # a library's own type may not survive pickling
    finally:
        torch.set_num_threads(threads)


@functools.cache
def _libraries(work: Callable[[Unit], object]) -> ThreadpoolController:
    """Those that compute in threads, which the module of `work` has loaded; a search takes 4 ms."""
    return ThreadpoolController()


def _pooled(
    work: Callable[[Unit], object], units: Sequence[Unit], n_workers: int, progress: tqdm
) -> dict[str, BaseException]:
    """The errors of the units that failed, by name; an interrupt leaves what has not begun."""
    context = multiprocessing.get_context("spawn")
    failed = {}
    with ProcessPoolExecutor(n_workers, context, initializer=_start_worker) as pool:
        futures = {pool.submit(_alone, work, unit): unit for unit in units}
        try:
            for future in as_completed(futures):
                if error := future.exception():
                    failed[futures[future].name] = error
                progress.update()
        finally:
            pool.shutdown(cancel_futures=True)
    return failed


def _start_worker() -> None:
    """One thread for torch, and a watch that ends this worker when its parent is gone."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
