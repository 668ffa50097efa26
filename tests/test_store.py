"""The store: what is computed, what is served, what is kept in memory and on disk."""

import os
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from qoe_core import store as store_module
from qoe_core.entry_file import DTYPES
from qoe_core.store import FileFunction, Store
from tests.spelled import Returns, Spelled, same, spelled


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"frames")
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "store"


def entries(folder):
    return sorted(folder.rglob("*.safetensors"))


def used(store):
    """The counters that are not 0."""
    return {name: count for name, count in store.counters.items() if count}


def test_a_result_is_computed_once_then_served_from_memory(folder, video):
    store, function = Store(folder), Spelled()
    assert all(same(store.get(video, function), spelled(b"frames")) for _ in range(3))
    assert function.n_calls == 1
    assert used(store) == {"computed": 1, "memory": 2}


def test_another_process_s_entry_is_served_from_disk(folder, video):
    Store(folder).get(video, Spelled())
    store, function = Store(folder), Spelled()
    assert same(store.get(video, function), spelled(b"frames"))
    assert function.n_calls == 0
    assert used(store) == {"disk": 1}


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3, 5)], ids=str)
def test_every_type_and_shape_comes_back_from_disk(folder, video, dtype, shape):
    tensors = {"odd": torch.ones(3).bool(), "it": (10 * torch.rand(shape)).to(dtype)}
    Store(folder).get(video, Returns(tensors))
    assert same(Store(folder).get(video, Returns({})), tensors)


def test_tensors_are_in_the_order_of_their_names_wherever_they_come_from(folder, video):
    result = {"c": torch.ones(1).double(), "a": torch.ones(1).half(), "b": torch.ones(1)}
    first, again = Store(folder), Store(folder)
    found = [list(store.get(video, Returns(result))) for store in (first, first, again, again)]
    assert found == [["a", "b", "c"]] * 4


def test_an_entry_is_valid_safetensors_that_says_what_it_is(folder, video):
    Store(folder).get(video, Spelled())
    (entry,) = entries(folder)
    assert same(load_file(entry), spelled(b"frames"))
    with safe_open(entry, framework="pt") as file:
        texts = file.metadata()
    assert texts["key"] == entry.stem
    assert entry.parent.name == entry.stem[:2]
    assert texts["source"] == "clip.mp4"
    assert str(folder.parent) not in str(texts)


def test_an_edited_file_is_computed_again(folder, video):
    store = Store(folder)
    store.get(video, Spelled())
    video.write_bytes(b"other frames")
    assert same(store.get(video, Spelled()), spelled(b"other frames"))


def test_a_young_file_is_computed_again_even_if_its_time_stamp_did_not_tick(
    folder, video, monkeypatch
):
    store, status = Store(folder), video.stat()
    monkeypatch.setattr(type(video), "stat", lambda *_, **__: status)
    for content in (b"take 1", b"take 2"):
        video.write_bytes(content)
        assert same(store.get(video, Spelled()), spelled(content))


def test_an_edit_that_keeps_size_and_modification_time_is_computed_again(
    folder, video, monkeypatch
):
    monkeypatch.setattr(store_module, "SETTLED_NS", 0)  # else a young file is always read again
    time.sleep(0.02)
    store, before = Store(folder), video.stat()
    store.get(video, Spelled())
    video.write_bytes(b"FRAMES")
    os.utime(video, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert same(store.get(video, Spelled()), spelled(b"FRAMES"))


def test_a_settled_file_is_read_once(folder, video, monkeypatch):
    monkeypatch.setattr(store_module, "SETTLED_NS", 0)
    time.sleep(0.02)
    store = Store(folder)
    first = store.get(video, Spelled())
    monkeypatch.setattr(type(video), "open", lambda *_: pytest.fail("read again"))
    assert same(store.get(video, Spelled()), first)


@pytest.mark.parametrize("changed", [{"version": 2}, {"repeat": 2}], ids=str)
def test_another_identity_is_computed_again(folder, video, changed):
    store = Store(folder)
    store.get(video, Spelled())
    function = Spelled(**changed)
    assert same(store.get(video, function), spelled(b"frames", function.repeat))
    assert function.n_calls == 1


def test_the_order_of_the_identity_s_fields_is_no_difference(folder, video):
    one = {"a": torch.ones(1)}
    store = Store(folder)
    store.get(video, Returns(one, size=224, decoder="PyAV"))
    store.get(video, Returns(one, decoder="PyAV", size=224))
    assert used(store) == {"computed": 1, "memory": 1}


def test_the_same_content_under_another_name_is_served(folder, video):
    store, copy = Store(folder), video.with_name("copy.mp4")
    copy.write_bytes(video.read_bytes())
    store.get(video, Spelled())
    store.get(copy, Spelled())
    assert used(store) == {"computed": 1, "memory": 1}


@pytest.mark.parametrize("policy", ["none", "second_chance"])
@pytest.mark.parametrize("origin", ["computed", "disk", "memory"])
def test_editing_what_was_served_changes_nothing_that_is_served_later(
    folder, video, policy, origin
):
    store = Store(folder, policy=policy)
    if origin != "computed":
        Store(folder).get(video, Spelled())
    if origin == "memory":
        store.get(video, Spelled())
    for tensor in store.get(video, Spelled()).values():
        tensor.numpy()[...] = 0
    assert same(store.get(video, Spelled()), spelled(b"frames"))


def test_a_function_that_uses_its_buffer_again_changes_nothing_that_was_served(folder, video):
    store, function = Store(folder), Returns({"buffer": torch.ones(2)})
    served = store.get(video, function)
    function.result["buffer"].zero_()
    assert same(served, {"buffer": torch.ones(2)})
    assert same(store.get(video, function), {"buffer": torch.ones(2)})


def test_what_inference_mode_computed_can_be_trained_on(folder, video):
    with torch.inference_mode():
        features = torch.ones(3)
    served = Store(folder).get(video, Returns({"features": features}))["features"]
    weight = torch.ones(3, requires_grad=True)
    (served * weight).sum().backward()
    assert weight.grad.tolist() == [1, 1, 1]


def test_has_says_what_is_there(folder, video):
    store = Store(folder)
    assert not store.has(video, Spelled())
    store.get(video, Spelled())
    assert store.has(video, Spelled())
    assert Store(folder).has(video, Spelled())
    assert not store.has(video, Spelled(version=2))


def test_contents_list_the_last_used_first(folder, video):
    store = Store(folder, policy="none")
    store.get(video, Spelled())
    (first,) = entries(folder)
    store.get(video, Spelled(repeat=2))
    os.utime(first, (1_000_000_000, 1_000_000_000))
    table = store.contents()
    assert table["entry"].tolist()[1] == first.stem
    assert table["function"].tolist() == ["spelled", "spelled"]
    assert table["source"].tolist() == ["clip.mp4", "clip.mp4"]
    assert table["shapes"].tolist() == [
        {"length": (), "letters": (1, 12)},
        {"length": (), "letters": (1, 6)},
    ]
    assert table["bytes"].tolist()[1] == first.stat().st_size
    assert str(table["last_use"][1]) == "2001-09-09 01:46:40+00:00"
    assert table["problem"].tolist() == ["", ""]


def test_contents_of_a_folder_that_was_never_written_are_empty(folder):
    assert Store(folder).contents().empty


def test_a_source_whose_name_is_no_text_can_be_kept(folder, tmp_path):
    path = tmp_path / os.fsdecode(b"clip\xff.mp4")
    path.write_bytes(b"frames")
    store = Store(folder)
    store.get(path, Spelled())
    assert store.contents()["source"].tolist() == [r"clip\udcff.mp4"]


def test_a_function_of_a_file_has_an_identity():
    assert isinstance(Spelled(), FileFunction)
    assert not isinstance(len, FileFunction)
