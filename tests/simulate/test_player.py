import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoe_core.simulate.abr import ABRS, Fixed
from qoe_core.simulate.contents import Display
from qoe_core.simulate.ladder import Encodes, Ladder
from qoe_core.simulate.player import PlaybackLog, Player, play, shown
from qoe_core.simulate.throughput import Markov, Trace

LADDER = Ladder(bitrate_kbps=(1, 2, 4, 6, 8), height=(240,) * 5)
SECOND = 1_000_000


def encodes(size_bits, fps=25):
    sizes = np.outer(LADDER.bitrate_kbps, size_bits)
    display = Display(fps=fps)
    return Encodes(ladder=LADDER, display=display, size_bits=sizes, quality={}, files=())


STEP = st.tuples(st.integers(1, 20 * SECOND), st.integers(0, 20_000))
PLAYBACKS = st.fixed_dictionaries(
    {
        "network": st.one_of(st.lists(STEP, max_size=6), st.integers(0, 10_000)),
        "sizes": st.lists(st.integers(1, 6_000), min_size=1, max_size=15),
        "limits": st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 3)),
        "abr": st.sampled_from(sorted(ABRS)),
        "fps": st.sampled_from([1, 8, 25, 50]),
    }
)
on_500_playbacks = settings(max_examples=500, deadline=None)


def stream(network, sizes, limits, abr, fps):
    """The playback that the drawn values describe; a number is the seed of a Markov trace."""
    if isinstance(network, int):
        trace = Markov(n_seconds=60).draw("random", 0.004, (network,))
    else:
        steps = (*network, (SECOND, 500))  # the last one delivers, so that every download ends
        trace = Trace("random", *zip(*steps, strict=True))
    start, resume, spare = limits
    player = Player(
        start_segments=start, resume_segments=resume, max_segments=max(start, resume) + spare
    )
    return play(encodes(sizes, fps), trace, ABRS[abr], player), trace, player


@on_500_playbacks
@given(PLAYBACKS)
def test_playback_and_waiting_fill_the_wall_clock_exactly(playback):
    log, _, _ = stream(**playback)
    played = log.segment_us * len(log.rung)
    assert log.startup_us + played + log.stalls_us[:, 1].sum() == log.wall_us


@on_500_playbacks
@given(PLAYBACKS)
def test_no_segment_is_shown_before_it_has_arrived_or_before_its_turn(playback):
    log, _, _ = stream(**playback)
    assert (log.play_start_us >= log.download_end_us).all()
    assert (np.diff(log.play_start_us) >= log.segment_us).all()


@on_500_playbacks
@given(PLAYBACKS)
def test_downloads_follow_each_other_and_carry_their_bits(playback):
    log, trace, _ = stream(**playback)
    assert (log.download_start_us[1:] >= log.download_end_us[:-1]).all()
    for start, end, bits in zip(
        log.download_start_us, log.download_end_us, log.size_bits, strict=True
    ):
        got = [trace.delivered(int(at)) - trace.delivered(int(start)) for at in (end - 1, end)]
        assert got[0] < int(bits) * SECOND <= got[1]


def buffered_us(log, now):
    """Media that has arrived and was not yet played."""
    arrived = (log.download_end_us <= now).sum() * log.segment_us
    return arrived - np.clip(now - log.play_start_us, 0, log.segment_us).sum()


@on_500_playbacks
@given(PLAYBACKS)
def test_the_buffer_stays_between_empty_and_full(playback):
    log, _, player = stream(**playback)
    for now in (*log.download_start_us, *log.download_end_us, *log.play_start_us, log.wall_us):
        assert 0 <= buffered_us(log, now) <= player.max_segments * log.segment_us


@on_500_playbacks
@given(PLAYBACKS)
def test_a_stall_begins_with_an_empty_buffer_and_lasts_whole_refreshes(playback):
    log, _, _ = stream(**playback)
    assert [buffered_us(log, begins) for begins, _ in log.stalls_us] == [0] * len(log.stalls_us)
    assert not (log.stalls_us % log.tick_us).any()


@on_500_playbacks
@given(PLAYBACKS)
def test_playback_resumes_at_the_first_refresh_after_the_segment_it_waits_for(playback):
    log, _, player = stream(**playback)
    resumed = 1 + np.flatnonzero(np.diff(log.play_start_us) > log.segment_us)
    for first, needed in [(0, player.start_segments)] + [
        (segment, player.resume_segments) for segment in resumed
    ]:
        awaited = min(first + needed, len(log.rung)) - 1
        wait = log.play_start_us[first] - log.download_end_us[awaited]
        assert 0 <= wait < log.tick_us


@on_500_playbacks
@given(PLAYBACKS)
def test_a_download_waits_only_while_the_buffer_is_full(playback):
    log, _, player = stream(**playback)
    ready = np.concatenate([[0], log.download_end_us[:-1]])
    for segment in np.flatnonzero(log.download_start_us > ready):
        room = log.play_start_us[segment - player.max_segments] + log.segment_us
        assert segment >= player.max_segments
        assert log.download_start_us[segment] == room


@on_500_playbacks
@given(PLAYBACKS)
def test_the_refreshes_without_stalls_show_every_media_frame_once_in_order(playback):
    log, _, _ = stream(**playback)
    for startup in (False, True):
        seen = shown(log, startup)
        new = ~seen.stalled
        n_frames = log.segment_us // log.tick_us
        np.testing.assert_array_equal(seen.media_frame[new], np.arange(len(log.rung) * n_frames))
        np.testing.assert_array_equal(seen.rung[new], np.repeat(log.rung, n_frames))


@on_500_playbacks
@given(PLAYBACKS)
def test_what_is_shown_lasts_as_long_as_the_wall_clock(playback):
    log, _, _ = stream(**playback)
    stalled_us = log.stalls_us[:, 1].sum()
    for startup_us, seen in ((0, shown(log)), (log.startup_us, shown(log, startup=True))):
        assert len(seen.stalled) * log.tick_us == log.wall_us - log.startup_us + startup_us
        assert seen.stalled.sum() * log.tick_us == stalled_us + startup_us


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


def scripted(play_start_us, **changes):
    """Two segments of two refreshes each, at rungs 3 and 1."""
    fields = {"segment_us": 20, "tick_us": 10, "play_start_us": np.array(play_start_us)}
    both = {"rung": np.array([3, 1]), "size_bits": np.array([8, 8])}
    return PlaybackLog(**(fields | both | changes))


def test_a_stall_repeats_the_last_frame_and_nothing_is_shown_before_the_first():
    seen = shown(scripted([10, 50]), startup=True)
    assert seen.media_frame.tolist() == [-1, 0, 1, 1, 1, 2, 3]
    assert seen.rung.tolist() == [-1, 3, 3, 3, 3, 1, 1]
    assert seen.stalled.tolist() == [True, False, False, True, True, False, False]


def test_what_is_shown_begins_with_playback_unless_the_startup_is_asked_for():
    assert shown(scripted([10, 50])).media_frame.tolist() == [0, 1, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("starts", "segment"),
    [([0, 10], 1), ([0, 25], 1), ([5, 25], 0), ([-10, 10], 0)],
    ids=["overlap", "between refreshes", "startup between refreshes", "before the request"],
)
def test_a_play_start_that_no_display_could_show_is_refused(refuses, starts, segment):
    with refuses(
        f"segment {segment} starts to play at {starts[segment]} us, expected a refresh (every "
        "10 us) after the segment before; another clock?"
    ):
        scripted(starts)


def test_a_segment_that_ends_between_two_refreshes_is_refused(refuses):
    with refuses(
        "segment_us is 25, expected whole refreshes of 10 us; does the frame rate divide the "
        "segment?"
    ):
        scripted([0, 30], segment_us=25)


def test_a_segment_that_arrives_as_the_buffer_empties_causes_no_stall():
    trace = Trace("just", (SECOND,), (1000,))
    player = Player(start_segments=1, resume_segments=1, max_segments=3)
    assert len(play(encodes([2000] * 6), trace, Fixed(0), player).stalls_us) == 0


def test_a_fast_network_is_held_back_by_the_full_buffer():
    trace = Trace("fast", (SECOND,), (2_000_000,))
    player = Player(start_segments=1, resume_segments=1, max_segments=3)
    log = play(encodes([2000] * 6), trace, Fixed(0), player)
    assert log.startup_us == 40_000  # the first refresh after 1000 us
    np.testing.assert_array_equal(
        log.download_start_us, [0, 1000, 2000, 2_040_000, 4_040_000, 6_040_000]
    )


class Listener:
    """An ABR that keeps to the lowest rung and remembers what it was told."""

    def __init__(self):
        self.buffer_s = []

    def choose(self, state):
        self.buffer_s.append(state.buffer_s)
        return 0


def test_an_abr_is_told_the_media_that_waits_and_not_what_the_next_refresh_brings():
    trace = Trace("fast", (SECOND,), (2_000_000,))
    listener = Listener()
    play(encodes([2000] * 5), trace, listener, Player(resume_segments=1, max_segments=3))
    assert listener.buffer_s == [0.0, 2.0, 4.0, 4.0, 4.0]


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
