"""A damaged entry is never served: it is reported, computed again and replaced."""

import logging
import os

import pytest
from safetensors.torch import load_file, save_file

from qoe_core import entry_file
from qoe_core.entry_file import DamagedError
from qoe_core.store import Store
from tests.spelled import Spelled, same, spelled

CONTENT = b"frame"


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", policy="none")


@pytest.fixture
def entry(store, video):
    """The file of one small entry."""
    store.get(video, Spelled())
    (path,) = store.folder.rglob("*.safetensors")
    store.counters = dict.fromkeys(store.counters, 0)
    return path


def put(entry, damaged):
    """Put bytes in the entry's place, as a new file: the disk is waited for when one is cut."""
    entry.unlink()
    entry.write_bytes(damaged)


def read_again(store, video, entry, damaged):
    """What is in the place of damaged bytes after a get, which must not serve them."""
    put(entry, damaged)
    assert same(store.get(video, Spelled()), spelled(CONTENT))
    return entry_file.read(entry, entry.stem)


def flipped(whole, place, mask):
    return whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :]


@pytest.mark.parametrize("mask", [0x01, 0x20, 0xFF])
def test_each_flipped_byte_is_found(entry, mask):
    whole = entry.read_bytes()
    for place in range(len(whole)):
        put(entry, flipped(whole, place, mask))
        with pytest.raises(DamagedError):
            entry_file.read(entry, entry.stem)


def test_each_truncation_is_found(entry):
    whole = entry.read_bytes()
    for length in range(len(whole)):
        put(entry, whole[:length])
        with pytest.raises(DamagedError):
            entry_file.read(entry, entry.stem)


@pytest.mark.parametrize("place", [0, 8, 100, 200, 300, -1])
def test_a_flipped_byte_is_computed_again_and_replaced(store, video, entry, place):
    whole = entry.read_bytes()
    found = read_again(store, video, entry, flipped(whole, place % len(whole), 1))
    assert same(found, spelled(CONTENT))
    assert store.counters["damaged"] == store.counters["computed"] == 1


def test_the_contents_list_an_entry_however_it_is_damaged(store, entry):
    whole = entry.read_bytes()
    for place in range(len(whole)):
        put(entry, flipped(whole, place, 1))
        assert len(store.contents()) == 1


def test_the_contents_say_why_an_entry_cannot_be_read(store, entry):
    entry.write_bytes(b"not safetensors")
    (problem,) = store.contents()["problem"]
    assert "header" in problem


CHECKSUM = "00000000000000000000000000000000"
OTHERS = {
    "empty": (lambda whole: b"", "0 bytes without a checksum, cut off or not of this store"),
    "text": (lambda whole: b"a note", "6 bytes without a checksum, cut off or not of this store"),
    "half": (lambda whole: whole[:20], "20 bytes without a checksum, cut off or not of this store"),
    "zeros": (lambda whole: bytes(999), "999 bytes without a checksum, cut off or not of this"),
    "longer": (lambda whole: whole + b"!", "checksum is "),
    "twice": (lambda whole: whole * 2, "checksum is "),
}


@pytest.mark.parametrize(("damage", "problem"), OTHERS.values(), ids=OTHERS)
def test_a_damaged_entry_is_reported_by_name(store, video, entry, damage, problem, caplog):
    read_again(store, video, entry, damage(entry.read_bytes()))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("qoe_core.store", logging.WARNING)
    assert record.message.startswith(f"{entry}: damaged entry, computed again: {problem}")


def test_safetensors_of_someone_else_are_not_served(store, video, entry):
    save_file(load_file(entry), entry)
    read_again(store, video, entry, entry.read_bytes())
    assert store.counters["damaged"] == 1


def test_a_whole_entry_of_another_key_is_not_served(store, video, entry, caplog):
    store.get(video, Spelled(version=2))
    (other,) = set(store.folder.rglob("*.safetensors")) - {entry}
    read_again(store, video, entry, other.read_bytes())
    assert caplog.messages == [
        f"{entry}: damaged entry, computed again: belongs to another key, {other.stem}; was the "
        "file copied or renamed?"
    ]


def test_another_file_s_entry_of_the_same_function_is_not_served(store, video, entry):
    second = video.with_name("second.mp4")
    second.write_bytes(b"other")
    store.get(second, Spelled())
    (other,) = set(store.folder.rglob("*.safetensors")) - {entry}
    assert same(read_again(store, video, entry, other.read_bytes()), spelled(CONTENT))


def test_a_name_that_looks_like_a_checksum_is_no_danger(store, video):
    odd = video.with_name(f'"checksum":"{CHECKSUM}".mp4')
    odd.write_bytes(b"odd")
    store.get(odd, Spelled())
    assert same(store.get(odd, Spelled()), spelled(b"odd"))
    assert store.contents()["source"].tolist() == [odd.name]
    assert store.counters["disk"] == 1


def test_a_damaged_entry_whose_function_fails_stays_damaged(store, video, entry):
    class Fails(Spelled):
        def __call__(self, path):
            raise ArithmeticError("cannot")

    entry.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(ArithmeticError, match=r"\Acannot\Z"):
            store.get(video, Fails())
    assert store.counters["damaged"] == 2
