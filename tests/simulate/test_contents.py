import numpy as np
import pytest

from qoe_core.simulate.contents import EASIEST_KBPS, HARDEST_KBPS, Content, draw_contents


def content(spatial=0.5, temporal=0.5, difficulty=(0.0, 0.0)):
    return Content(name="clip", spatial=spatial, temporal=temporal, difficulty=np.array(difficulty))


@pytest.mark.parametrize(
    ("complexity", "half_kbps"),
    [(0.0, EASIEST_KBPS), (0.5, (EASIEST_KBPS * HARDEST_KBPS) ** 0.5), (1.0, HARDEST_KBPS)],
)
def test_quality_is_50_at_the_bitrate_that_the_complexity_asks_for(complexity, half_kbps):
    quality = content(complexity, complexity).quality(np.full(2, half_kbps))
    np.testing.assert_allclose(quality, 50)


def test_quality_rises_with_bitrate_and_saturates_below_100():
    quality = content(difficulty=np.zeros(8)).quality(100 * 4.0 ** np.arange(8))
    gains = np.diff(quality)
    assert (gains > 0).all()
    assert gains[-1] < gains[2]
    assert 0 < quality[0] < quality[-1] < 100


def test_each_doubling_of_the_need_costs_a_doubling_of_the_bitrate():
    hard, easy = content(difficulty=(np.log(2), 0.0)).quality(np.array([800.0, 400.0]))
    assert hard == pytest.approx(easy)


def test_contents_cover_every_tenth_of_both_complexities():
    contents = draw_contents(10, 15, seed=3)
    for axis in ("spatial", "temporal"):
        tenths = sorted(int(10 * getattr(clip, axis)) for clip in contents)
        assert tenths == list(range(10))


def test_difficulty_varies_between_segments_about_the_mean_of_the_clip():
    for clip in draw_contents(10, 15, seed=0):
        assert clip.difficulty.std() > 0.05
        assert clip.difficulty.mean() == pytest.approx(0, abs=1e-12)


def test_the_same_seed_gives_the_same_contents():
    first, again, other = (draw_contents(4, 15, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first[3].difficulty, again[3].difficulty)
    assert first[3].half_kbps == again[3].half_kbps != other[3].half_kbps
