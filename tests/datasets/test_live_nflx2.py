import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import io
from scipy.io.matlab import MatlabObject

from qoe_core.datasets import live_nflx2
from qoe_core.session import Session
from tests.datasets.mat_mutations import FLIPPED, damage

HZ = 4.0
NAME = "AirShow_HuangBufferBasedAdaptor_Trace_3"
STALLED = np.arange(3, 9)  # frames of 14: 0.75 s to 2.25 s, all of second 1
COUNTS = (
    *("N_total_frames", "N_playback_frames", "N_rebuffer_frames", "rebuffer_number"),
    *("video_duration_sec", "playback_duration_sec", "rebuffer_duration_sec", "frame_rate"),
)


def variables(content="AirShow", algorithm="HuangBufferBasedAdaptor", stalled=STALLED, n=14, hz=HZ):
    """One file's variables as released: 1 x N rows, counts as int64, text as characters."""
    flags = np.zeros((1, n), np.int64)
    flags[0, stalled] = 1
    played = np.arange(n - len(stalled), dtype=float)[None]
    n_stalls = int((np.diff(flags[0], prepend=0) == 1).sum())
    return {
        "content_name": np.array([content]),
        "adaptation_algorithm": np.array([algorithm]),
        "frame_rate": np.array([[hz]]),
        "N_total_frames": np.array([[n]]),
        "N_playback_frames": np.array([[played.size]]),
        "N_rebuffer_frames": np.array([[len(stalled)]]),
        "rebuffer_number": np.array([[n_stalls]]),
        "video_duration_sec": np.array([[n / hz]]),
        "playback_duration_sec": np.array([[played.size / hz]]),
        "rebuffer_duration_sec": np.array([[len(stalled) / hz]]),
        "is_rebuffered_bool": flags,
        "playout_bitrate": np.where(flags, 0, 100.0 * (np.arange(n) + 1)),
        "continuous_zscored_mos": (np.arange(n)[None] - 7) / 5,
        "scene_cuts": np.arange(1, played.size)[None],  # segments of one frame
        "per_segment_encoding_height": 180 * (1 + np.arange(played.size)[None] % 8),
        "VMAF": 10 * played,
        "PSNR": 30 + played,
        "SSIM": 0.9 + played / 1000,
        "MSSIM": 0.8 + played / 1000,
        "STRRED": 5 * played,
        "retrospective_zscored_mos": np.array([[0.25]]),
    }


def write(folder, changed, name=NAME):
    folder.mkdir(exist_ok=True)
    io.savemat(folder / f"{name}.mat", changed)
    return folder / f"{name}.mat"


@pytest.fixture
def session(tmp_path):
    return live_nflx2.read_session(write(tmp_path, variables()))


def test_stalls_are_the_runs_of_the_flags_in_seconds(session):
    assert session.stalls.tolist() == [[0.75, 1.5]]


def test_duration_counts_stalled_frames(session):
    assert session.duration_s == 3.5


def test_score_of_a_second_is_the_mean_of_its_frames_and_the_last_second_is_partial(session):
    np.testing.assert_allclose(session.rated, [-1.1, -0.3, 0.5, 1.1], atol=1e-12)


def test_bitrate_is_the_mean_of_the_played_frames_and_0_while_fully_stalled(session):
    np.testing.assert_allclose(session.bitrate_kbps, [200, 0, 1100, 1350])


def test_metrics_lie_on_the_played_frames_and_are_held_through_full_stalls(session):
    np.testing.assert_allclose(session.quality["vmaf"], [10, 10, 40, 65])


def test_encoded_height_is_that_of_the_played_frames_and_is_held_through_full_stalls(session):
    np.testing.assert_allclose(session.height_px, [360, 360, 900, 1350])


def test_a_session_of_one_segment_has_one_height_and_no_cut(tmp_path):
    changed = variables() | {"per_segment_encoding_height": np.array([[720]])}
    changed["playout_bitrate"] = np.where(changed["is_rebuffered_bool"], 0, 500.0)
    path = write(tmp_path, changed | {"scene_cuts": np.empty((0, 0))})
    assert live_nflx2.read_session(path).height_px.tolist() == [720] * 4


def test_released_ms_ssim_is_called_msssim(session):
    assert set(session.quality) == {"vmaf", "psnr", "ssim", "msssim", "strred"}
    np.testing.assert_allclose(session.quality["msssim"], [0.801, 0.801, 0.804, 0.8065])


def test_name_content_and_pattern_come_from_the_file_name(session):
    assert (session.name, session.content) == (NAME, "AirShow")
    assert session.pattern == "HuangBufferBasedAdaptor/trace_3"


def test_overall_is_the_retrospective_score(session):
    assert session.overall == 0.25


def test_no_confidence_interval_is_invented(session):
    assert session.rated_ci is None
    assert session.overall_ci is None


def test_a_content_that_this_copy_lacks_is_read(tmp_path):
    path = write(tmp_path, variables("Eleventh"), NAME.replace("AirShow", "Eleventh"))
    assert live_nflx2.read_session(path).content == "Eleventh"


@pytest.mark.parametrize("hz", [24.0, 25.0, 30.0])
def test_each_released_frame_rate_gives_seconds_of_that_many_frames(tmp_path, hz):
    n = int(hz) * 25 + 7
    changed = variables(stalled=np.arange(int(hz), 2 * int(hz)), n=n, hz=hz)
    changed["continuous_zscored_mos"] = np.sin(np.arange(n))[None]
    for metric in ("VMAF", "PSNR", "SSIM", "MSSIM", "STRRED"):
        changed[metric] = np.minimum(changed[metric], 1)
    session = live_nflx2.read_session(write(tmp_path, changed))
    expected = [np.sin(np.arange(k * hz, min((k + 1) * hz, n))).mean() for k in range(26)]
    np.testing.assert_allclose(session.rated, expected, atol=1e-9)
    assert np.flatnonzero(session.bitrate_kbps == 0).tolist() == [1]


def test_sessions_come_in_natural_order(tmp_path):
    for trace in (10, 9, 2):
        write(tmp_path / "matFiles", variables(), NAME.replace("Trace_3", f"Trace_{trace}"))
    patterns = [session.pattern for session in live_nflx2.read(tmp_path)]
    assert [pattern.rsplit("_")[-1] for pattern in patterns] == ["2", "9", "10"]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="matFiles: holds no .mat file"):
        live_nflx2.read(tmp_path)


def test_a_file_with_another_name_is_refused_by_name(tmp_path):
    write(tmp_path / "matFiles", variables(), "AirShow")
    with pytest.raises(ValueError, match="AirShow.mat: expected a name like"):
        live_nflx2.read(tmp_path)


@pytest.mark.parametrize("field", ["content_name", "adaptation_algorithm"])
def test_a_file_named_after_another_session_is_refused(tmp_path, field):
    path = write(tmp_path, variables() | {field: np.array(["Soccer"])})
    with pytest.raises(ValueError, match=f"{field} is 'Soccer', expected .* from the file name"):
        live_nflx2.read_session(path)


@pytest.mark.parametrize("field", COUNTS)
def test_a_count_or_duration_that_contradicts_the_flags_is_refused(tmp_path, field):
    changed = variables()
    path = write(tmp_path, changed | {field: changed[field] + 1})
    with pytest.raises(ValueError, match="do they belong to different videos"):
        live_nflx2.read_session(path)


def test_a_bitrate_while_stalled_is_refused(tmp_path):
    changed = variables()
    changed["playout_bitrate"][0, 3] = 500
    with pytest.raises(ValueError, match=r"playout_bitrate\[3\] is 500 where is_rebuffered_bool"):
        live_nflx2.read_session(write(tmp_path, changed))


def test_no_bitrate_while_playing_is_refused(tmp_path):
    changed = variables()
    changed["playout_bitrate"][0, 0] = 0
    with pytest.raises(ValueError, match=r"playout_bitrate\[0\] is 0 where is_rebuffered_bool"):
        live_nflx2.read_session(write(tmp_path, changed))


@pytest.mark.parametrize(
    "cuts", [[0, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 8], [1, 3, 2, 4, 5, 6, 7]]
)
def test_cuts_that_are_no_played_frames_in_order_are_refused(tmp_path, cuts):
    path = write(tmp_path, variables() | {"scene_cuts": np.array([cuts])})
    with pytest.raises(ValueError, match="scene_cuts are .* expected played frames in order"):
        live_nflx2.read_session(path)


def test_a_bitrate_that_changes_inside_a_segment_is_refused(tmp_path):
    segments = {"scene_cuts": [[1, 2, 3]], "per_segment_encoding_height": [[180, 360, 540, 720]]}
    path = write(tmp_path, variables() | {name: np.array(v) for name, v in segments.items()})
    with pytest.raises(ValueError, match=r"at all of which \[1, 2, 3, 4, 5, 6, 7\]"):
        live_nflx2.read_session(path)


def test_flags_that_are_fractions_are_refused(tmp_path):
    changed = variables()
    changed["is_rebuffered_bool"] = changed["is_rebuffered_bool"] * 0.5
    with pytest.raises(ValueError, match="is_rebuffered_bool holds .* expected 0 and 1"):
        live_nflx2.read_session(write(tmp_path, changed))


def test_metrics_with_one_value_a_shown_frame_stalls_included_are_refused(tmp_path):
    with pytest.raises(ValueError, match="VMAF has 14 samples, expected 8"):
        live_nflx2.read_session(write(tmp_path, variables() | {"VMAF": np.full((1, 14), 50.0)}))


def test_scores_on_a_scale_of_100_are_refused(tmp_path):
    changed = variables()
    changed["continuous_zscored_mos"] = changed["continuous_zscored_mos"] * 20 + 50
    with pytest.raises(ValueError, match="rated, second 0 is 28"):
        live_nflx2.read_session(write(tmp_path, changed))


def test_a_vmaf_above_100_is_refused(tmp_path):
    changed = variables()
    changed["VMAF"][0, 5] = 100.5
    with pytest.raises(ValueError, match=r"VMAF\[5\] is 100.5"):
        live_nflx2.read_session(write(tmp_path, changed))


def test_a_file_cut_behind_the_last_wanted_variable_is_refused(tmp_path):
    path = write(tmp_path, variables() | {"unused": np.arange(50.0)})
    path.write_bytes(path.read_bytes()[:-16])
    with pytest.raises(ValueError, match="is the download truncated"):
        live_nflx2.read_session(path)


def _off_by_one(field):
    return lambda changed: changed.update({field: changed[field] + 1})


def _longer(field):
    return lambda changed: changed.update({field: np.append(changed[field], [[0.5]], axis=1)})


def _matlab_object(changed):
    changed["VMAF"] = MatlabObject(np.array([[(1.0,)]], dtype=[("value", "O")]), "frames")


CONTRADICTIONS = (
    {f"{field} + 1": _off_by_one(field) for field in COUNTS}
    | {f"{field} longer": _longer(field) for field in ("is_rebuffered_bool", "STRRED")}
    | {"object": _matlab_object}
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_a_damaged_file_is_refused_or_still_a_session(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / f"{NAME}.mat"
    kind = damage(data.draw, path, variables(), CONTRADICTIONS)
    try:
        session = live_nflx2.read_session(path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert kind == FLIPPED
        assert isinstance(session, Session)
