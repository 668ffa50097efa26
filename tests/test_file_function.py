"""What the store refuses to keep, naming the function; the function's own errors pass through."""

import json

import pytest
import torch

from qoe_core.store import Store
from tests.spelled import Returns, Spelled

TYPES = "['BOOL', 'U8', 'I8', 'I16', 'I32', 'I64', 'F16', 'BF16', 'F32', 'F64']"
LAYOUT = "or not contiguous, expected a contiguous CPU tensor; is a .cpu().contiguous() missing?"
RESULTS = {
    "no mapping": (
        torch.ones(1),
        TypeError,
        "returns returned Tensor, expected tensors by name",
    ),
    "nothing": ({}, ValueError, "returns returned no tensor, expected at least one"),
    "a list": (
        {"features": [1.0]},
        TypeError,
        "returns returned list under 'features', expected a tensor under a text",
    ),
    "a number as name": (
        {3: torch.ones(1)},
        TypeError,
        "returns returned Tensor under 3, expected a tensor under a text",
    ),
    "a reserved name": (
        {"__metadata__": torch.ones(1)},
        ValueError,
        "returns returned a tensor named __metadata__, which safetensors keeps",
    ),
    "transposed": (
        {"features": torch.ones(2, 3).T},
        ValueError,
        f"returns returned features with torch.strided on cpu, {LAYOUT}",
    ),
    "sparse": (
        {"features": torch.ones(2, 3).to_sparse()},
        ValueError,
        f"returns returned features with torch.sparse_coo on cpu, {LAYOUT}",
    ),
    "elsewhere": (
        {"features": torch.ones(1, device="meta")},
        ValueError,
        f"returns returned features with torch.strided on meta, {LAYOUT}",
    ),
    "complex": (
        {"features": torch.ones(1, dtype=torch.complex64)},
        ValueError,
        f"returns returned features as torch.complex64, expected one of {TYPES}",
    ),
}


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"frames")
    return path


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.mark.parametrize(("result", "error", "message"), RESULTS.values(), ids=RESULTS)
def test_a_result_that_cannot_be_kept_is_refused(store, video, refuses, result, error, message):
    with refuses(message, error):
        store.get(video, Returns(result))


def test_a_refused_result_leaves_no_entry(store, video):
    with pytest.raises(ValueError, match="no tensor"):
        store.get(video, Returns({}))
    assert not store.has(video, Returns({}))


def test_an_identity_without_a_name_is_refused(store, video, refuses):
    function = Returns({"features": torch.ones(1)})
    function.identity = {"version": 1}
    with refuses(f"identity of {function!r} is {{'version': 1}}, expected a text under 'name'"):
        store.get(video, function)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (torch.float16, "Object of type dtype is not JSON serializable"),
        (float("nan"), "Out of range float values are not JSON compliant"),
    ],
    ids=["dtype", "nan"],
)
def test_an_identity_that_is_not_json_is_refused(store, video, refuses, value, problem):
    with refuses(
        f"identity of returns is not JSON: {problem}, expected texts, finite numbers, lists and "
        "dicts of these",
        TypeError,
    ):
        store.get(video, Returns({"features": torch.ones(1)}, value=value))


def test_an_error_of_the_function_passes_untouched(store, video):
    class Fails(Spelled):
        def __call__(self, path):
            raise json.JSONDecodeError("no container", "frames", 2)

    with pytest.raises(json.JSONDecodeError, match=r"\Ano container: line 1 column 3 \(char 2\)\Z"):
        store.get(video, Fails())


def test_an_os_error_of_the_function_is_no_trouble_of_the_store(store, video, caplog):
    class Fails(Spelled):
        def __call__(self, path):
            raise OSError("codec crashed")

    with pytest.raises(OSError, match=r"\Acodec crashed\Z"):
        store.get(video, Fails())
    assert caplog.messages == []


def test_a_file_that_changes_while_it_is_read_is_refused_and_leaves_no_entry(store, video, refuses):
    class Slow(Spelled):
        def __call__(self, path):
            path.write_bytes(path.read_bytes() + b"!")
            return super().__call__(path)

    with refuses(
        f"{video}: changed while spelled was reading it, expected a finished file; is it still "
        "being written?"
    ):
        store.get(video, Slow())
    assert store.contents().empty


def test_a_file_that_is_not_there_is_refused(store, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.mp4"):
        store.get(tmp_path / "missing.mp4", Spelled())
