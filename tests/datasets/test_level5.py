import random
import struct
from io import BytesIO

import numpy as np
import pytest
from scipy import io
from scipy.io.matlab import MatlabObject

from qoe_core import paths
from qoe_core.datasets.level5 import MAX_DEPTH, read_variables

NUMBER_TYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


def cells(*values):
    array = np.empty((1, len(values)), object)
    array[0, :] = values
    return array


VALUES = {
    **{f"numbers_{kind}": np.arange(6).reshape(2, 3).astype(kind) for kind in NUMBER_TYPES},
    "cube": np.arange(24.0).reshape(2, 3, 4),
    "logical": np.array([[True, False]]),
    "complex_number": np.array([[1 + 2j, 3 - 4j]]),
    "not_a_number": np.array([[np.nan, np.inf]]),
    "empty": np.zeros((0, 3)),
    "words": np.array(["AirShow"]),
    "wide_words": np.array(["Überfluss €"]),
    "rows_of_words": np.array(["abc", "de "]),
    "mixed_cells": cells(np.array([[1.0]]), np.array(["a.yuv"]), cells(np.array([[2, 3]]))),
}


def saved(variables, compressed=False):
    stream = BytesIO()
    io.savemat(stream, variables, do_compression=compressed)
    return stream.getvalue()


def assert_same(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if expected.dtype == object:
        for one, other in zip(found.ravel(), expected.ravel(), strict=True):
            assert_same(one, other)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_scipy(name, compressed):
    content = saved({"first": 1.0, name: VALUES[name], "last": "x"}, compressed)
    assert_same(read_variables(content, [name])[name], io.loadmat(BytesIO(content))[name])


def test_big_endian_numbers_are_read():
    name, values = b"speed", struct.pack(">2d", 1.5, -2.0)
    parts = [(6, struct.pack(">II", 6, 0)), (5, struct.pack(">ii", 1, 2)), (1, name), (9, values)]
    body = b"".join(
        struct.pack(">II", kind, len(part)) + part + bytes(-len(part) % 8) for kind, part in parts
    )
    content = bytes(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(body)) + body
    assert read_variables(content, ["speed"])["speed"].tolist() == [[1.5, -2.0]]


def test_a_name_that_is_not_stored_is_left_out():
    assert read_variables(saved({"a": 1.0}), ["b"]) == {}


def test_an_unwanted_struct_is_no_obstacle():
    content = saved({"notes": {"by": "authors"}, "a": np.array([[3.0]])})
    assert read_variables(content, ["a"])["a"] == 3.0


@pytest.mark.parametrize(
    "value",
    [
        {"by": "authors"},
        MatlabObject(np.array([[(1.0,)]], dtype=[("value", "O")]), "frames"),
        cells({"by": "authors"}),
    ],
    ids=["struct", "object", "struct in a cell"],
)
def test_a_wanted_variable_of_another_class_is_refused(value):
    with pytest.raises(ValueError, match="has class [23], expected numbers, text or cells"):
        read_variables(saved({"a": value}), ["a"])


def test_a_type_code_on_which_scipy_crashes_is_refused():
    content = bytearray(saved({"a": np.array([[1.0, 2.0]])}))
    at = content.index(struct.pack("<IId", 9, 16, 1.0))
    content[at] = 200
    with pytest.raises(ValueError, match="numbers of type 200"):
        read_variables(bytes(content), ["a"])


def test_a_shape_that_contradicts_the_number_of_values_is_refused():
    content = saved({"a": np.array([[1.0, 2.0]])})
    with pytest.raises(ValueError, match="reshape"):
        read_variables(
            content.replace(struct.pack("<ii", 1, 2), struct.pack("<ii", 9999999, 2)), ["a"]
        )


def test_a_negative_shape_is_refused():
    content = saved({"a": np.array([[1.0, 2.0]])})
    with pytest.raises(ValueError, match=r"matrix of shape \(-1, 2\)"):
        read_variables(content.replace(struct.pack("<ii", 1, 2), struct.pack("<ii", -1, 2)), ["a"])


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_anywhere_but_between_variables_is_refused(compressed):
    content = saved({"a": np.arange(5.0), "b": "text"}, compressed)
    first = 136 + int.from_bytes(content[132:136], "little")
    for end in set(range(len(content))) - {128, first}:
        with pytest.raises(ValueError, match="."):
            read_variables(content[:end], ["a"])


def test_a_variable_stored_twice_is_refused():
    content = saved({"a": 1.0})
    with pytest.raises(ValueError, match="'a' is stored twice"):
        read_variables(content + content[128:], ["a"])


def test_cells_nested_without_end_are_refused():
    value = np.array([[1.0]])
    for _ in range(MAX_DEPTH + 1):
        value = cells(value)
    with pytest.raises(ValueError, match="has class 1, expected"):
        read_variables(saved({"a": value}), ["a"])


def test_a_file_of_another_format_is_refused():
    with pytest.raises(ValueError, match="no level-5 header"):
        read_variables(b"\x89HDF\r\n\x1a\n" + bytes(600), ["a"])


@pytest.mark.parametrize("compressed", [False, True])
def test_flipped_bytes_give_values_or_a_refusal(compressed):
    generator = random.Random(0)
    content = saved(VALUES | {"notes": {"by": "authors"}}, compressed)
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(content))] = generator.randrange(256)
        try:
            found = read_variables(bytes(damaged), list(VALUES))
        except ValueError:
            continue
        assert set(found) <= set(VALUES)


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
def test_every_hundredth_released_file_reads_as_in_scipy():
    for path in sorted(paths.DATA.rglob("*.mat"))[::100]:
        expected = io.loadmat(path)
        names = [name for name in expected if not name.startswith("__")]
        for name, found in read_variables(path.read_bytes(), names).items():
            assert_same(found, expected[name])
