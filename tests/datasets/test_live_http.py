import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import io

from qoe_core import paths
from qoe_core.datasets import live_http
from qoe_core.session import Session
from tests.datasets.mat_mutations import FLIPPED, damage

LSTM, NARX, LISTS = live_http.LSTM_FILE, live_http.NARX_FILE, live_http.LISTS_FILE


def tables(names, seed):
    """Tables of 12 s x 10 videos (two references), as released: seconds x videos."""
    rng = np.random.default_rng(seed)
    return {name: rng.uniform(0.1, 90, (12, 10)) for name in names}


def release_variables():
    """The variables of the three files, by path inside the folder."""
    tvsq = tables(["TVSQ"], 0)["TVSQ"]
    scores = {"TVSQ": tvsq, "CI_low": tvsq - 3, "CI_high": tvsq + 3}
    first, second = np.tile(np.arange(1, 6), (5, 1)), np.tile(np.arange(6, 11), (5, 1))
    own = np.concatenate([first, second])
    siblings = [[n for n in row if n != test] for test, row in enumerate(own, start=1)]
    return {
        LSTM: scores | tables(["PSNR", "SSIM", "MSSSIM", "NIQE", "STRRED"], 1),
        NARX: scores | tables(["SSIM", "STRRED", "VMAF", "GMSD", "STRRED_Chao"], 2),
        LISTS: {
            "training_videos_set": np.concatenate([second, first]),
            "validation_videos_set": np.array(siblings),
        },
    }


def write(folder, files):
    for name, variables in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        io.savemat(folder / name, variables)
    return folder


@pytest.fixture
def files():
    return release_variables()


def test_columns_are_videos_and_rows_are_seconds(tmp_path, files):
    sessions = live_http.read(write(tmp_path, files))
    assert [s.name for s in sessions] == [f"video_{n:02d}" for n in range(1, 11)]
    np.testing.assert_array_equal(sessions[6].rated, files[LSTM]["TVSQ"][:, 6])
    assert sessions[6].duration_s == 12


def test_five_videos_make_a_reference(tmp_path, files):
    sessions = live_http.read(write(tmp_path, files))
    assert [s.content for s in sessions] == ["reference_1"] * 5 + ["reference_2"] * 5
    assert [s.pattern for s in sessions] == [f"bitrates_of_video_{n:02d}" for n in range(1, 11)]


def test_nothing_stalls_and_no_bitrate_is_invented(tmp_path, files):
    session = live_http.read(write(tmp_path, files))[0]
    assert len(session.stalls) == 0
    assert session.bitrate_kbps is None


def test_interval_bounds_come_from_their_own_tables(tmp_path, files):
    session = live_http.read(write(tmp_path, files))[2]
    np.testing.assert_array_equal(session.rated_ci[:, 0], files[LSTM]["CI_low"][:, 2])
    np.testing.assert_array_equal(session.rated_ci[:, 1], files[LSTM]["CI_high"][:, 2])


def test_the_name_of_a_metric_says_its_release(tmp_path, files):
    quality = live_http.read(write(tmp_path, files))[9].quality
    np.testing.assert_array_equal(quality["strred"], files[LSTM]["STRRED"][:, 9])
    np.testing.assert_array_equal(quality["narx_strred"], files[NARX]["STRRED"][:, 9])
    np.testing.assert_array_equal(quality["narx_vmaf"], files[NARX]["VMAF"][:, 9])
    assert sorted(quality) == [
        *("msssim", "narx_gmsd", "narx_ssim", "narx_strred", "narx_vmaf"),
        *("niqe", "psnr", "ssim", "strred"),
    ]


def test_a_vmaf_of_zero_is_a_measurement(tmp_path, files):
    files[NARX]["VMAF"][7, 9] = 0.0
    assert live_http.read(write(tmp_path, files))[9].quality["narx_vmaf"][7] == 0.0


@pytest.mark.parametrize("value", [-0.1, 100.1])
def test_a_vmaf_outside_its_scale_is_refused(tmp_path, files, value):
    files[NARX]["VMAF"][7, 9] = value
    with pytest.raises(ValueError, match=rf"VMAF, video 10, second\[7\] is {value}"):
        live_http.read(write(tmp_path, files))


def test_the_other_file_of_the_same_name_is_refused(tmp_path, files):
    scores = {name: files[LSTM][name] for name in ("TVSQ", "CI_low", "CI_high")}
    files[LSTM] = scores | {"STSQ": files[NARX]["STRRED_Chao"]}
    with pytest.raises(ValueError, match="'PSNR'.*two different files .*NARX-QoE's has STSQ"):
        live_http.read(write(tmp_path, files))


def test_ratings_that_differ_between_the_releases_are_refused(tmp_path, files):
    files[NARX]["CI_low"] = files[NARX]["CI_low"] - 1e-9
    with pytest.raises(ValueError, match="CI_low differs from .* the same ratings in both"):
        live_http.read(write(tmp_path, files))


def test_videos_that_make_no_whole_reference_are_refused(tmp_path, files):
    files[LSTM] = {name: table[:, :9] for name, table in files[LSTM].items()}
    with pytest.raises(ValueError, match="9 columns, expected 5 a reference"):
        live_http.read(write(tmp_path, files))


def test_videos_missing_from_every_table_are_refused(tmp_path, files):
    for name in (LSTM, NARX):
        files[name] = {field: table[:, :5] for field, table in files[name].items()}
    with pytest.raises(ValueError, match="10 rows of training_videos_set .* for 5 videos"):
        live_http.read(write(tmp_path, files))


@pytest.mark.parametrize("missing", [LSTM, NARX, LISTS], ids=str)
def test_an_incomplete_folder_is_refused(tmp_path, files, missing):
    del files[missing]
    with pytest.raises(ValueError, match=rf"{missing.name}: no such file"):
        live_http.read(write(tmp_path, files))


def test_training_lists_name_sessions(tmp_path, files):
    folder = write(tmp_path, files)
    lists = live_http.released_training_lists(folder)
    assert list(lists) == [session.name for session in live_http.read(folder)]
    assert lists["video_06"] == tuple(f"video_{n:02d}" for n in range(1, 6))


def _ratings_off_scale(variables):
    name = "TVSQ" if "TVSQ" in variables else "training_videos_set"
    variables[name] = variables[name] + 100


def _one_second_more(variables):
    name = min(variables)
    variables[name] = np.concatenate([variables[name], variables[name][:1]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("damaged") / "http", release_variables())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_damaged_release_is_refused_and_flipped_bytes_never_crash(folder, data):
    name = data.draw(st.sampled_from([LSTM, NARX, LISTS]))
    variables = release_variables()[name]
    variables.pop("STRRED_Chao", None)  # not read
    contradictions = {f.__name__: f for f in (_ratings_off_scale, _one_second_more)}
    kind = damage(data.draw, folder / name, variables, contradictions)
    try:
        sessions = live_http.read(folder)
    except ValueError:
        return
    finally:
        write(folder, {name: variables})
    assert kind == FLIPPED
    assert all(isinstance(session, Session) for session in sessions)


@pytest.fixture(scope="module")
def released():
    return live_http.read(paths.DATA / live_http.FOLDER)


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
class TestReleasedData:
    def test_15_videos_of_300_s_are_rated_between_25_and_74(self, released):
        rated = np.stack([s.rated for s in released])
        assert rated.shape == (15, 300)
        assert (rated.min().round(1), rated.max().round(1)) == (25.8, 73.2)
        assert not any(len(s.stalls) for s in released)

    def test_scores_are_the_middle_of_their_interval(self, released):
        for session in released:
            np.testing.assert_allclose(session.rated_ci.mean(axis=1), session.rated, atol=1e-12)

    def test_the_releases_differ_in_strred_and_ssim(self, released):
        largest = {
            metric: max(
                np.abs(s.quality[metric] - s.quality[f"narx_{metric}"]).max() for s in released
            )
            for metric in ("strred", "ssim")
        }
        assert largest == pytest.approx({"strred": 141.821, "ssim": 0.12844}, rel=1e-4)

    def test_the_one_vmaf_of_zero_is_where_strred_is_worst(self, released):
        vmaf = np.stack([s.quality["narx_vmaf"] for s in released])
        strred = np.stack([s.quality["strred"] for s in released])
        assert np.argwhere(vmaf == 0).tolist() == [[9, 207]]
        assert np.unravel_index(strred.argmax(), strred.shape) == (9, 207)

    def test_the_nth_videos_of_two_references_do_not_share_a_trace(self, released):
        logs = np.corrcoef([np.log(s.quality["strred"]) for s in released])
        same = [logs[a, b] for a in range(15) for b in range(a) if a % 5 == b % 5]
        assert np.mean(same) == pytest.approx(0.058, abs=1e-3)

    def test_released_lists_are_the_other_two_references(self, released):
        lists = live_http.released_training_lists(paths.DATA / live_http.FOLDER)
        for test in released:
            others = [s.name for s in released if s.content != test.content]
            assert list(lists[test.name]) == others
