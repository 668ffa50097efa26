"""Many processes on one store, and writers that are killed: no entry is lost, torn or wrong.

The processes are those of store_processes, all started by one interpreter.
"""

import json
import subprocess
import sys
import threading

import pytest

from qoe_core.paths import ROOT
from qoe_core.store import Store
from tests.spelled import Spelled, same, spelled

SCENES = {
    "crowd": "eight readers find whole what two writers write at once",
    "replace": "eight readers never see an entry that is being replaced",
    "evict": "ten evict what the others read and write",
    "kill": "fifty writers killed at random moments leave whole entries only",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Seconds of each scene, or a traceback; and what the processes wrote to stderr."""
    command = [sys.executable, "-m", "tests.store_processes", tmp_path_factory.mktemp("scenes")]
    ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(ended.stdout), ended.stderr


@pytest.mark.parametrize("scene", SCENES, ids=SCENES.get)
def test_processes_share_a_store(scene, played):
    seconds, _ = played
    assert isinstance(seconds[scene], float), seconds[scene]


def test_no_process_reports_damage_or_trouble(played):
    assert played[1] == ""


def test_threads_share_a_store(tmp_path):
    paths = [tmp_path / f"clip_{number}.mp4" for number in range(6)]
    for path in paths:
        path.write_bytes(path.name.encode())
    store = Store(tmp_path / "store", memory_bytes=60)  # three results of 18 bytes
    wrong = []

    def use(seed):
        for step in range(100):
            path = paths[(seed + step * 5) % 6]
            if not same(store.get(path, Spelled()), spelled(path.name.encode())):
                wrong.append(path)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    counted = store.counters
    assert counted["memory"] + counted["disk"] + counted["computed"] == 400
    assert counted["damaged"] == counted["unsaved"] == 0
