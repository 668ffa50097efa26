import numpy as np
import pytest
from scipy import io

from qoe_core import paths
from qoe_core.datasets import live_netflix
from tests.datasets.live_netflix_files import (
    HIGH,
    LOW,
    TABLE,
)


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
