import re

import pytest

from qoe_core.datasets.release import csv_table, json_fields


@pytest.fixture
def refused(tmp_path):
    """The message with which `reader` refuses a file of this content."""

    def refuse(reader, content, *names):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(path))) as refusal:
            reader(path, *names)
        return str(refusal.value)

    return refuse


def test_csv_columns_come_as_numbers_and_texts(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('clip,other,score\n"a, b",x,1e1\nc,,-.5\n')
    table = csv_table(path, ["score"], ["clip"])
    assert table.to_dict("list") == {"score": [10.0, -0.5], "clip": ["a, b", "c"]}


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "not readable as CSV"),
        (b"a,b\n", "has 0 rows"),
        (b"a,b\n1,2", "line break after the last"),
        (b"a\n1\n", "expected each of"),
        (b"a,b,a\n1,2,3\n", "expected each of"),
        (b"a,b\n1,2\n3\n", "row 1: has 1 cells, expected 2"),
        (b"a,b\n1,2,3\n4,5,6\n", "row 0: has 3 cells, expected 2"),
        (b"a,b\n1,2\n\n3,4\n", "row 1: has 0 cells"),
        (b"a,b\n1,\n", "b is empty"),
        (b"a,b\n,2\n", "a is ''"),
        (b"a,b\nnan,2\n", "a is 'nan'"),
        (b"a,b\ninf,2\n", "a is 'inf'"),
        (b"a,b\n1e999,2\n", "a is '1e999'"),
        (b"a,b\n1_0,2\n", "a is '1_0'"),
        (b"a,b\n0x1,2\n", "a is '0x1'"),
        (b'a,b\n1,"2\n', "not readable as CSV"),
        (b"a,b\n1,\xff\n", "not readable as CSV"),
        (b"a,b\n\x00,2\n", "a is"),
    ],
)
def test_csv_refuses_a_table_that_is_not_whole(refused, content, cause):
    assert cause in refused(csv_table, content, ["a"], ["b"])


def test_csv_refuses_an_absent_file(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        csv_table(tmp_path / "absent.csv", ["a"])


def test_json_gives_the_named_fields(tmp_path):
    path = tmp_path / "fields.json"
    path.write_text('{"a": [1, 2.5], "b": {"c": null}, "d": 0}')
    assert json_fields(path, ["a", "b"]) == {"a": [1, 2.5], "b": {"c": None}}


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "not readable as JSON"),
        (b'{"a": 1', "not readable as JSON"),
        (b'{"b": 1}', "no field ['a']"),
        (b"[1]", "no field ['a'], has list"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity is not a JSON number"),
        (b'{"a": 1, "a": 2}', "given twice"),
        (b'{"a": {"c": 1, "c": 1}}', "given twice"),
        (b'{"a": ' + b"[" * 200_000, "RecursionError"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not readable as JSON"),
        (b'{"a": "\xff"}', "not readable as JSON"),
    ],
)
def test_json_refuses_what_is_no_plain_object(refused, content, cause):
    assert cause in refused(json_fields, content, ["a"])


def test_json_refuses_an_absent_file(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        json_fields(tmp_path / "absent.json", ["a"])
