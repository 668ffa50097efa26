import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import io

from qoe_core import paths
from qoe_core.datasets import stall2
from qoe_core.session import Session
from tests.datasets.mat_mutations import FLIPPED, damage

VIDEOS, VIEWERS, CONTENTS = "vidStallData.mat", "Stall_DB_more_EXOG.mat", "contentMap.mat"
# name, content number, stalls as (media time, length) in s, samples at 30 Hz
CLIPS = [
    ("vim_a.b.xgl", 1, [], 250),
    ("vim_a.b_1_sfm.xgl", 1, [(0, 2), (5, 3)], 340),
    ("Talk_2_lms.xgl", 2, [(0, 1), (6, 4)], 318),  # the file ends 0.4 s before the last stall
    ("vim_a.b_1_sfm.xgl", 1, [(3, 2)], 270),
]
ABSENT = {2: [4, 26]}  # viewers of a clip


def cells(values):
    """A column of cells, as released."""
    array = np.empty((len(values), 1), object)
    array[:, 0] = values
    return array


def played_and_stalled(stalls, n_seconds):
    """100 in each stalled second, by playing the clip second by second."""
    flags = []
    for media in range(n_seconds):
        flags += [100] * sum(length for at, length in stalls if at == media) + [0]
    return np.array(flags[:n_seconds], np.uint8)


def release_variables(absent=ABSENT):
    """The variables of the three files, by name."""
    rng = np.random.default_rng(0)
    seconds = [-(-n_samples // 30) for *_, n_samples in CLIPS]
    flags = [played_and_stalled(clip[2], n) for clip, n in zip(CLIPS, seconds, strict=True)]
    ratings = [rng.normal(50, 40, (27, n)) for n in seconds]
    for clip, rows in absent.items():
        ratings[clip][rows] = np.nan
    means = [np.nanmean(scores, axis=0) for scores in ratings]
    none, closing = np.int32([[-1]]), [(1000, 20)]
    listed = [
        np.array(stalls + closing).T[:, :, None] if stalls else None for *_, stalls, _ in CLIPS
    ]
    videos = {
        "names": cells([name for name, *_ in CLIPS]),
        "continuousQoE_s": cells([mean[None] for mean in means]),
        "continuousQoE": cells(
            [mean.repeat(30)[None, : clip[3]] for mean, clip in zip(means, CLIPS, strict=True)]
        ),
        "continuousQoE_s_CIlow": cells([mean[None] - 9 for mean in means]),
        "continuousQoE_s_CIhigh": cells([mean[None] + 9 for mean in means]),
        "overallQoE": np.array([[60.0], [40.0], [50.5], [49.5]]),
        "noStalls": np.uint8([[not clip[2]] for clip in CLIPS]),
        "vidLengths_s": np.uint8([[n_samples // 30] for *_, n_samples in CLIPS]),
        "stallLocs_s": cells([none if x is None else x[0].astype(np.uint16) for x in listed]),
        "stallLengths_s": cells([none if x is None else x[1].astype(np.uint8) for x in listed]),
        "stallWaveforms_s": cells([f[None] for f in flags]),
        "stallWaveforms": cells(
            [f.repeat(30)[None, : clip[3]] for f, clip in zip(flags, CLIPS, strict=True)]
        ),
    }
    return {
        VIDEOS: videos,
        VIEWERS: {"input_subj_ALL": cells(ratings).T},
        CONTENTS: {
            "content_ind": np.uint8([[number] for _, number, *_ in CLIPS]),
            "content_Vids": cells(["vim_a.b", "Talk"]),
        },
    }


def write(folder, files):
    (folder / stall2.FILES).mkdir(parents=True, exist_ok=True)
    for name, variables in files.items():
        io.savemat(folder / stall2.FILES / name, variables)
    return folder


@pytest.fixture
def files():
    return release_variables()


@pytest.fixture
def sessions(tmp_path, files):
    return stall2.read(write(tmp_path, files))


def test_media_times_become_wall_clock(sessions):
    assert sessions[1].stalls.tolist() == [[0, 2], [7, 3]]


def test_the_closing_entry_is_no_stall(sessions):
    assert [len(s.stalls) for s in sessions] == [0, 2, 2, 1]


def test_a_clip_without_stalls_says_so(sessions):
    assert sessions[0].pattern == "no_stall"
    assert sessions[0].stalled.sum() == 0


def test_the_pattern_is_the_layout_in_media_time(sessions):
    assert sessions[1].pattern == "2s_at_0s+3s_at_5s"


def test_the_last_second_is_partial(sessions):
    assert sessions[1].duration_s == pytest.approx(340 / 30)
    assert [s.n_seconds for s in sessions] == [9, 12, 11, 9]


def test_a_stall_at_the_end_stops_with_the_file(sessions):
    assert sessions[2].stalls == pytest.approx(np.array([[0, 1], [7, 3.6]]))
    assert sessions[2].stalled.tolist() == [1] + [0] * 6 + [1] * 4


def test_a_name_that_occurs_twice_gives_two_keys(sessions):
    names = [s.name for s in sessions]
    assert names == ["001_vim_a.b", "002_vim_a.b_1_sfm", "003_Talk_2_lms", "004_vim_a.b_1_sfm"]


def test_contents_come_from_the_map(sessions):
    assert [s.content for s in sessions] == ["vim_a.b", "vim_a.b", "Talk", "vim_a.b"]


def test_scores_keep_their_clip(sessions, files):
    for field, values in (
        ("continuousQoE_s", sessions[3].rated),
        ("continuousQoE_s_CIlow", sessions[3].rated_ci[:, 0]),
        ("continuousQoE_s_CIhigh", sessions[3].rated_ci[:, 1]),
    ):
        np.testing.assert_array_equal(values, files[VIDEOS][field][3, 0][0])
    assert [s.overall for s in sessions] == [60, 40, 50.5, 49.5]


def test_absent_viewers_stay_rows_of_nan(sessions):
    assert sessions[2].ratings.shape == (27, 11)
    assert np.flatnonzero(np.isnan(sessions[2].ratings).all(axis=1)).tolist() == [4, 26]


def test_ratings_of_viewers_leave_the_scale_of_their_mean(sessions):
    assert sessions[0].ratings.min() < 0
    assert sessions[0].ratings.max() > 100


def test_nothing_is_known_about_bitrate_and_quality(sessions):
    assert all(s.bitrate_kbps is None and s.quality == {} for s in sessions)


def test_derived_fields_and_the_earlier_study_are_not_read(tmp_path, files, sessions):
    files[VIDEOS]["DMOS"] = np.full((4, 1), 2.8)
    files[VIEWERS]["Nrebuffers"] = files[VIEWERS]["TSL"] = "100 is true, seconds are whole"
    folder = write(tmp_path / "again", files)
    (folder / stall2.FILES / "LIVEAvvasiStallVideoMetaData.mat").write_bytes(b"another order")
    assert [s.overall for s in stall2.read(folder)] == [s.overall for s in sessions]


@pytest.mark.parametrize("missing", [VIDEOS, VIEWERS, CONTENTS])
def test_an_incomplete_folder_is_refused(tmp_path, files, missing):
    del files[missing]
    with pytest.raises(ValueError, match=f"{missing}: no such file"):
        stall2.read(write(tmp_path, files))


def _wall_clock_times(variables):
    variables["stallLocs_s"][1, 0] = np.uint16([[0], [7], [1000]])


def _flags_of_0_and_1(variables):
    variables["stallWaveforms_s"][1, 0] = variables["stallWaveforms_s"][1, 0] // 100


def _list_cut_off(variables):
    for field in ("stallLocs_s", "stallLengths_s"):
        variables[field][1, 0] = variables[field][1, 0][:-1]


def _closing_entry_early(variables):
    for field in ("stallLocs_s", "stallLengths_s"):
        variables[field][1, 0] = variables[field][1, 0][[0, 2, 1]]


def _closing_entry_twice(variables):
    for field in ("stallLocs_s", "stallLengths_s"):
        variables[field][1, 0] = variables[field][1, 0][[0, 1, 2, 2]]


def _stalls_denied(variables):
    variables["noStalls"][1, 0] = 1


def _another_length(variables):
    variables["vidLengths_s"][1, 0] += 1


def _another_30_hz_length(variables):
    variables["stallWaveforms"][0, 0] = variables["stallWaveforms"][0, 0][:, :-1]


def _another_clips_ratings(variables):
    variables["continuousQoE_s"][0, 0], variables["continuousQoE_s"][3, 0] = (
        variables["continuousQoE_s"][3, 0],
        variables["continuousQoE_s"][0, 0],
    )


def _interval_swapped(variables):
    low, high = variables["continuousQoE_s_CIlow"], variables["continuousQoE_s_CIhigh"]
    variables["continuousQoE_s_CIlow"], variables["continuousQoE_s_CIhigh"] = high, low


def _overall_off_scale(variables):
    variables["overallQoE"][0, 0] = 100.5


def _name_with_a_path(variables):
    variables["names"][0, 0] = "../vim_a.b.xgl"


def _half_absent(variables):
    variables["input_subj_ALL"][0, 2][4, :5] = 50


def _all_absent(variables):
    variables["input_subj_ALL"][0, 2][:] = np.nan


def _viewers_in_another_order(variables):
    variables["input_subj_ALL"] = variables["input_subj_ALL"][:, [3, 1, 2, 0]]


def _earlier_content_numbers(variables):
    variables["content_ind"][2, 0] = 32


def _contents_shifted(variables):
    variables["content_ind"] = np.roll(variables["content_ind"], 1)


REFUSED = [
    (VIDEOS, _wall_clock_times, r"stallWaveforms\{2\}\[210\] contradicts .* media time"),
    (VIDEOS, _flags_of_0_and_1, r"stallWaveforms_s\{2\}\[0\] contradicts .* the flags 0 and 1"),
    (VIDEOS, _list_cut_off, r"stallLocs_s\{2\} is \[0.0, 5.0\] .* is the list cut off"),
    (VIDEOS, _closing_entry_early, r"stallLocs_s\{2\} is \[0.0, 1000.0, 5.0\]"),
    (VIDEOS, _closing_entry_twice, "contradicts stalls at .*1005.0"),
    (VIDEOS, _stalls_denied, r"noStalls\[1\] is 1 but stallLocs_s is \[0.0, 5.0, 1000.0\]"),
    (VIDEOS, _another_length, r"vidLengths_s\[1\] is 12, expected the whole seconds of 11.333 s"),
    (VIDEOS, _another_30_hz_length, r"stallWaveforms\{1\} has 249 samples, expected 250"),
    (VIDEOS, _another_clips_ratings, r"input_subj_ALL\{1\} has mean .* in one order"),
    (VIDEOS, _interval_swapped, "has low above high"),
    (VIDEOS, _overall_off_scale, "overall is 100.5, expected 0.0 to 100.0"),
    (VIDEOS, _name_with_a_path, r"names\{1\} is '../vim_a.b.xgl', expected letters"),
    (VIEWERS, _half_absent, r"input_subj_ALL\{3\} has 26 viewers and 6 of their scores"),
    (VIEWERS, _all_absent, r"input_subj_ALL\{3\} has 0 viewers"),
    (VIEWERS, _viewers_in_another_order, r"input_subj_ALL\{1\} has mean"),
    (CONTENTS, _earlier_content_numbers, r"content_ind\[2\] is 32, .* the earlier study"),
    (CONTENTS, _contents_shifted, r"names\{3\} is 'Talk_2_lms.xgl', expected .* 'vim_a.b'"),
]


@pytest.mark.parametrize(("name", "change", "message"), REFUSED)
def test_fields_that_contradict_each_other_are_refused(tmp_path, files, name, change, message):
    change(files[name])
    with pytest.raises(ValueError, match=message):
        stall2.read(write(tmp_path, files))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("damaged") / "stall2", release_variables(absent={}))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_damaged_release_is_refused_and_flipped_bytes_never_crash(folder, data):
    name = data.draw(st.sampled_from([VIDEOS, VIEWERS, CONTENTS]))
    changes = {change.__name__: change for file, change, _ in REFUSED if file == name}
    path = folder / stall2.FILES / name
    kind = damage(data.draw, path, release_variables(absent={})[name], changes)
    try:
        sessions = stall2.read(folder)
    except ValueError:
        return
    finally:
        write(folder, {name: release_variables(absent={})[name]})
    assert kind == FLIPPED
    assert all(isinstance(session, Session) for session in sessions)


@pytest.fixture(scope="module")
def released():
    return stall2.read(paths.DATA / stall2.FOLDER)


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
class TestReleasedData:
    def test_174_clips_of_24_contents_have_519_stalls(self, released):
        assert (len(released), len({s.content for s in released})) == (174, 24)
        assert sum(len(s.stalls) for s in released) == 519
        assert sum(s.pattern == "no_stall" for s in released) == 32

    def test_14307_seconds_are_rated_between_12_and_83(self, released):
        rated = np.concatenate([s.rated for s in released])
        assert (rated.size, rated.min().round(1), rated.max().round(1)) == (14307, 12.1, 82.3)
        assert np.mean([s.overall for s in released]) == pytest.approx(50)

    def test_16_names_occur_twice_under_two_keys(self, released):
        assert len({s.name for s in released}) == 174
        assert len({s.name[4:] for s in released}) == 158

    def test_the_interval_is_196_standard_errors_of_27_viewers(self, released):
        for session in released:
            half = 1.96 * np.nanstd(session.ratings, axis=0, ddof=1) / np.sqrt(27)
            expected = session.rated[:, None] + half[:, None] * [-1, 1]
            np.testing.assert_allclose(session.rated_ci, expected, atol=1e-9)

    def test_absent_viewers_are_where_the_notes_say(self, released):
        absent = [int(np.isnan(s.ratings).all(axis=1).sum()) for s in released]
        found = {index: n for index, n in enumerate(absent) if n}
        assert found == {2: 1, 60: 4, 88: 1, 120: 3, 151: 3, 152: 2}

    def test_every_waveform_is_reproduced(self, released):
        file = paths.DATA / stall2.FOLDER / stall2.FILES / VIDEOS
        waveforms = io.loadmat(file)["stallWaveforms_s"].ravel()
        for session, waveform in zip(released, waveforms, strict=True):
            np.testing.assert_allclose(session.stalled * 100, waveform[0], atol=1e-9)

    def test_four_clips_end_while_a_listed_stall_goes_on(self, released):
        cut = [s.name[:3] for s in released if len(s.stalls) and s.stalls[-1, 1] % 1]
        assert cut == ["008", "102", "123", "127"]
