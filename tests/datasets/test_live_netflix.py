import numpy as np
import pytest

from qoe_core.datasets import live_netflix
from tests.datasets.live_netflix_files import (
    HALF_WIDTHS,
    HIGH,
    LOW,
    LOW_RATE,
    NAME,
    SCORES,
    STALLED,
    TABLE,
    N,
    bounds,
    impairments,
    read,
    video,
    write,
)


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
