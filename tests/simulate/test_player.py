import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoe_core.simulate.abr import ABRS, Fixed
from qoe_core.simulate.ladder import Encodes, Ladder
from qoe_core.simulate.player import Player, play
from qoe_core.simulate.throughput import Trace

LADDER = Ladder(bitrate_kbps=(1, 2, 4, 6, 8), height=(240,) * 5)
SECOND = 1_000_000


def encodes(size_bits, ladder=LADDER):
    sizes = np.outer(ladder.bitrate_kbps, size_bits)
    return Encodes(ladder=ladder, size_bits=sizes, quality=np.zeros(sizes.shape))


STEP = st.tuples(st.integers(1, 20 * SECOND), st.integers(0, 20_000))
PLAYBACKS = st.fixed_dictionaries(
    {
        "steps": st.lists(STEP, max_size=6),
        "sizes": st.lists(st.integers(1, 6_000), min_size=1, max_size=15),
        "limits": st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3)),
        "abr": st.sampled_from(sorted(ABRS)),
    }
)


def stream(steps, sizes, limits, abr):
    """The playback that the drawn values describe; the last step delivers, so that it ends."""
    durations, rates = zip(*steps, (SECOND, 500), strict=True)
    trace = Trace("random", durations, rates)
    start, resume, spare = limits
    player = Player(
        start_segments=start, resume_segments=resume, max_segments=max(start, resume) + spare
    )
    return play(encodes(sizes), trace, ABRS[abr], player), trace, player


@settings(max_examples=200, deadline=None)
@given(PLAYBACKS)
def test_playback_and_waiting_fill_the_wall_clock_exactly(playback):
    log, _, _ = stream(**playback)
    played = log.segment_us * len(log.rung)
    assert log.startup_us + played + log.stalls_us[:, 1].sum() == log.wall_us


@settings(max_examples=200, deadline=None)
@given(PLAYBACKS)
def test_no_segment_is_shown_before_it_has_arrived_or_before_its_turn(playback):
    log, _, _ = stream(**playback)
    assert (log.play_start_us >= log.download_end_us).all()
    assert (np.diff(log.play_start_us) >= log.segment_us).all()


@settings(max_examples=200, deadline=None)
@given(PLAYBACKS)
def test_downloads_follow_each_other_and_carry_their_bits(playback):
    log, trace, _ = stream(**playback)
    assert (log.download_start_us[1:] >= log.download_end_us[:-1]).all()
    for start, end, bits in zip(
        log.download_start_us, log.download_end_us, log.size_bits, strict=True
    ):
        got = [trace.delivered(int(at)) - trace.delivered(int(start)) for at in (end - 1, end)]
        assert got[0] < int(bits) * SECOND <= got[1]


@settings(max_examples=200, deadline=None)
@given(PLAYBACKS)
def test_the_buffer_stays_between_empty_and_full(playback):
    log, _, player = stream(**playback)
    events = np.concatenate(
        [log.download_start_us, log.download_end_us, log.play_start_us + log.segment_us]
    )
    for now in events:
        arrived = (log.download_end_us <= now).sum() * log.segment_us
        played = np.clip(now - log.play_start_us, 0, log.segment_us).sum()
        assert 0 <= arrived - played <= player.max_segments * log.segment_us


@settings(max_examples=200, deadline=None)
@given(PLAYBACKS)
def test_playback_resumes_with_the_arrival_of_the_segment_it_waits_for(playback):
    log, _, player = stream(**playback)
    resumed = 1 + np.flatnonzero(np.diff(log.play_start_us) > log.segment_us)
    for first, needed in [(0, player.start_segments)] + [
        (segment, player.resume_segments) for segment in resumed
    ]:
        awaited = min(first + needed, len(log.rung)) - 1
        assert log.play_start_us[first] == log.download_end_us[awaited]


@settings(max_examples=200, deadline=None)
@given(PLAYBACKS)
def test_a_download_waits_only_while_the_buffer_is_full(playback):
    log, _, player = stream(**playback)
    ready = np.concatenate([[0], log.download_end_us[:-1]])
    for segment in np.flatnonzero(log.download_start_us > ready):
        room = log.play_start_us[segment - player.max_segments] + log.segment_us
        assert segment >= player.max_segments
        assert log.download_start_us[segment] == room


def test_a_hand_calculated_session_has_the_times_of_the_calculation():
    # 2-s segments of 2000 bits at 1000 bit/s take as long as they play; the outage from 5 to 10 s
    # delays the third from 6 to 11 s, and playback resumes with the fourth at 13 s
    trace = Trace("outage", (5 * SECOND, 5 * SECOND, 90 * SECOND), (1000, 0, 1000))
    player = Player(start_segments=1, resume_segments=2, max_segments=5)
    log = play(encodes([2000] * 5), trace, Fixed(0), player)
    np.testing.assert_array_equal(log.download_end_us / SECOND, [2, 4, 11, 13, 15])
    np.testing.assert_array_equal(log.play_start_us / SECOND, [2, 4, 13, 15, 17])
    np.testing.assert_array_equal(log.stalls_us / SECOND, [[6, 7]])
    assert (log.startup_us, log.wall_us) == (2 * SECOND, 19 * SECOND)


def test_a_segment_that_arrives_as_the_buffer_empties_causes_no_stall():
    trace = Trace("just", (SECOND,), (1000,))
    player = Player(start_segments=1, resume_segments=1, max_segments=3)
    assert len(play(encodes([2000] * 6), trace, Fixed(0), player).stalls_us) == 0


def test_a_fast_network_is_held_back_by_the_full_buffer():
    trace = Trace("fast", (SECOND,), (2_000_000,))
    player = Player(start_segments=1, resume_segments=1, max_segments=3)
    log = play(encodes([2000] * 6), trace, Fixed(0), player)
    np.testing.assert_array_equal(
        log.download_start_us, [0, 1000, 2000, 2_001_000, 4_001_000, 6_001_000]
    )


def test_bitrate_is_that_of_the_segment_and_not_of_the_rung():
    trace = Trace("fast", (SECOND,), (2_000_000,))
    log = play(encodes([2000, 3000]), trace, Fixed(1), Player())
    np.testing.assert_allclose(log.bitrate_kbps, [2.0, 3.0])


@pytest.mark.parametrize(
    "limits",
    [{"start_segments": 0}, {"resume_segments": 0}, {"start_segments": 3, "max_segments": 2}],
    ids=["no start", "no resume", "full before the start"],
)
def test_a_player_that_would_wait_for_ever_is_refused(limits):
    with pytest.raises(ValueError, match="expected start and resume"):
        Player(**limits)
