import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoe_core.datasets import p1203
from qoe_core.session import Session
from tests.datasets.csv_mutations import damaged_csv, flipped_bytes
from tests.datasets.p1203_files import (
    BITRATE,
    KEY,
    MOS_NUMBERS,
    N_O21,
    O46_NUMBERS,
    PVS,
    SHOWN,
    input_path,
    write_input,
    write_release,
)

MUTATIONS = settings(max_examples=300, deadline=None, derandomize=True)
READ_COLUMNS = {  # numbers and texts
    "mos.csv": (MOS_NUMBERS, KEY),
    "ratings.csv": (("rating",), (*KEY, "subject")),
    "features_mode0.csv": ((BITRATE, "sample_index"), ("pvs_id",)),
}
NOT_SCORES = (True, None, "3.5", -3.0, 0.5, 5.5, 10**400, 1e308, [3.0], {}, [[]])
NOT_STALLS = (
    None,
    {},
    "0",
    [0, 1],
    [[0]],
    [[0, 1, 2]],
    [["0", 1]],
    [[True, 1]],
    [[-1, 1]],
    [[0, -1]],
    [[0, 0]],
    [[0, 1e300]],
    [[3, 1], [1, 1]],
    [[1, 1], [1, 1]],
    [[99, 1]],
)
TEXTUAL = (
    ('"O22": [', '"O22": [NaN, '),
    ('"O22": [', '"O22": [Infinity, '),
    ('"O22": [', '"O22": [1e999, '),
    ('"O22": [', '"O22": [], "O22": ['),
    ('"O21": [', '"O21": ' + "[" * 100_000),
    ('"stalling"', '"stalls"'),
    ('"device": "', '"device": "tv'),
    ("{", "[{"),
)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A tiny release; tests that change a file restore it."""
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture
def own_release(tmp_path):
    return write_release(tmp_path)


def test_inputs_that_differ_between_contexts_are_refused(own_release):
    for mode in range(4):
        write_input(own_release, mode, *SHOWN[1], O21=[4.25] * N_O21)
    with pytest.raises(ValueError, match="'o21'.* differ from the other context's"):
        p1203.read(own_release)


def test_stalls_that_differ_between_modes_are_refused(own_release):
    write_input(own_release, 3, *SHOWN[0], I23={"stalling": [[0, 1]]})
    with pytest.raises(ValueError, match="mode3.*: stalling differs from mode 0"):
        p1203.read(own_release)


def test_audio_more_than_3_s_longer_than_video_is_refused(own_release):
    for mode in range(4):
        write_input(own_release, mode, *SHOWN[3], O21=[4.5] * 9)
    with pytest.raises(ValueError, match="at most 3 between"):
        p1203.read(own_release)


def test_another_number_of_ratings_than_mos_csv_says_is_refused(own_release):
    path = own_release / "subjective_scores" / "ratings.csv"
    path.write_text(path.read_text() + f"{SHOWN[3][0]},pc,S9,3\n")
    with pytest.raises(ValueError, match="3 ratings of mean 3.0"):
        p1203.read(own_release)


@pytest.mark.parametrize("name", ["../TR04_SRC001_HRC01", "TR04_SRC001_HRC01/..", "TR04"])
def test_a_stimulus_name_of_another_form_never_becomes_a_path(own_release, name):
    for path in (own_release / "subjective_scores").iterdir():
        path.write_text(path.read_text().replace(PVS[1], name))
    with pytest.raises(ValueError, match="expected a name like"):
        p1203.read(own_release)


def test_a_missing_stored_output_is_refused(own_release):
    path = own_release / "O46.csv"
    path.write_text(path.read_text().replace(f"{PVS[1]},2,pc", f"{PVS[1]},7,pc"))
    with pytest.raises(ValueError, match=f"no O46 for {PVS[1]}, pc, mode 2"):
        p1203.stored_outputs(own_release)


def damaged_input(data, content):
    """Damaged bytes of one input; always something to refuse."""
    way = data.draw(
        st.sampled_from(["cut", "gone", "renamed", "score", "length", "stalls", "text"])
    )
    fields = json.loads(content)
    group = data.draw(st.sampled_from(sorted(fields)))
    series = data.draw(st.sampled_from(["O21", "O22"]))
    if way == "cut":
        return content[: data.draw(st.integers(0, len(content) - 1))]
    if way == "text":
        return content.decode().replace(*data.draw(st.sampled_from(TEXTUAL)), 1).encode()
    if way == "gone":
        del fields[group]
    elif way == "renamed":
        fields[group + "s"] = fields.pop(group)
    elif way == "score":
        at = data.draw(st.integers(0, len(fields[series]) - 1))
        fields[series][at] = data.draw(st.sampled_from(NOT_SCORES))
    elif way == "length":
        fields[series] = fields[series] * 2 if data.draw(st.booleans()) else []
    else:
        fields["I23"]["stalling"] = data.draw(st.sampled_from(NOT_STALLS))
    return json.dumps(fields).encode()


def read_files(release):
    inputs = [input_path(release, mode, *key) for key in SHOWN for mode in range(4)]
    tables = [release / "subjective_scores" / name for name in ("mos.csv", "ratings.csv")]
    return [*inputs, *(3 * [*tables, release / "features" / "features_mode0.csv"])]


@MUTATIONS
@given(data=st.data())
def test_a_damaged_release_is_refused_with_its_path(release, data):
    path = data.draw(st.sampled_from(read_files(release)))
    original = path.read_bytes()
    if path.suffix == ".json":
        content = damaged_input(data, original)
    else:
        content = damaged_csv(data.draw, original, *READ_COLUMNS[path.name])
    try:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(release))):
            p1203.read(release)
    finally:
        path.write_bytes(original)


@MUTATIONS
@given(data=st.data())
def test_damaged_stored_outputs_are_refused_with_their_path(release, data):
    path = release / "O46.csv"
    original = path.read_bytes()
    rated = original[: original.index(f"{PVS[2]},0,mobile".encode())]
    try:
        path.write_bytes(damaged_csv(data.draw, rated, O46_NUMBERS, KEY))
        with pytest.raises(ValueError, match=re.escape(str(release))):
            p1203.stored_outputs(release)
    finally:
        path.write_bytes(original)


@MUTATIONS
@given(data=st.data())
def test_flipped_bytes_end_in_valid_sessions_or_value_error(release, data):
    path = data.draw(st.sampled_from(read_files(release)))
    original = path.read_bytes()
    path.write_bytes(flipped_bytes(data.draw, original))
    try:
        sessions = p1203.read(release)
    except ValueError:
        sessions = []
    finally:
        path.write_bytes(original)
    assert all(isinstance(session, Session) for session in sessions)


@pytest.mark.parametrize("mode", range(4))
def test_an_absent_input_is_refused(own_release, mode):
    path = input_path(own_release, mode, *SHOWN[2])
    path.unlink()
    with pytest.raises(ValueError, match=path.name):
        p1203.read(own_release)
