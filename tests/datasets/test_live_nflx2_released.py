import numpy as np
import pytest

from qoe_core import paths
from qoe_core.datasets import live_nflx2

HERE = (  # contents that were not reserved
    *("AirShow", "AsianFusion", "Chimera1102347", "Chimera1102353", "CosmosLaundromat"),
    *("Skateboarding", "Soccer", "Sparks", "TearsOfSteelRobot", "TearsOfSteelStatic"),
)


@pytest.fixture(scope="module")
def released():
    sessions = live_nflx2.read(paths.DATA / live_nflx2.FOLDER)
    return [session for session in sessions if session.content in HERE]


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
class TestReleased:
    def test_ten_contents_have_four_algorithms_times_seven_traces_each(self, released):
        assert len(released) == 280
        assert len({session.pattern for session in released}) == 28
        assert len({(session.content, session.pattern) for session in released}) == 280

    def test_sessions_last_as_long_as_the_release_says(self, released):
        assert sum(session.duration_s for session in released) == pytest.approx(7834.765)
        assert sum(session.n_seconds for session in released) == 7961
        assert min(session.duration_s for session in released) == 25
        assert max(session.duration_s for session in released) == pytest.approx(35.6333, abs=1e-4)

    def test_every_stall_is_found_and_none_is_at_the_start(self, released):
        assert sum(len(session.stalls) for session in released) == 286
        assert all((session.stalls[:, 0] > 0).all() for session in released)

    def test_scores_span_the_documented_range(self, released):
        scores = [session.rated for session in released]
        assert min(map(np.min, scores)) == pytest.approx(-1.942, abs=1e-3)
        assert max(map(np.max, scores)) == pytest.approx(1.921, abs=1e-3)
        overall = [session.overall for session in released]
        assert (min(overall), max(overall)) == pytest.approx((-1.970, 1.610), abs=1e-3)

    def test_segments_are_encoded_from_216_to_1080_lines(self, released):
        heights = np.concatenate([session.height_px for session in released])
        assert (heights.min(), heights.max()) == pytest.approx((216, 1080))

    def test_mean_continuous_score_correlates_98_with_the_overall_score(self, released):
        means = [session.rated.mean() for session in released]
        overall = [session.overall for session in released]
        assert np.corrcoef(means, overall)[0, 1] == pytest.approx(0.98, abs=0.005)
