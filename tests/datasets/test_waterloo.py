import numpy as np
import pytest

from qoe_core import paths
from qoe_core.datasets import waterloo
from tests.datasets.waterloo_files import METRICS, READERS, edit_column, log_columns, write_part

needs_data = pytest.mark.skipif(
    paths.DATA is None,
    reason="QOE_DATA is not set; set it to the folder of the released data sets",
)


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


def test_label_is_the_one_of_data_csv_and_never_the_one_inside_a_log(part_i):
    edit_column(part_i / "streaming_logs" / "002.csv", "mos", ["damaged"] * 10)
    assert [session.overall for session in waterloo.read_sqoe1(part_i)] == [65.652, 52.87, 8.0]


def test_strred_is_no_quality_because_some_logs_lack_it(release):
    for part, read in READERS.items():
        assert all(tuple(session.quality) == METRICS[part] for session in read(release[part]))


def test_a_stall_before_the_first_chunk_is_initial_loading_without_quality(release):
    session = waterloo.read_sqoe1(release["I"])[1]
    np.testing.assert_array_equal(session.stalls, [[0.0, 5.0]])
    assert np.isnan(session.quality["vmaf"][:5]).all()


def test_a_stall_before_a_later_chunk_holds_the_quality_before_it(release):
    session = waterloo.read_sqoe1(release["I"])[2]
    np.testing.assert_array_equal(session.stalls, [[5.0, 5.0]])
    np.testing.assert_array_equal(session.quality["vmaf"][5:10], [session.quality["vmaf"][4]] * 5)


def test_stalls_of_fractional_seconds_mix_chunks_by_the_time_shown(release):
    # 1.5 s stalled, chunks 0 and 1 until 9.5 s, 0.7 s stalled, chunk 2 from 10.2 s on
    session = waterloo.read_sqoe4(release["IV"])[0]
    table = log_columns("IV", [0] * 7, [0] * 7, seed=0)
    first, second, third = table["vmaf"][:3]
    np.testing.assert_allclose(session.stalls, [[0.0, 1.5], [9.5, 0.7]])
    expected = [*[first] * 4, (first + second) / 2, *[second] * 4, third]
    np.testing.assert_allclose(session.quality["vmaf"][1:11], expected)
    np.testing.assert_allclose(session.stalled[[0, 1, 9, 10]], [1.0, 0.5, 0.5, 0.2])


def test_encoded_height_is_that_of_the_chunk_and_held_through_stalls(release):
    initial, middle = waterloo.read_sqoe1(release["I"])[1:]
    assert np.isnan(initial.height_px[:5]).all()
    assert middle.height_px.tolist() == [1080] * 15
    mixed = waterloo.read_sqoe4(release["IV"])[0]
    # chunk 2 ends at 14.2 s
    np.testing.assert_allclose(mixed.height_px[9:15], [2160, *[1080] * 4, 0.2 * 1080 + 0.8 * 2160])


def test_patterns_name_encoding_and_stall_of_the_first_part(release):
    sessions = waterloo.read_sqoe1(release["I"])
    assert [session.pattern for session in sessions] == ["1-none", "1-initial", "1-middle"]


def test_patterns_name_both_representations_of_the_second_part(release):
    sessions = waterloo.read_sqoe2(release["II"])
    assert [session.pattern for session in sessions] == ["0-6", "6-0", "3-3"]


def test_patterns_name_abr_trace_and_codec_of_the_fourth_part(release):
    sessions = waterloo.read_sqoe4(release["IV"])
    patterns = ["RateBased-H264/1", "Rdos-H264/9", "Rdos-H264/9"]
    assert [session.pattern for session in sessions] == patterns


def test_ratings_are_the_scores_of_the_device_and_not_averaged_into_overall(release):
    session = waterloo.read_sqoe4(release["IV"])[2]
    np.testing.assert_array_equal(session.ratings, [(7 * viewer) % 101 for viewer in range(31)])
    assert session.overall == 8.0 != session.ratings.mean()


def test_equal_logs_under_other_names_stay_in_one_content(part_iv):
    logs = part_iv / "streaming_logs"
    (logs / "0003.csv").write_bytes((logs / "0002.csv").read_bytes())
    assert {session.content for session in waterloo.read_sqoe4(part_iv)} == {"river"}


RELEASED = {  # sessions, contents, patterns, seconds, stalls, initial ones, lowest and highest MOS
    "I": (waterloo.FOLDER_I, (180, 20, 9, 2400, 120, 60, 16.609, 92.826)),
    "II": (waterloo.FOLDER_II, (588, 12, 49, 4704, 0, 0, 16.521, 93.685)),
    "IV": (waterloo.FOLDER_IV, (1350, 5, 90, 39288, 821, 166, 11.447, 95.084)),
}


@pytest.mark.parametrize("part", READERS)
@pytest.mark.human
@needs_data
def test_released_sessions_have_the_counts_of_the_design(part):
    folder, expected = RELEASED[part]
    sessions = READERS[part](paths.DATA / folder)
    assert expected == (
        len(sessions),
        len({session.content for session in sessions}),
        len({session.pattern for session in sessions}),
        sum(session.n_seconds for session in sessions),
        sum(len(session.stalls) for session in sessions),
        sum((session.stalls[:, 0] == 0).sum() for session in sessions),
        min(session.overall for session in sessions),
        max(session.overall for session in sessions),
    )


@pytest.mark.human
@needs_data
def test_released_mos_of_the_fourth_part_is_not_the_mean_of_its_scores():
    sessions = waterloo.read_sqoe4(paths.DATA / waterloo.FOLDER_IV)
    apart = [abs(session.overall - session.ratings.mean()) for session in sessions]
    assert max(apart) == pytest.approx(8.0097, abs=1e-4)


@pytest.mark.human
@needs_data
def test_released_equal_logs_of_the_fourth_part_share_content_and_device():
    groups = {}
    for session in waterloo.read_sqoe4(paths.DATA / waterloo.FOLDER_IV):
        groups.setdefault(session.sources[1].read_bytes(), []).append(session)
    equal = [group for group in groups.values() if len(group) > 1]
    assert (len(equal), sum(map(len, equal))) == (90, 197)
    assert all(
        len({(session.content, session.device) for session in group}) == 1 for group in equal
    )
