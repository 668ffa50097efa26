import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoe_core.datasets import waterloo
from qoe_core.session import Session
from tests.datasets.csv_mutations import damaged_csv, flipped_bytes
from tests.datasets.waterloo_files import (
    CHUNK_S,
    LISTED_TEXTS,
    LOG_NUMBERS,
    METRICS,
    READERS,
    edit,
    edit_column,
    stalls_before,
    write_part,
)

MUTATIONS = settings(max_examples=300, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A tiny release of each part, by its name; tests that change a file restore it."""
    return {part: write_part(part, tmp_path_factory.mktemp(f"part_{part}")) for part in READERS}


@pytest.fixture
def part_i(tmp_path):
    return write_part("I", tmp_path)


@pytest.fixture
def part_iv(tmp_path):
    return write_part("IV", tmp_path)


@pytest.mark.parametrize("name", ["../001.csv", "/etc/passwd", "001.csv/../001.csv", "001.mat"])
def test_a_log_name_that_is_no_plain_file_name_is_refused(part_i, name):
    edit(part_i / "data.csv", "001.csv", name)
    with pytest.raises(ValueError, match="plain file name"):
        waterloo.read_sqoe1(part_i)


@pytest.mark.parametrize(
    "scores",
    [
        "[0 7  14]",
        "0 7 14",
        "[0 7 14",
        "[0 -7 14]",
        "[0 7.5 14]",
        "[]",
        "[0 7 1400]",
        "[__import__('os')]",
        "[0 7 ١]",
    ],
)
def test_scores_that_are_not_digits_and_spaces_in_brackets_are_refused(part_iv, scores):
    edit_column(part_iv / "data.csv", "individual_scores", [scores] * 3)
    with pytest.raises(ValueError, match="individual_scores of 0001.csv"):
        waterloo.read_sqoe4(part_iv)


def test_a_viewer_too_few_is_refused(part_iv):
    edit(part_iv / "data.csv", "8 15]", "8]")
    with pytest.raises(ValueError, match="31 samples, expected 32"):
        waterloo.read_sqoe4(part_iv)


def test_a_log_that_no_row_lists_is_refused(part_i):
    log = part_i / "streaming_logs" / "001.csv"
    log.with_name("004.csv").write_bytes(log.read_bytes())
    with pytest.raises(ValueError, match="004.csv"):
        waterloo.read_sqoe1(part_i)


def test_an_absent_log_is_refused(part_i):
    (part_i / "streaming_logs" / "002.csv").unlink()
    with pytest.raises(ValueError, match="002.csv"):
        waterloo.read_sqoe1(part_i)


def test_two_stalls_are_refused_where_the_design_has_one(part_i):
    log = part_i / "streaming_logs" / "002.csv"
    edit_column(log, "rebuffering_duration", stalls_before("I", chunk_0=5.0, chunk_5=5.0))
    with pytest.raises(ValueError, match="2 stalls"):
        waterloo.read_sqoe1(part_i)


def test_one_content_and_pattern_twice_is_refused(part_i):
    logs = part_i / "streaming_logs"
    (logs / "003.csv").write_bytes((logs / "002.csv").read_bytes())
    with pytest.raises(ValueError, match="002 and 003 are both"):
        waterloo.read_sqoe1(part_i)


def test_a_representation_between_two_is_refused(part_i):
    edit_column(part_i / "streaming_logs" / "001.csv", "representation_index", [0.5] * 10)
    with pytest.raises(ValueError, match="whole numbers"):
        waterloo.read_sqoe1(part_i)


def damaged(data, part, path, content):
    """The file's damaged bytes, or None to remove it; always something to refuse."""
    way = data.draw(st.sampled_from(["table", "table", "table", "absent", "contradiction"]))
    if way == "absent":
        return None
    if path.name != "data.csv":
        numbers = (*LOG_NUMBERS, *METRICS[part])
        if way == "table":
            return damaged_csv(data.draw, content, numbers)
        return content.replace(f",{CHUNK_S[part]},".encode(), b",2.5,", 1)
    texts = LISTED_TEXTS if part != "IV" else (*LISTED_TEXTS, "individual_scores", "abr", "trace")
    if way == "table":
        return damaged_csv(data.draw, content, ["mos"], texts)
    return content.replace(b"2.csv", b"3.csv", 1)


def check_refusal(read, folder, path, content):
    original = path.read_bytes()
    try:
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(folder))):
            read(folder)
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("part", READERS)
@MUTATIONS
@given(data=st.data())
def test_a_damaged_release_is_refused_with_its_path(release, part, data):
    path = data.draw(st.sampled_from(sorted(release[part].rglob("*.csv"))))
    content = damaged(data, part, path, path.read_bytes())
    check_refusal(READERS[part], release[part], path, content)


@pytest.mark.parametrize("part", READERS)
@MUTATIONS
@given(data=st.data())
def test_flipped_bytes_end_in_valid_sessions_or_value_error(release, part, data):
    path = data.draw(st.sampled_from(sorted(release[part].rglob("*.csv"))))
    original = path.read_bytes()
    path.write_bytes(flipped_bytes(data.draw, original))
    try:
        sessions = READERS[part](release[part])
    except ValueError:
        sessions = []
    finally:
        path.write_bytes(original)
    assert all(isinstance(session, Session) for session in sessions)
