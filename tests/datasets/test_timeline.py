import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoe_core.datasets.timeline import Timeline, wall_clock_stalls
from qoe_core.session import Session

PROPERTY = settings(max_examples=300, deadline=None, derandomize=True)


@st.composite
def playbacks(draw):
    """Durations of chunks, one value each, and stalls in media time (between or inside chunks)."""
    seconds = st.floats(0.05, 8.0)
    chunk_s = np.array(draw(st.lists(seconds, min_size=1, max_size=8)))
    values = np.array(draw(st.lists(st.floats(1.0, 1e4), min_size=8, max_size=8)))[: len(chunk_s)]
    shares = draw(st.lists(st.floats(0.0, 1.0), max_size=4, unique=True))
    media_s = np.array(sorted(shares)) * chunk_s.sum()
    stalled_s = np.array(draw(st.lists(seconds, min_size=4, max_size=4)))[: len(media_s)]
    return Timeline(chunk_s, wall_clock_stalls(media_s, stalled_s)), values


def test_stalls_in_media_time_move_by_the_stalls_before_them():
    stalls = wall_clock_stalls(np.array([0.0, 4.0, 9.0]), np.array([1.5, 2.0, 0.5]))
    np.testing.assert_array_equal(stalls, [[0.0, 1.5], [5.5, 2.0], [12.5, 0.5]])


def test_no_stall_is_no_row():
    assert wall_clock_stalls(np.zeros(0), np.zeros(0)).shape == (0, 2)


def test_a_second_is_the_mean_of_what_it_shows_weighted_by_time():
    # 2 s at 10, 2 s at 20; stalls of 0.5 s at the start and of 1.75 s before the second chunk:
    # | .5 stalled .5 of a | a | .5 of a, stalled ... | stalled until 4.25, .75 of b | b | .25 of b
    stalls = wall_clock_stalls(np.array([0.0, 2.0]), np.array([0.5, 1.75]))
    timeline = Timeline(np.array([2.0, 2.0]), stalls)
    assert timeline.duration_s == 6.25
    np.testing.assert_allclose(timeline.mean(np.array([10.0, 20.0])), [10, 10, 10, 0, 20, 20, 20])


def test_a_second_over_two_chunks_takes_both_by_their_share():
    # chunks of 1.25 s and 1.75 s; second 1 shows .25 s of the first and .75 s of the second
    timeline = Timeline(np.array([1.25, 1.75]), np.zeros((0, 2)))
    np.testing.assert_allclose(timeline.mean(np.array([8.0, 4.0])), [8.0, 5.0, 4.0])


def test_a_stall_inside_a_second_leaves_only_what_was_shown_to_its_mean():
    # second 1: .25 s of the first chunk, .5 s stalled, .25 s of the second
    stalls = wall_clock_stalls(np.array([1.25]), np.array([0.5]))
    timeline = Timeline(np.array([1.25, 1.25]), stalls)
    np.testing.assert_allclose(timeline.mean(np.array([8.0, 4.0])), [8.0, 6.0, 4.0])


def test_quality_is_held_while_stalled_and_nan_before_the_first_shown_second():
    stalls = wall_clock_stalls(np.array([0.0, 1.0]), np.array([2.0, 2.0]))
    timeline = Timeline(np.ones(2), stalls)
    held = timeline.held(np.array([3.0, 5.0]))
    np.testing.assert_array_equal(held, [np.nan, np.nan, 3.0, 3.0, 3.0, 5.0])


def test_a_stall_after_the_last_chunk_shows_nothing():
    timeline = Timeline(np.ones(1), wall_clock_stalls(np.array([1.0]), np.array([2.0])))
    np.testing.assert_array_equal(timeline.mean(np.array([7.0])), [7.0, 0.0, 0.0])


@PROPERTY
@given(playbacks())
def test_played_time_times_value_is_conserved(playback):
    timeline, values = playback
    edges = np.append(np.arange(len(timeline.stalled), dtype=float), timeline.duration_s)
    played_s = (1 - timeline.stalled) * np.diff(edges)
    expected = timeline.chunk_s @ values
    # each second may drop a millionth of itself as fully stalled
    slack = 1e-6 * len(played_s) * values.max() + 1e-9 * expected
    assert played_s @ timeline.mean(values) == pytest.approx(expected, abs=slack)


@PROPERTY
@given(playbacks())
def test_playback_and_stalls_add_up_to_wall_clock_time(playback):
    timeline, _ = playback
    edges = np.append(np.arange(len(timeline.stalled), dtype=float), timeline.duration_s)
    played_s = ((1 - timeline.stalled) * np.diff(edges)).sum()
    assert played_s == pytest.approx(timeline.chunk_s.sum(), abs=1e-6)


@PROPERTY
@given(playbacks())
def test_every_timeline_is_a_valid_session(playback):
    timeline, values = playback
    Session(
        dataset="any",
        name="any",
        content="any",
        pattern="any",
        device="any",
        duration_s=timeline.duration_s,
        stalls=timeline.stalls,
        bitrate_kbps=timeline.mean(values),
        quality={"any": timeline.held(values)},
        scale=(0.0, 1.0),
        overall=0.5,
    )


@PROPERTY
@given(playbacks())
def test_no_second_leaves_the_range_of_the_values(playback):
    timeline, values = playback
    shown = timeline.mean(values)[timeline.share.sum(1) > 0]
    assert values.min() * (1 - 1e-9) <= shown.min()
    assert shown.max() <= values.max() * (1 + 1e-9)
