import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import io

from qoe_core import paths
from qoe_core.datasets import lfovia
from qoe_core.session import Session
from tests.datasets.mat_mutations import FLIPPED, damage

METRICS = ("NIQE", "PSNR", "SSIM", "MSSSIM", "STRRED")
# duration (s), frequency (a minute), second of wall clock at which each event starts
DESIGN = {1: (2, 0.5, [30]), 2: (3, 1, [0, 50]), 3: (3, 0.5, [119]), 4: (2, 1, [40, 42])}
TRAIN = np.array([[2], [1], [4], [3]], np.uint8)  # neither the same duration nor frequency
LEFT_OUT = np.array([[3, 4], [3, 4], [1, 2], [1, 2]], np.uint8)


def video(number, duration, frequency, starts):
    """One file's variables, as released: 1 x T rows, small integers as uint8."""
    rng = np.random.default_rng(number)
    flags = np.zeros(120 + duration * len(starts), np.uint8)
    for start in starts:
        flags[start : start + duration] = 1
    rated = rng.uniform(30, 80, flags.size)
    variables = {
        "Nrebuffers": flags[None],
        "rebuf_duration": np.uint8([[duration]]),
        "rebuf_frequency": np.array([[frequency]]),
        "score_continuous": rated[None],
        "score_continuous_CIlow": rated[None] - 5,
        "score_continuous_CIhigh": rated[None] + 8,
    }
    for metric in METRICS:
        played = rng.uniform(1, 40, 120)
        variables[metric], variables[f"{metric}_ext"] = played[None], stretched(played, flags)[None]
    return variables


def stretched(played, flags):
    """The played values second by second; a stalled second repeats the one before."""
    values, shown = [], 0
    for stalled in flags:
        shown += not stalled
        values.append(played[max(shown - 1, 0)])
    return np.array(values)


def write(folder, videos, train=TRAIN, left_out=LEFT_OUT):
    (folder / "QoE_matfiles").mkdir(parents=True)
    for number, variables in videos.items():
        io.savemat(folder / "QoE_matfiles" / f"video_{number}.mat", variables)
    io.savemat(
        folder / "training_videos_set.mat",
        {"training_videos_set": train, "validation_videos_set": left_out},
    )
    return folder


def one(tmp_path, variables, name="video_1.mat"):
    io.savemat(tmp_path / name, variables)
    return lfovia.read_session(tmp_path / name)


@pytest.fixture
def release(tmp_path):
    return write(tmp_path / "LFOVIA_QoE", {n: video(n, *design) for n, design in DESIGN.items()})


def test_stalls_are_the_runs_of_the_flags(release):
    sessions = lfovia.read(release)
    assert [s.stalls.tolist() for s in sessions[:3]] == [[[30, 2]], [[0, 3], [50, 3]], [[119, 3]]]


def test_two_events_that_touch_are_one_stall(release):
    assert lfovia.read(release)[3].stalls.tolist() == [[40, 4]]


def test_duration_is_playback_plus_stalls(release):
    assert [s.duration_s for s in lfovia.read(release)] == [122, 126, 123, 124]


def test_metrics_are_held_through_stalls(release):
    released = io.loadmat(release / "QoE_matfiles" / "video_4.mat")
    quality = lfovia.read(release)[3].quality
    assert set(quality) == {"niqe", "psnr", "ssim", "msssim", "strred"}
    np.testing.assert_array_equal(quality["psnr"], released["PSNR_ext"][0])
    assert quality["psnr"][44] == released["PSNR"][0, 40]


def test_no_metric_exists_before_anything_is_shown(release):
    niqe = lfovia.read(release)[1].quality["niqe"]
    assert np.isnan(niqe).tolist() == [True] * 3 + [False] * 123


def test_strred_is_kept_raw(tmp_path):
    variables = video(1, *DESIGN[1])
    variables["STRRED"] = variables["STRRED"] * 0 + 13020.95
    variables["STRRED_ext"] = variables["STRRED_ext"] * 0 + 13020.95
    assert one(tmp_path, variables).quality["strred"].max() == 13020.95


def test_time_since_last_stall_is_not_read(tmp_path):
    variables = video(1, *DESIGN[1])
    assert one(tmp_path, variables | {"TSL": "a fraction here, seconds elsewhere"}).name


def test_scores_and_their_interval_come_from_their_own_fields(release):
    session = lfovia.read(release)[0]
    np.testing.assert_array_equal(session.rated_ci[:, 0], session.rated - 5)
    np.testing.assert_array_equal(session.rated_ci[:, 1], session.rated + 8)


def test_consecutive_videos_share_a_reference_and_the_design_names_the_pattern(release):
    sessions = lfovia.read(release)
    assert [s.content for s in sessions] == ["reference_01"] * 2 + ["reference_02"] * 2
    assert [s.pattern for s in sessions][:2] == ["2s/0.5permin", "3s/1permin"]


def test_video_10_comes_after_video_9(tmp_path):
    videos = {number: video(number, *DESIGN[1]) for number in range(1, 11)}
    others = np.array([[n for n in range(1, 11) if n != test] for test in range(1, 11)])
    sessions = lfovia.read(write(tmp_path / "ten", videos, others[:, :4], others[:, 4:]))
    assert [s.name for s in sessions] == [f"video_{n:02d}" for n in range(1, 11)]


def test_training_lists_name_sessions(release):
    lists = lfovia.released_training_lists(release)
    assert lists["video_03"] == ("video_04",)
    assert list(lists) == [session.name for session in lfovia.read(release)]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds videos \[\], expected video_1.mat"):
        lfovia.read(tmp_path)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("QoE_matfiles/video_2.mat", r"holds videos \[1, 3, 4\].* is the copy complete"),
        ("QoE_matfiles/video_4.mat", "for 3 videos, expected one row each"),
        ("training_videos_set.mat", "no such file"),
    ],
)
def test_an_incomplete_folder_is_refused(release, missing, message):
    (release / missing).unlink()
    with pytest.raises(ValueError, match=message):
        lfovia.read(release)


def test_a_renamed_video_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a name like video_7.mat"):
        one(tmp_path, video(1, *DESIGN[1]), "video_1 (copy).mat")


def _flag_moved(variables):
    variables["Nrebuffers"] = np.roll(variables["Nrebuffers"], 7)


def _flag_lost(variables):
    flags = variables["Nrebuffers"].copy()
    flags[0, np.flatnonzero(flags[0])[0]] = 0
    variables["Nrebuffers"] = flags


def _design_changed(variables):
    variables["rebuf_duration"] = variables["rebuf_duration"] + np.uint8(1)


def _ext_changed(variables):
    variables["SSIM_ext"] = variables["SSIM_ext"] + 1e-9


def _interval_swapped(variables):
    low, high = variables["score_continuous_CIlow"], variables["score_continuous_CIhigh"]
    variables["score_continuous_CIlow"], variables["score_continuous_CIhigh"] = high, low


def _score_off_scale(variables):
    variables["score_continuous"] = variables["score_continuous"] * 0 - 1.2


def _flags_rescaled(variables):
    variables["Nrebuffers"] = variables["Nrebuffers"] * np.uint8(100)


CONTRADICTIONS = {
    function.__name__: function
    for function in (
        _flag_moved,
        _flag_lost,
        _design_changed,
        _ext_changed,
        _interval_swapped,
        _score_off_scale,
        _flags_rescaled,
    )
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_flag_moved, r"NIQE_ext\[30\] is .* do the stall flags belong to this video"),
        (_flag_lost, "Nrebuffers flags 1 of 122 seconds .* expected 2 beside 120"),
        (_design_changed, r"in runs of \[2.0\] s, expected 3 beside"),
        (_ext_changed, r"SSIM_ext\[0\] is"),
        (_interval_swapped, "has low above high"),
        (_score_off_scale, r"rated, second 0 is -1.2, expected 0.0 to 100.0"),
        (_flags_rescaled, r"Nrebuffers\[30\] is 100"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(tmp_path, change, message):
    variables = video(1, *DESIGN[1])
    change(variables)
    with pytest.raises(ValueError, match=message):
        one(tmp_path, variables)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_damaged_video_is_refused_and_flipped_bytes_never_crash(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "video_3.mat"
    kind = damage(data.draw, path, video(3, *DESIGN[3]), CONTRADICTIONS)
    try:
        session = lfovia.read_session(path)
    except ValueError:
        return
    assert kind == FLIPPED
    assert isinstance(session, Session)


@pytest.fixture(scope="module")
def released():
    return lfovia.read(paths.DATA / lfovia.FOLDER)


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
class TestReleasedData:
    def test_36_videos_of_5157_s_are_rated_between_20_and_96(self, released):
        rated = np.concatenate([s.rated for s in released])
        assert (len(released), rated.size) == (36, 5157)
        assert (rated.min().round(1), rated.max().round(1)) == (19.8, 95.5)
        assert (min(s.n_seconds for s in released), max(s.n_seconds for s in released)) == (
            121,
            210,
        )

    def test_186_events_make_181_stalls_because_five_touch(self, released):
        assert sum(len(s.stalls) for s in released) == 181
        parts = [s.pattern.removesuffix("permin").split("s/") for s in released]
        assert sum(2 * float(frequency) for _, frequency in parts) == 186
        stalled = sum(2 * float(duration) * float(frequency) for duration, frequency in parts)
        assert sum(s.stalls[:, 1].sum() for s in released) == stalled

    def test_scores_lie_inside_their_interval(self, released):
        assert all((s.rated_ci[:, 0] <= s.rated).all() for s in released)
        assert all((s.rated <= s.rated_ci[:, 1]).all() for s in released)

    def test_the_design_is_complete_and_three_videos_start_with_loading(self, released):
        assert len({s.pattern for s in released}) == 36
        loading = [s.name for s in released if s.n_unshown_seconds]
        assert loading == ["video_08", "video_28", "video_32"]

    def test_strred_reaches_13000_in_the_ninth_and_tenth_video_only(self, released):
        large = [s.name for s in released if np.nanmax(s.quality["strred"]) > 13000]
        assert large == ["video_09", "video_10"]

    def test_released_lists_exclude_the_same_duration_or_frequency(self, released):
        lists = lfovia.released_training_lists(paths.DATA / lfovia.FOLDER)
        for test in released:
            duration, frequency = test.pattern.split("s/")
            trained = [
                s.name
                for s in released
                if s.pattern.split("s/")[0] != duration and s.pattern.split("s/")[1] != frequency
            ]
            assert sorted(lists[test.name]) == trained

    def test_the_other_video_of_the_reference_is_in_every_released_list(self, released):
        lists = lfovia.released_training_lists(paths.DATA / lfovia.FOLDER)
        for first, second in zip(released[::2], released[1::2], strict=True):
            assert first.content == second.content
            assert second.name in lists[first.name]
            assert first.name in lists[second.name]

    def test_bit_equal_seconds_occur_inside_inferred_references_only(self, released):
        for metric in lfovia.METRICS:
            played = np.stack([s.quality[metric][s.stalled == 0] for s in released])
            equal = (played[:, None] == played).sum(axis=2)
            same = np.equal.outer(np.arange(36) // 2, np.arange(36) // 2)
            assert equal[~same].max() == 0
            assert equal[same].min() >= 26
