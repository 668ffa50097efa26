"""A build that is killed goes on as if it had not been; no process and no litter stays behind."""

import dataclasses
import errno
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from qoe_core.simulate.build import build
from qoe_core.simulate.corpus import read

DEADLINE_S = 60


def files(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


def gone(process):
    """Whether a process has ended, reaped by its parent or not."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def killed_at(command, folder, pattern, n_files):
    """Start a build and kill it when so many files are there; its children, sessions finished."""
    started = time.monotonic()
    environment = {**os.environ, "QOE_CORPORA": str(folder.parent)}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while len(list(folder.glob(pattern))) < n_files and running.poll() is None:
        assert time.monotonic() - started < DEADLINE_S
        time.sleep(0.002)
    children = psutil.Process(running.pid).children(recursive=True)
    running.kill()
    assert running.wait() == -signal.SIGKILL, "the build ended before it could be killed"
    return children, len(list(folder.glob("sessions/*.json")))


@pytest.fixture(scope="module")
def killed(tmp_path_factory, make_config):
    """Folder after three kills and a last call; children of the first build, sessions at kills."""
    folder = tmp_path_factory.mktemp("killed") / "simulated_tiny"
    params = folder.with_name("tiny.yaml")
    params.write_text(json.dumps(dataclasses.asdict(make_config())))  # JSON is YAML
    command = [sys.executable, "-m", "qoe_core.simulate", folder.name, "--params", str(params)]
    rng = random.Random(0)
    kills = [
        killed_at([*command, "--workers", workers], folder, pattern, rng.randint(low, high))
        for workers, pattern, low, high in (
            ("2", "contents/*/*", 2, 4),
            ("1", "sessions/*", 1, 3),
            ("1", "sessions/*", 5, 9),
        )
    ]
    build(make_config(), folder, workers=1)
    return folder, kills[0][0], [n_sessions for _, n_sessions in kills]


def test_builds_were_killed_while_encoding_and_while_rendering(killed):
    n_sessions = killed[2]
    assert n_sessions[0] == 0
    assert 0 < n_sessions[-1] < 6


def test_processes_do_not_outlive_a_killed_build(killed):
    children = killed[1]
    deadline = time.monotonic() + 10
    while not all(gone(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children) >= 2
    assert [child for child in children if not gone(child)] == []


def test_a_killed_build_ends_with_the_files_of_one_that_was_not(killed, tiny):
    resumed, whole = (
        {path.relative_to(folder).as_posix(): path.read_bytes() for path in files(folder)}
        for folder in (killed[0], tiny)
    )
    assert resumed.keys() == whole.keys()
    for name in resumed.keys() - {"corpus.json"}:
        assert resumed[name] == whole[name], name


def test_the_index_of_a_killed_build_differs_in_how_it_was_made_alone(killed, tiny):
    resumed, whole = (
        json.loads((folder / "corpus.json").read_text()) for folder in (killed[0], tiny)
    )
    assert resumed.keys() == whole.keys()
    made = {"commit", "seconds", "peak_memory_mb"}
    assert {key for key in whole if resumed[key] != whole[key]} <= made


def test_only_unfinished_files_of_a_build_are_swept(copied, make_config):
    mine = [copied / name for name in (".x.tmp", "sessions/notes.tmp", "sessions/.notes.1.txt")]
    theirs = [
        copied / folder / name
        for folder, name in (
            ("", ".corpus.json.77.tmp"),
            ("sessions", ".coffee_netflix1.mp4.77.tmp"),
            ("contents/coffee", ".36p_15k.77.tmp"),
        )
    ]
    for path in (*mine, *theirs):
        path.write_bytes(b"")
    build(make_config(), copied, workers=1)
    assert [path for path in (*mine, *theirs) if path.exists()] == mine


def test_a_second_build_at_once_is_refused_and_deletes_nothing(copied, make_config, refuses):
    unfinished = copied / "sessions" / ".coffee_netflix1.mp4.77.tmp"
    unfinished.write_bytes(b"half a video")
    with (copied / "build.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with refuses(
            f"{copied}: another build is going on there; wait for it or stop it", RuntimeError
        ):
            build(make_config(), copied, workers=1)
    assert unfinished.exists()


def test_a_build_that_fails_names_the_session_and_can_go_on(copied, make_config, tiny, monkeypatch):
    path = copied / "sessions" / "coffee_bba_markov2.mp4"
    path.unlink()

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(
            RuntimeError, match="1 of 6 failed: coffee_bba_markov2: .*No space left"
        ):
            build(make_config(), copied, workers=1)
    with pytest.raises(ValueError, match=r"coffee_bba_markov2\.json is missing"):
        read(copied)
    build(make_config(), copied, workers=1)
    assert path.read_bytes() == (tiny / "sessions" / path.name).read_bytes()
    assert len(read(copied)) == 6
