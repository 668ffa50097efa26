import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import io
from scipy.io.matlab import MatlabObject

from qoe_core import paths
from qoe_core.datasets import live_netflix
from qoe_core.session import Session
from tests.datasets.mat_mutations import FLIPPED, damage

HZ = 4
N = 14  # frames: 3.5 s
NAME = "content_2_seq_6"
TABLE = "LIVE_NFLX_Network_Impairments"
LOW, HIGH = "continuous_subj_score_CIlow_avg1sec", "continuous_subj_score_CIhigh_avg1sec"
STALLED = np.arange(4, 10)  # counted from 1: 0.75 s to 2.25 s, all of second 1
LOW_RATE = np.arange(10, 14)
SCORES = (np.arange(N) - 7) / 5
HALF_WIDTHS = np.array([0.1, 0.2, 0.3, 0.4])
METRICS = ("VMAF", "PSNR", "PSNRhvs_oss", "SSIM", "MSSIM", "STRRED", "GMSD", "NIQE")


def video(stalled=STALLED, low_rate=LOW_RATE, n=N, hz=HZ):
    """One public file's variables: 1 x N rows, whole numbers in their smallest type."""
    played = np.arange(n - len(stalled), dtype=float)[None]
    n_stalls = int((np.diff(stalled, prepend=-1) > 1).sum())
    return {
        "Nframes": np.uint16([[n]]),
        "vid_fps": np.uint8([[hz]]),
        "ns": np.uint8([[n_stalls]]),
        "ds": np.array([[len(stalled) / hz]]),
        "lt": np.array([[len(low_rate) / hz]]),
        "continuous_subj_score": np.resize(SCORES, (1, n)),
        "final_subj_score": np.array([[0.25]]),
    } | {f"{metric}_vec": played / 1000 for metric in METRICS}


def impairments(name=NAME, low_rate=LOW_RATE, stalled=STALLED):
    table = np.empty((1, 3), object)
    for column, cell in enumerate((f"{name}.yuv", low_rate, stalled)):
        table[0, column] = np.array(cell)
    return {TABLE: table}


def bounds():
    """LSTM-QoE's bounds lie around the score of the last frame of each second."""
    last = SCORES[[3, 7, 11, 13]]
    return {LOW: (last - HALF_WIDTHS)[None], HIGH: (last + HALF_WIDTHS)[None]}


def write(folder, name=NAME, **parts):
    """The three files of one session; a part given as None is not written."""
    files = {
        "video": folder / "public_release" / "VideoData" / f"{name}.mat",
        "impairments": folder / "public_release" / f"{TABLE}.mat",
        "bounds": folder / "lstm_qoe" / "LIVE_Netflix_matfiles" / f"{name}.mat",
    }
    parts = {"video": video(), "impairments": impairments(name), "bounds": bounds()} | parts
    for part, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if parts[part] is not None:
            io.savemat(path, parts[part], do_compression=True)
    return tuple(files.values())


def read(folder, name=NAME, **parts):
    return live_netflix.read_session(*write(folder, name, **parts))


@pytest.fixture
def session(tmp_path):
    return read(tmp_path)


def test_stalls_are_the_listed_frames_counted_from_1(session):
    assert session.stalls.tolist() == [[0.75, 1.5]]


def test_duration_counts_stalled_frames(session):
    assert session.duration_s == 3.5


def test_score_of_a_second_is_the_mean_of_its_frames_and_the_last_second_is_partial(session):
    np.testing.assert_allclose(session.rated, [-1.1, -0.3, 0.5, 1.1], atol=1e-12)


def test_interval_has_the_released_width_around_the_mean_of_the_second(session):
    np.testing.assert_allclose(session.rated_ci[:, 0], session.rated - HALF_WIDTHS)
    np.testing.assert_allclose(session.rated_ci[:, 1], session.rated + HALF_WIDTHS)


def test_metrics_lie_on_the_played_frames_and_are_held_through_full_stalls(session):
    np.testing.assert_allclose(session.quality["strred"], [0.001, 0.001, 0.004, 0.0065])


def test_eight_metrics_have_lower_case_names(session):
    assert set(session.quality) == {
        *("vmaf", "psnr", "psnrhvs", "ssim", "msssim", "strred", "gmsd", "niqe")
    }


def test_bitrate_is_the_mean_rate_of_the_played_frames_and_0_while_fully_stalled(session):
    np.testing.assert_allclose(session.bitrate_kbps, [250, 0, 160, 205])


@pytest.mark.parametrize(
    ("pattern", "low_rate", "expected"),
    [
        (0, [], 500),
        (1, [], 250),
        (2, np.arange(1, N + 1), 160),
        (3, np.arange(1, N + 1), 195),
        (4, np.arange(5, 9), [250, 66, 250, 250]),
        (5, [], 250),
        (6, np.arange(5, 9), [250, 160, 250, 250]),
        (7, np.arange(5, 9), [250, 100, 250, 250]),
    ],
)
def test_each_pattern_has_its_rates_and_the_second_level_of_pattern_6_is_the_low_one(
    tmp_path, pattern, low_rate, expected
):
    name = f"content_2_seq_{pattern}"
    session = read(
        tmp_path,
        name,
        video=video(stalled=[], low_rate=low_rate),
        impairments=impairments(name, low_rate, np.empty((0, 0), np.uint8)),
    )
    np.testing.assert_allclose(session.bitrate_kbps, expected)


def test_identity_comes_from_the_file_name(session):
    assert (session.name, session.content) == (NAME, "content_02")
    assert (session.pattern, session.device) == ("seq_6", "mobile")


def test_overall_is_the_final_score(session):
    assert session.overall == 0.25


def test_all_three_files_are_sources(tmp_path):
    assert read(tmp_path).sources == write(tmp_path)


def test_small_integers_do_not_overflow(tmp_path):
    n, stalled = 30 * 30, np.arange(1, 19 * 30 + 1)  # 19 x 30 does not fit into uint8
    changed = video(stalled, [], n, hz=30) | {"ds": np.uint8([[19]]), "lt": np.uint8([[0]])}
    name = "content_10_seq_1"
    session = read(
        tmp_path, name, video=changed, impairments=impairments(name, [], stalled), bounds=None
    )
    assert session.stalls.tolist() == [[0, 19]]


def test_interval_in_integers_is_read_as_numbers(tmp_path):
    changed = video() | {"continuous_subj_score": np.ones((1, N))}
    whole = {LOW: np.uint8([[0, 0, 0, 0]]), HIGH: np.uint8([[2, 2, 2, 2]])}
    session = read(tmp_path, video=changed, bounds=whole)
    np.testing.assert_allclose(session.rated_ci, [[0, 2]] * 4, atol=1e-12)


def test_stall_flags_recency_and_levels_of_lstm_qoe_are_not_read(tmp_path):
    wrong = {
        "Nrebuffers_avg1sec": np.uint8([[0, 0, 1, 1]]),
        "TSL_avg1sec": np.zeros((1, 4), np.uint8),
        "bitrate_levels_avg1sec": np.array([[0.32, 0, 0.5, 0.32]]),
        "GMSD_vec_logit": np.full((1, 8), 0.0556),
    }
    session = read(tmp_path, bounds=bounds() | wrong)
    assert session.stalls.tolist() == [[0.75, 1.5]]
    np.testing.assert_allclose(session.bitrate_kbps, [250, 0, 160, 205])


@pytest.mark.parametrize(
    "name", [f"content_10_seq_{n}" for n in (0, 1, 2, 3, 5, 6, 7)] + ["content_11_seq_5"]
)
def test_the_never_released_files_leave_no_interval(tmp_path, name):
    low_rate = np.setdiff1d(np.arange(1, N + 1), STALLED) if name[-1] in "23" else LOW_RATE
    low_rate = low_rate if name[-1] in "23467" else []
    session = read(
        tmp_path,
        name,
        video=video(low_rate=low_rate),
        impairments=impairments(name, low_rate),
        bounds=None,
    )
    assert session.rated_ci is None
    assert len(session.sources) == 2


def test_a_missing_file_that_was_released_is_refused(tmp_path):
    with pytest.raises(ValueError, match=rf"LIVE_Netflix_matfiles/{NAME}.mat: no such file"):
        read(tmp_path, bounds=None)


def test_bounds_around_the_mean_of_the_second_are_refused(tmp_path):
    mean = np.array([[-1.1, -0.3, 0.5, 1.1]])
    with pytest.raises(ValueError, match="second 0: their middle is not the score of its last"):
        read(tmp_path, bounds={LOW: mean - 0.1, HIGH: mean + 0.1})


def test_swapped_bounds_are_refused(tmp_path):
    swapped = {LOW: bounds()[HIGH], HIGH: bounds()[LOW]}
    with pytest.raises(ValueError, match="rated_ci, second 0 has low above high"):
        read(tmp_path, bounds=swapped)


def test_the_other_spelling_of_msssim_is_refused(tmp_path):
    changed = video()
    changed["MSSSIM_vec"] = changed.pop("MSSIM_vec")
    with pytest.raises(ValueError, match="no variable 'MSSIM_vec'"):
        read(tmp_path, video=changed)


def test_metrics_with_a_value_for_each_frame_stalls_included_are_refused(tmp_path):
    with pytest.raises(ValueError, match="STRRED_vec has 14 samples, expected 8"):
        read(tmp_path, video=video() | {"STRRED_vec": np.ones((1, N))})


@pytest.mark.parametrize("field", ["Nframes", "ns", "ds", "lt"])
def test_a_count_that_contradicts_the_impairments_is_refused(tmp_path, field):
    changed = video()
    with pytest.raises(ValueError, match=rf"{field} is .* from .*{TABLE}.mat"):
        read(tmp_path, video=changed | {field: changed[field] + 1})


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"stalled": np.arange(0, 6)}, r"stalled frames of content_2_seq_6\[0\] is 0"),
        ({"stalled": np.arange(10, 16)}, r"stalled frames of content_2_seq_6\[5\] is 15"),
        ({"stalled": STALLED[::-1]}, "whole numbers in rising order"),
        ({"stalled": STALLED + 0.5}, "whole numbers in rising order"),
        ({"low_rate": np.arange(9, 13)}, "frame 9 of content_2_seq_6 is both"),
        ({"low_rate": LOW_RATE[:-1]}, "lt is 1, expected 0.75"),
        ({"name": "content_2_seq_7"}, "0 rows are called content_2_seq_6.yuv"),
    ],
)
def test_impairments_that_cannot_belong_to_the_video_are_refused(tmp_path, cells, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, impairments=impairments(**cells))


def test_a_video_listed_twice_is_refused(tmp_path):
    twice = {TABLE: np.concatenate([impairments()[TABLE]] * 2)}
    with pytest.raises(ValueError, match="2 rows are called content_2_seq_6.yuv, expected 1"):
        read(tmp_path, impairments=twice)


def test_a_low_rate_in_a_pattern_without_one_is_refused(tmp_path):
    name = "content_2_seq_1"
    with pytest.raises(ValueError, match="4 low-rate frames, expected none in pattern seq_1"):
        read(tmp_path, name)


def test_scores_on_a_scale_of_100_are_refused(tmp_path):
    changed = video() | {"continuous_subj_score": SCORES[None] * 20 + 50}
    with pytest.raises(ValueError, match="middle is not the score"):
        read(tmp_path, video=changed)


def test_an_overall_score_on_another_scale_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"overall is 62.0, expected -2.6 to 1.9"):
        read(tmp_path, video=video() | {"final_subj_score": np.array([[62.0]])})


def test_sessions_come_in_natural_order(tmp_path):
    names = ["content_12_seq_6", "content_2_seq_7", "content_2_seq_6"]
    table = {TABLE: np.concatenate([impairments(name)[TABLE] for name in names])}
    for name in names:
        write(tmp_path, name, impairments=table)
    assert [session.name for session in live_netflix.read(tmp_path)] == names[::-1]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="VideoData: holds no .mat file"):
        live_netflix.read(tmp_path)


def test_a_file_with_another_name_is_refused_by_name(tmp_path):
    write(tmp_path, "content_15_seq_0")
    with pytest.raises(ValueError, match="content_15_seq_0.mat: expected content_<1 to 14>"):
        live_netflix.read(tmp_path)


def released_lists():
    """Row i trains on all videos of another content and another pattern, as LSTM-QoE's file."""
    number = np.arange(112)
    unlike = np.not_equal.outer(number // 8, number // 8) & np.not_equal.outer(
        number % 8, number % 8
    )
    left_out = ~unlike & ~np.eye(112, dtype=bool)
    return {
        name: np.stack([np.flatnonzero(row) + 1 for row in chosen]).astype(np.uint8)
        for name, chosen in (("training_videos_set", unlike), ("validation_videos_set", left_out))
    }


def write_lists(folder, lists):
    (folder / "lstm_qoe").mkdir()
    io.savemat(folder / "lstm_qoe" / "training_videos_set.mat", lists)


def test_training_lists_hold_91_videos_of_other_content_and_pattern(tmp_path):
    write_lists(tmp_path, released_lists())
    lists = live_netflix.released_training_lists(tmp_path)
    assert list(lists)[:9] == [f"content_1_seq_{n}" for n in range(8)] + ["content_2_seq_0"]
    assert {len(trained) for trained in lists.values()} == {91}
    assert lists["content_1_seq_0"][:2] == ("content_2_seq_1", "content_2_seq_2")


@pytest.mark.parametrize("other", [1, 9])
def test_training_lists_with_exchanged_rows_are_refused(tmp_path, other):
    lists = released_lists()
    for rows in lists.values():
        rows[[0, other]] = rows[[other, 0]]
    write_lists(tmp_path, lists)
    with pytest.raises(ValueError, match="row 1 "):
        live_netflix.released_training_lists(tmp_path)


def test_shortened_training_lists_are_refused(tmp_path):
    lists = released_lists()
    lists["training_videos_set"] = lists["training_videos_set"][:, :90]
    write_lists(tmp_path, lists)
    with pytest.raises(ValueError, match="hold 90 and 20 videos"):
        live_netflix.released_training_lists(tmp_path)


def _plus(field, change):
    return lambda changed: changed.update({field: changed[field] + change})


def _longer(field):
    return lambda changed: changed.update({field: np.append(changed[field], [[0.5]], axis=1)})


def _matlab_object(field):
    value = np.array([[(1.0,)]], dtype=[("value", "O")])
    return lambda changed: changed.update({field: MatlabObject(value, "frames")})


def _one_row_more(changed):
    changed[TABLE] = np.concatenate([changed[TABLE]] * 2)


def _one_column_less(changed):
    changed[TABLE] = changed[TABLE][:, :2]


PARTS = {
    "video": (
        video,
        {f"{field} + 1": _plus(field, 1) for field in ("Nframes", "ns", "ds", "lt", "vid_fps")}
        | {"longer": _longer("VMAF_vec"), "object": _matlab_object("continuous_subj_score")},
    ),
    "impairments": (
        impairments,
        {"row": _one_row_more, "column": _one_column_less, "object": _matlab_object(TABLE)},
    ),
    "bounds": (
        bounds,
        {"moved": _plus(LOW, 0.01), "longer": _longer(HIGH), "object": _matlab_object(LOW)},
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_file_is_refused_or_still_a_session(tmp_path_factory, part):
    files = write(tmp_path_factory.mktemp(part))
    path = files[list(PARTS).index(part)]
    make, contradictions = PARTS[part]

    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(st.data())
    def attempt(data):
        kind = damage(data.draw, path, make(), contradictions)
        try:
            session = live_netflix.read_session(*files)
        except ValueError as error:
            assert any(str(file) in str(error) for file in files)  # noqa: PT017
        else:
            assert kind == FLIPPED
            assert isinstance(session, Session)

    attempt()


@pytest.fixture(scope="module")
def released():
    return {
        session.name: session for session in live_netflix.read(paths.DATA / live_netflix.FOLDER)
    }


@pytest.fixture(scope="module")
def lstm_qoe(released):
    """LSTM-QoE's own 1 Hz variables, as scipy reads them, of the 100 videos that have them."""
    folder = paths.DATA / live_netflix.FOLDER / "lstm_qoe" / "LIVE_Netflix_matfiles"
    return {
        name: {
            field: value.ravel().astype(float)
            for field, value in io.loadmat(folder / f"{name}.mat").items()
            if "avg1sec" in field
        }
        for name, session in released.items()
        if session.rated_ci is not None
    }


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
class TestReleased:
    def test_14_contents_have_8_patterns_each(self, released):
        assert len(released) == 112
        pairs = {(session.content, session.pattern) for session in released.values()}
        assert len(pairs) == 112
        assert len({content for content, _ in pairs}) == 14

    def test_sessions_last_as_long_as_the_release_says(self, released):
        durations = [session.duration_s for session in released.values()]
        assert sum(durations) == pytest.approx(7980.1733, abs=1e-4)
        assert sum(session.n_seconds for session in released.values()) == 8014
        assert (min(durations), max(durations)) == pytest.approx((58.93, 88.125), abs=0.01)

    def test_each_pattern_has_its_number_of_stalls(self, released):
        counts = {(session.pattern, len(session.stalls)) for session in released.values()}
        expected = enumerate((0, 1, 0, 1, 0, 2, 1, 0))
        assert counts == {(f"seq_{pattern}", count) for pattern, count in expected}

    def test_scores_span_the_documented_range(self, released):
        scores = np.concatenate([session.rated for session in released.values()])
        assert (scores.min(), scores.max()) == pytest.approx((-2.265, 1.523), abs=1e-3)
        overall = [session.overall for session in released.values()]
        assert (min(overall), max(overall)) == pytest.approx((-1.604, 1.578), abs=1e-3)

    def test_one_hertz_scores_are_those_of_lstm_qoe(self, released, lstm_qoe):
        assert len(lstm_qoe) == 100
        for name, theirs in lstm_qoe.items():
            expected = theirs["continuous_subj_score_avg1sec"]
            np.testing.assert_allclose(released[name].rated, expected, atol=1e-9)

    def test_interval_has_the_width_of_lstm_qoe(self, released, lstm_qoe):
        for name, theirs in lstm_qoe.items():
            ours = np.diff(released[name].rated_ci, axis=1)[:, 0]
            np.testing.assert_allclose(ours, theirs[HIGH] - theirs[LOW], atol=1e-9)

    def test_interval_is_that_of_the_frames_within_6_hundredths(self, released):
        folder = paths.DATA / live_netflix.FOLDER / "lstm_qoe"
        originals = sorted((folder / "LIVE_Netflix_matfiles_original_contents_1_4").glob("*.mat"))
        for path in originals:
            frames = io.loadmat(path)
            hz = int(frames["vid_fps"].item())
            half = (frames[HIGH[:-8]] - frames[LOW[:-8]]).ravel() / 2
            expected = [half[k : k + hz].mean() for k in range(0, half.size, hz)]
            ours = np.diff(released[path.stem].rated_ci, axis=1)[:, 0] / 2
            assert np.abs(ours - expected).max() < 0.061
            assert np.abs(ours - expected).mean() < 0.006

    @pytest.mark.parametrize("metric", sorted(live_netflix.METRICS))
    def test_metrics_without_stalls_are_those_of_lstm_qoe(self, released, lstm_qoe, metric):
        field = f"{live_netflix.METRICS[metric][0]}_avg1sec"
        unstalled = [name for name in lstm_qoe if not len(released[name].stalls)]
        assert len(unstalled) == 4 * 14 - 5
        for name in unstalled:
            ours = released[name].quality[metric]
            np.testing.assert_allclose(ours, lstm_qoe[name][field], atol=1e-9)

    def test_bitrates_are_the_levels_of_lstm_qoe_but_for_the_swap_in_pattern_6(
        self, released, lstm_qoe
    ):
        for name, theirs in lstm_qoe.items():
            session, level = released[name], theirs["bitrate_levels_avg1sec"]
            pure = np.isin(session.bitrate_kbps, (0, 66, 100, 160, 195, 250, 500))
            pure &= np.isin(session.stalled, (0, 1))
            if session.pattern == "seq_6":
                swapped = {0.0: 0.0, 0.32: 0.5, 0.5: 0.32}
                level = np.array([swapped[value] for value in level])
            jitter = np.abs(session.bitrate_kbps - 500 * level)[pure] > 1e-6
            assert jitter.sum() <= 2

    def test_only_low_rate_frames_of_pattern_6_look_worse_than_250_kbps_of_pattern_1(self):
        folder = paths.DATA / live_netflix.FOLDER / "public_release"
        table = io.loadmat(folder / f"{TABLE}.mat")[TABLE]
        frames = {name.item()[:-4]: (low[0], stalled[0]) for name, low, stalled in table[6::8]}
        for number in range(1, 15):
            vmaf, constant = (
                io.loadmat(folder / "VideoData" / f"content_{number}_seq_{pattern}.mat")[
                    "VMAF_vec"
                ][0]
                for pattern in (6, 1)
            )
            low, stalled = frames[f"content_{number}_seq_6"]
            wall = np.setdiff1d(np.arange(1, vmaf.size + stalled.size + 1), stalled)
            is_low = np.isin(wall, low)
            assert np.median((vmaf - constant)[is_low]) < -1.5
            assert abs(np.median((vmaf - constant)[~is_low])) < 1.2

    def test_released_lists_share_neither_content_nor_pattern(self, released):
        lists = live_netflix.released_training_lists(paths.DATA / live_netflix.FOLDER)
        assert list(lists) == list(released)
        for name, trained in lists.items():
            test = released[name]
            unlike = [
                other.name
                for other in released.values()
                if other.content != test.content and other.pattern != test.pattern
            ]
            assert list(trained) == unlike
            assert len(trained) == 91
