"""Processes that use one store at once: `python -m tests.store_processes folder` plays all scenes.

A single-threaded interpreter imports once and forks, which starts a process in milliseconds. It
prints the seconds of each scene as JSON, or a traceback where a process saw an entry that was
wrong, torn or lost.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from qoe_core import entry_file
from qoe_core.store import Store
from tests.spelled import Spelled, same, spelled

N_READERS, N_WRITERS = 8, 2
N_FILES = 40
N_KILLS = 50
PATIENCE_S = 60.0  # for all of them, on however busy a machine
KILLED_REPEAT = 20_000  # makes entries of 160 kB, so that most of the time is writing
SCENE_S = 1.5


class Reads(Spelled):
    """What was computed by someone else; being asked to compute it is losing an entry."""

    def __call__(self, path):
        raise LookupError(f"{path.name}: its entry was there and is lost or damaged")


def fork(work: Callable[..., None], *arguments: object) -> int:
    """Process that does `work` and ends with 0, or with 1 and a traceback."""
    if child := os.fork():
        return child
    status = 1
    try:
        work(*arguments)
        status = 0
    finally:
        if status:
            traceback.print_exc()
        os._exit(status)


def finish(children: list[int]) -> None:
    statuses = [os.waitpid(child, 0)[1] for child in children]
    assert not any(statuses), f"exit statuses {statuses}; see the traceback on stderr"


def check(store: Store, path: Path, function: Spelled) -> None:
    assert same(store.get(path, function), spelled(path.read_bytes(), function.repeat)), path


def write_all(folder: Path, paths: list[Path], seed: int) -> None:
    store = Store(folder, policy="none")
    for path in random.Random(seed).sample(paths, len(paths)):
        check(store, path, Spelled())
    assert store.counters["damaged"] == 0


def read_as_they_appear(folder: Path, paths: list[Path], seed: int) -> None:
    store, waiting = Store(folder, policy="none"), set(paths)
    rng = random.Random(seed)
    while waiting:
        path = rng.choice(sorted(waiting))
        if store.has(path, Spelled()):
            check(store, path, Reads())
            waiting.discard(path)
        else:
            time.sleep(0.001)


def crowd(folder: Path, paths: list[Path]) -> None:
    """Eight read what two write, in different orders; nothing is evicted."""
    readers = [fork(read_as_they_appear, folder, paths, seed) for seed in range(N_READERS)]
    finish(readers + [fork(write_all, folder, paths, seed) for seed in range(N_WRITERS)])
    for path in paths:
        check(Store(folder), path, Reads())


def rewrite(folder: Path, paths: list[Path], seed: int) -> None:
    rng, end = random.Random(seed), time.monotonic() + SCENE_S
    whole = {path: spelled(path.read_bytes()) for path in paths}
    keys = {row.source: row.entry for row in Store(folder).contents().itertuples()}
    while time.monotonic() < end:
        path = rng.choice(paths)
        key = keys[path.name]
        texts = {"key": key, "identity": "{}", "source": path.name}
        entry_file.write(folder / key[:2] / f"{key}.safetensors", whole[path], texts)


def reread(folder: Path, paths: list[Path], seed: int) -> None:
    store, rng, end = Store(folder, policy="none"), random.Random(seed), time.monotonic() + SCENE_S
    while time.monotonic() < end:
        check(store, rng.choice(paths), Reads())
    assert store.counters["disk"] > 0


def replace(folder: Path, paths: list[Path]) -> None:
    """Eight read five entries that two replace all the time."""
    for path in paths[:5]:
        check(Store(folder), path, Spelled())
    readers = [fork(reread, folder, paths[:5], seed) for seed in range(N_READERS)]
    finish(readers + [fork(rewrite, folder, paths[:5], seed) for seed in range(N_WRITERS)])


def use(folder: Path, paths: list[Path], disk_bytes: int, seed: int) -> None:
    store = Store(folder, disk_bytes=disk_bytes, policy="none")
    rng, end = random.Random(seed), time.monotonic() + SCENE_S
    while time.monotonic() < end:
        check(store, rng.choice(paths), Spelled())
    counted = store.counters
    assert (counted["damaged"], counted["unsaved"]) == (0, 0), counted
    assert counted["disk"] > 0, counted
    assert counted["evicted"] > 0, counted


def evict(folder: Path, paths: list[Path]) -> None:
    """Ten read and write, each with room for ten entries of thirty."""
    check(Store(folder), paths[0], Spelled())
    one = Store(folder).contents()["bytes"][0]
    finish([fork(use, folder, paths[:30], 10 * one, seed) for seed in range(10)])
    for path in paths[:30]:
        check(Store(folder), path, Spelled())


def write_for_ever(folder: Path, path: Path, first: int) -> None:
    store = Store(folder, policy="none")
    for version in range(first, first + 1_000_000):
        store.get(path, Spelled(version, KILLED_REPEAT))


def kill(folder: Path, paths: list[Path]) -> None:
    """Kill a writer at fifty moments after its first entry; each entry that is there is whole."""
    rng, expected = random.Random(0), spelled(paths[0].read_bytes(), KILLED_REPEAT)
    end = time.monotonic() + PATIENCE_S
    for number in range(N_KILLS):
        n_before = len(list(folder.rglob("*.safetensors")))
        child = fork(write_for_ever, folder, paths[0], number * 1_000_000)
        while len(list(folder.rglob("*.safetensors"))) == n_before:
            assert time.monotonic() < end, f"writer {number} wrote nothing"
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    entries = sorted(folder.rglob("*.safetensors"))
    assert len(entries) >= N_KILLS, len(entries)
    assert all(same(entry_file.read(entry, entry.stem), expected) for entry in entries)
    unfinished = list(folder.rglob("*.tmp"))
    assert unfinished, "no kill met a writer in the middle of a file"


def main(folder: Path) -> None:
    """Play each scene in an empty folder."""
    torch.set_num_threads(1)
    played = {}
    for scene in (crowd, replace, evict, kill):
        stage = folder / scene.__name__
        stage.mkdir()
        paths = [stage / f"clip_{number}.mp4" for number in range(N_FILES)]
        for number, path in enumerate(paths):
            path.write_bytes(b"clip %03d" % number)
        started = time.monotonic()
        try:
            scene(stage / "store", paths)
            played[scene.__name__] = time.monotonic() - started
        except (AssertionError, LookupError, ValueError, OSError):
            played[scene.__name__] = traceback.format_exc()
    sys.stdout.write(json.dumps(played))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
