"""Sessions with one thing changed about their playback, against a timeline of single frames."""

import dataclasses

import numpy as np
import pytest

from qoe_core import qos
from qoe_core.session import Session, hold_through_stalls
from qoe_core.what_if import (
    EDITED,
    delete_stall,
    insert_stall,
    lengthen_stall,
    move_stall,
    set_bitrate,
)

FPS = 100
DURATION_S = 13.4


def pause(rate, at_s, duration_s):
    """Frames with nothing played from `at_s` on."""
    return np.insert(rate, round(at_s * FPS), np.full(round(duration_s * FPS), np.nan))


def cut(rate, from_s, to_s):
    return np.delete(rate, np.s_[round(from_s * FPS) : round(to_s * FPS)])


def encoded(rate, from_s, to_s, kbps):
    """Frames that are played from `from_s` to `to_s` at another bitrate."""
    changed = rate.copy()
    part = changed[from_s * FPS : to_s * FPS]
    part[~np.isnan(part)] = kbps
    return changed


EDITS = {  # of a stall from 5 to 7.5 s, in a session and in its frames
    "insert": (lambda s: insert_stall(s, 9.37, 1.25), lambda r: pause(r, 9.37, 1.25)),
    "insert first": (lambda s: insert_stall(s, 0.0, 2.5), lambda r: pause(r, 0, 2.5)),
    "insert last": (lambda s: insert_stall(s, 13.4, 1.3), lambda r: pause(r, 13.4, 1.3)),
    "insert before a stall": (lambda s: insert_stall(s, 5.0, 0.75), lambda r: pause(r, 5, 0.75)),
    "insert after a stall": (lambda s: insert_stall(s, 7.5, 0.75), lambda r: pause(r, 7.5, 0.75)),
    "move later": (lambda s: move_stall(s, 0, 8.2), lambda r: pause(cut(r, 5, 7.5), 8.2, 2.5)),
    "move earlier": (lambda s: move_stall(s, 0, 1.99), lambda r: pause(cut(r, 5, 7.5), 1.99, 2.5)),
    "lengthen": (lambda s: lengthen_stall(s, 0, 4.2), lambda r: pause(r, 7.5, 1.7)),
    "shorten": (lambda s: lengthen_stall(s, 0, 0.3), lambda r: cut(r, 5.3, 7.5)),
    "delete": (lambda s: delete_stall(s, 0), lambda r: cut(r, 5, 7.5)),
    "bitrate": (lambda s: set_bitrate(s, 4, 8, 777.0), lambda r: encoded(r, 4, 9, 777.0)),
    "last bitrate": (lambda s: set_bitrate(s, 12, 13, 777.0), lambda r: encoded(r, 12, 14, 777.0)),
    "bitrate of what was moved": (
        lambda s: set_bitrate(move_stall(s, 0, 8.2), 7, 10, 777.0),
        lambda r: encoded(pause(cut(r, 5, 7.5), 8.2, 2.5), 7, 11, 777.0),
    ),
}
UNDONE = {
    "insert and delete": lambda s: delete_stall(insert_stall(s, 9.3712, 1.2345), 1),
    "delete and insert": lambda s: insert_stall(delete_stall(s, 0), *s.stalls[0].tolist()),
    "the same length": lambda s: lengthen_stall(s, 0, 2.5),
    "another length and back": lambda s: lengthen_stall(lengthen_stall(s, 0, 0.123), 0, 2.5),
    "the same place": lambda s: move_stall(s, 0, 5.0),
    "past another and back": lambda s: delete_stall(
        move_stall(move_stall(insert_stall(s, 9.3712, 1.2345), 0, 11.111), 1, 5.0), 1
    ),
}
EDITED_IN_EVERY_WAY = pytest.mark.parametrize(("edit", "expected"), EDITS.values(), ids=list(EDITS))


@pytest.fixture
def played(make_session):
    """A stall from 5 to 7.5 s, and a last second of 0.4 s."""
    return make_session(pattern=1, duration_s=DURATION_S)


def frames(session):
    """Bitrate of each frame as played, NaN while stalled."""
    rate = session.bitrate_kbps.repeat(FPS)[: round(session.duration_s * FPS)]
    for start, duration in session.stalls:
        rate[round(start * FPS) : round((start + duration) * FPS)] = np.nan
    return rate


def seconds(timeline):
    return np.split(timeline, np.arange(FPS, len(timeline), FPS))


@EDITED_IN_EVERY_WAY
def test_the_bitrate_is_the_mean_over_the_frames_of_each_second(played, edit, expected):
    means = [part[~np.isnan(part)] for part in seconds(expected(frames(played)))]
    means = [part.mean() if part.size else 0.0 for part in means]
    np.testing.assert_allclose(edit(played).bitrate_kbps, means, rtol=1e-9, atol=0)


@EDITED_IN_EVERY_WAY
def test_the_stalls_are_where_no_frame_is_played(played, edit, expected):
    share = [np.isnan(part).mean() for part in seconds(expected(frames(played)))]
    np.testing.assert_allclose(edit(played).stalled, share, rtol=0, atol=1e-9)


@EDITED_IN_EVERY_WAY
def test_the_session_is_as_long_as_its_frames(played, edit, expected):
    assert edit(played).duration_s == pytest.approx(len(expected(frames(played))) / FPS, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in EDITS if "bitrate" not in name])
def test_quality_and_resolution_go_with_the_content_and_are_held_through_stalls(make_session, name):
    """As the bitrate does, so a metric with the values of the bitrate says what to expect."""
    played = make_session(pattern=1, duration_s=DURATION_S)
    rate = hold_through_stalls(played.bitrate_kbps, played.stalled)
    seen = {"quality": {"rate": rate}, "height_px": rate}
    edited = EDITS[name][0](dataclasses.replace(played, **seen))
    expected = hold_through_stalls(edited.bitrate_kbps, edited.stalled)
    np.testing.assert_allclose(edited.quality["rate"], expected, rtol=1e-12)
    np.testing.assert_allclose(edited.height_px, expected, rtol=1e-12)


def test_quality_is_unknown_in_a_stall_before_anything_is_shown(played):
    unknown = np.isnan(insert_stall(played, 0.0, 2.5).quality["vmaf"])
    assert np.flatnonzero(unknown).tolist() == [0, 1]


@pytest.mark.parametrize("undone", UNDONE.values(), ids=list(UNDONE))
def test_edits_that_undo_each_other_give_the_arrays_back(played, undone):
    again = undone(played)
    for name in ("duration_s", "stalls", "stalled", "bitrate_kbps"):
        expected = getattr(played, name)
        np.testing.assert_allclose(getattr(again, name), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(again.quality["vmaf"], played.quality["vmaf"], rtol=1e-12)


def test_a_hundred_moves_of_a_stall_blur_nothing(played):
    edited, rng = played, np.random.default_rng(0)
    for start in rng.uniform(0, 10.9, 100):
        edited = move_stall(edited, 0, start)
    again = move_stall(edited, 0, 5.0)
    np.testing.assert_allclose(again.bitrate_kbps, played.bitrate_kbps, rtol=1e-12)


def test_another_bitrate_leaves_quality_and_resolution_as_they_were(played):
    edited = set_bitrate(played, 2, 9, 777.0)
    np.testing.assert_allclose(edited.height_px, played.height_px, rtol=1e-12)
    np.testing.assert_allclose(edited.quality["vmaf"], played.quality["vmaf"], rtol=1e-12)


def test_without_a_bitrate_there_is_none_afterwards(played):
    assert move_stall(dataclasses.replace(played, bitrate_kbps=None), 0, 8.2).bitrate_kbps is None


def test_without_a_resolution_there_is_none_afterwards(played):
    bare = dataclasses.replace(played, height_px=None)
    assert set_bitrate(move_stall(bare, 0, 8.2), 2, 9, 777.0).height_px is None


@EDITED_IN_EVERY_WAY
def test_nobody_rated_or_recorded_what_was_edited(played, edit, expected):
    edited = edit(played)
    unknown = ("rated", "rated_ci", "overall", "overall_ci", "ratings", "video")
    assert [name for name in unknown if getattr(edited, name) is not None] == []


@EDITED_IN_EVERY_WAY
def test_what_an_edit_does_not_concern_stays(played, edit, expected):
    edited = edit(played)
    own = {"name", "duration_s", "stalls", "bitrate_kbps", "height_px", "quality", "stalled"}
    kept = {f.name for f in dataclasses.fields(Session)} - own
    kept = {name for name in kept if not name.startswith(("rat", "overall", "video"))}
    assert [name for name in kept if getattr(edited, name) != getattr(played, name)] == []


def test_the_name_says_once_that_it_was_edited(played):
    assert move_stall(insert_stall(played, 1.0, 1.0), 1, 0.0).name == played.name + EDITED


def test_the_given_session_stays_as_it_is(played):
    before = frames(played)
    lengthen_stall(played, 0, 4.2)
    set_bitrate(played, 0, 3, 777.0)
    np.testing.assert_array_equal(frames(played), before)


def test_a_stall_moved_past_another_changes_its_number(played):
    edited = move_stall(insert_stall(played, 10.0, 1.0), 0, 11.25)
    np.testing.assert_allclose(edited.stalls, [[7.5, 1.0], [11.25, 2.5]], rtol=1e-12)


def test_a_stall_dragged_to_another_is_one_event_with_it(played):
    edited = move_stall(insert_stall(played, 10.0, 1.0), 1, 7.5)
    assert (len(edited.stalls), qos.stall_count(edited)[-1]) == (2, 1)


def test_a_stall_inserted_where_another_begins_comes_first(played):
    edited = insert_stall(played, 5.0, 0.75)
    np.testing.assert_allclose(edited.stalls, [[5.0, 0.75], [5.75, 2.5]], rtol=1e-12)
