import numpy as np
import pytest

from qoe_core.simulate.contents import draw_contents
from qoe_core.simulate.ladder import NETFLIX_2015, Ladder, encode

CLIPS = draw_contents(10, 15, seed=0)


def test_every_rung_keeps_its_mean_bitrate():
    for clip in CLIPS:
        mean_bits = encode(clip, NETFLIX_2015).size_bits.mean(axis=1)
        np.testing.assert_allclose(mean_bits, 2000 * np.array(NETFLIX_2015.bitrate_kbps), atol=1)


def test_harder_segments_are_larger_and_yet_worse():
    clip = CLIPS[0]
    encodes = encode(clip, NETFLIX_2015)
    order = np.argsort(clip.difficulty)
    assert (np.diff(encodes.size_bits[4][order]) >= 0).all()
    assert (np.diff(encodes.quality[4][order]) <= 0).all()


def test_a_higher_rung_looks_better_in_every_segment():
    for clip in CLIPS:
        assert (np.diff(encode(clip, NETFLIX_2015).quality, axis=0) > 0).all()


@pytest.mark.parametrize(
    "rates", [(), (100, 100), (200, 100), (0, 100)], ids=["none", "equal", "falling", "zero"]
)
def test_a_ladder_that_does_not_rise_is_refused(rates):
    with pytest.raises(ValueError, match="from low to high"):
        Ladder(bitrate_kbps=rates, height=(240,) * len(rates))


def test_a_missing_height_is_refused():
    with pytest.raises(ValueError, match="as many of each"):
        Ladder(bitrate_kbps=(100, 200), height=(240,))


def test_an_empty_segment_is_refused():
    with pytest.raises(ValueError, match="segment_us is 0"):
        Ladder(bitrate_kbps=(100,), height=(240,), segment_us=0)
