"""The store's folder: its budget, what is swept, and a run that goes on when the disk refuses."""

import errno
import os
import resource
import time

import pytest

from qoe_core.store import Store
from tests.spelled import Spelled, same, spelled

LONG_AGO_S = 1_000_000_000


@pytest.fixture
def videos(tmp_path):
    """Eight files of equal size."""
    paths = [tmp_path / f"clip_{number}.mp4" for number in range(8)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def entry_bytes(tmp_path, videos):
    """Size of each entry."""
    Store(tmp_path / "other").get(videos[0], Spelled())
    return sum(path.stat().st_size for path in (tmp_path / "other").rglob("*.safetensors"))


def fill(store, videos):
    """One entry each, the first used longest ago."""
    for age, video in enumerate(videos):
        before = set(store.folder.rglob("*.safetensors"))
        store.get(video, Spelled())
        (entry,) = set(store.folder.rglob("*.safetensors")) - before
        os.utime(entry, (LONG_AGO_S + age, LONG_AGO_S + age))


def kept(store, videos):
    return [number for number, video in enumerate(videos) if store.has(video, Spelled())]


def test_the_least_recently_used_entries_go(folder, videos, entry_bytes):
    store = Store(folder, disk_bytes=5 * entry_bytes, policy="none")
    fill(store, videos[:5])
    store.get(videos[0], Spelled())
    store.get(videos[5], Spelled())  # 6 entries; 4 fit into 90 % of 5
    assert kept(store, videos) == [0, 3, 4, 5]
    assert store.counters["evicted"] == 2


def test_within_the_budget_nothing_goes(folder, videos, entry_bytes):
    store = Store(folder, disk_bytes=8 * entry_bytes)
    fill(store, videos)
    assert kept(store, videos) == list(range(8))
    assert store.counters["evicted"] == 0


def test_the_entry_just_written_stays_even_where_it_does_not_fit(folder, videos):
    store = Store(folder, disk_bytes=1, policy="none")
    fill(store, videos[:3])
    assert kept(store, videos) == [2]


def test_entries_of_other_writers_count(folder, videos, entry_bytes):
    fill(Store(folder), videos[:7])
    store = Store(folder, disk_bytes=5 * entry_bytes, policy="none")
    store.get(videos[7], Spelled())
    assert kept(store, videos) == [4, 5, 6, 7]


def test_an_entry_evicted_by_another_process_is_computed_again(folder, videos):
    store = Store(folder, policy="none")
    store.get(videos[0], Spelled())
    for entry in folder.rglob("*.safetensors"):
        entry.unlink()
    assert same(store.get(videos[0], Spelled()), spelled(b"clip_0.mp4"))
    assert store.counters["computed"] == 2


def test_files_that_are_no_entries_are_never_deleted(folder, videos):
    others = [folder / "ab" / "weights.safetensors", folder / "notes.txt", folder / "cd" / "x.tmp"]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    Store(folder, disk_bytes=1).get(videos[0], Spelled())
    assert all(path.exists() for path in others)


@pytest.mark.parametrize(("age_s", "swept"), [(0, False), (3500, False), (3700, True)])
def test_only_old_unfinished_files_are_swept(folder, videos, age_s, swept):
    unfinished = folder / "ab" / f"ab{'0' * 62}.safetensors.0123.tmp"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"half")
    then = time.time() - age_s
    os.utime(unfinished, (then, then))
    Store(folder).get(videos[0], Spelled())
    assert unfinished.exists() is not swept


def test_an_unfinished_file_is_no_entry(folder, videos, entry_bytes):
    unfinished = folder / "ab" / f"ab{'0' * 62}.safetensors.0123.tmp"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(bytes(10 * entry_bytes))
    store = Store(folder, disk_bytes=2 * entry_bytes)
    fill(store, videos[:2])
    assert kept(store, videos) == [0, 1]
    assert len(store.contents()) == 2


@pytest.mark.parametrize("policy", ["all", "fifo", "lru", "second_chance"])
def test_memory_is_kept_by_the_policy(folder, videos, policy):
    n_bytes = len(b"clip_0.mp4") + 8  # the letters, and their number as an int64
    store = Store(folder, memory_bytes=3 * n_bytes, policy=policy)
    for number in (0, 1, 2, 0, 3):
        store.get(videos[number], Spelled())
    for entry in folder.rglob("*.safetensors"):
        entry.unlink()
    expected = {"all": [0, 1, 2, 3], "fifo": [1, 2, 3], "lru": [0, 2, 3]}
    assert kept(store, videos) == expected.get(policy, [0, 2, 3])


@pytest.fixture
def small_files():
    """No file can grow beyond 100 bytes, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def warning(folder, reason):
    return (
        f"{folder}: the store's folder fails ({reason}); what it does not keep is computed again "
        "next time"
    )


def test_a_disk_that_takes_no_more_bytes_warns_once_and_the_run_goes_on(
    folder, videos, small_files, caplog
):
    store = Store(folder, policy="none")
    found = [store.get(video, Spelled()) for video in videos[:3]]
    assert all(same(f, spelled(v.name.encode())) for f, v in zip(found, videos[:3], strict=True))
    assert caplog.messages == [warning(folder, "[Errno 27] File too large")]
    assert store.counters["unsaved"] == store.counters["computed"] == 3


def test_a_write_that_fails_leaves_no_file(folder, videos, small_files):
    Store(folder).get(videos[0], Spelled())
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_is_found_at_each_step_and_leaves_no_file(
    folder, videos, step, monkeypatch, caplog
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    assert same(Store(folder).get(videos[0], Spelled()), spelled(b"clip_0.mp4"))
    assert caplog.messages == [warning(folder, "[Errno 28] No space left on device")]
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_made_warns_once_and_memory_still_works(tmp_path, videos, caplog):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "store"
    store, function = Store(folder), Spelled()
    for video in videos[:2] * 2:
        assert same(store.get(video, function), spelled(video.name.encode()))
    (message,) = caplog.messages
    assert message.startswith(f"{folder}: the store's folder fails ([Errno 20] Not a directory")
    assert function.n_calls == 2
    assert store.counters["memory"] == store.counters["unsaved"] == 2


def test_an_entry_that_may_not_be_read_warns_and_is_computed(folder, videos, caplog):
    Store(folder).get(videos[0], Spelled())
    (entry,) = folder.rglob("*.safetensors")
    entry.unlink()
    entry.mkdir()
    assert same(Store(folder).get(videos[0], Spelled()), spelled(b"clip_0.mp4"))
    assert caplog.messages == [warning(folder, f"[Errno 21] Is a directory: '{entry}'")]


def test_entries_are_served_where_their_last_use_cannot_be_written(folder, videos, monkeypatch):
    Store(folder).get(videos[0], Spelled())

    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refused)
    store = Store(folder)
    store.get(videos[0], Spelled())
    assert store.counters["disk"] == 1


def test_the_folder_is_not_looked_through_at_every_write(folder, videos, monkeypatch):
    store = Store(folder)
    store.get(videos[0], Spelled())
    monkeypatch.setattr(type(folder), "glob", lambda *_: pytest.fail("looked through"))
    store.get(videos[1], Spelled())
    assert store.counters["unsaved"] == 0
