"""A session with one thing changed about its playback: a stall, or the bitrate of some seconds.

Times are seconds of wall clock of the session that is given, stalls included. Stalls are numbered
from 0 in order of their start, so one that is moved past another changes its number.

Nothing of the content is lost or shown twice: a stall that is inserted shifts what comes after it
to later, one that is deleted to earlier, and the duration changes with it. Every edit goes back to
the content as it was played, so edits that undo each other give back the same arrays, up to
rounding, and many small edits blur nothing. Quality metrics are those of the content that was
played: a changed bitrate does not change them, since nobody knows what it would have looked like.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

from qoe_core.session import (
    TOUCHING_S,
    Session,
    hold_through_stalls,
    n_seconds,
    stalled_fraction,
)

EDITED = " (edited)"  # behind the name


@dataclass(frozen=True, kw_only=True, eq=False)
class Media:
    """What was played in media time, which does not run during stalls; constant in each piece."""

    edges: Float[np.ndarray, " edge"]  # s of media time, increasing, one more than pieces
    bitrate_kbps: Float[np.ndarray, " piece"] | None
    height_px: Float[np.ndarray, " piece"] | None
    quality: Mapping[str, Float[np.ndarray, " piece"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Edited(Session):
    """A playback that never took place: no ratings, and no video, since frames come otherwise."""

    media: Media

    def _check_scores(self) -> None:
        """Nobody rated it."""


def insert_stall(session: Session, start_s: float, duration_s: float) -> Edited:
    """The session with one more stall; it may touch others, with which it is then one event.

    Raises:
        ValueError: it would begin outside of the session or inside a stall, or is of no length.
    """
    return _with_stall(session, start_s, duration_s)


def move_stall(session: Session, number: int, start_s: float) -> Edited:
    """The session with a stall that begins at `start_s` of the new wall clock, as long as before.

    It is taken away first, so stalls that came after it are then earlier by its length.

    Raises:
        ValueError: no such stall, or it would begin outside of the session or inside another.
    """
    _, duration_s = _stall(session, number)
    return _with_stall(delete_stall(session, number), start_s, duration_s, moved=number)


def lengthen_stall(session: Session, number: int, duration_s: float) -> Edited:
    """The session with a stall that lasts `duration_s`, which may be shorter than before.

    Raises:
        ValueError: no such stall, or no length.
    """
    _stall(session, number)
    _check_length(session, duration_s)
    pauses = _pauses(session)
    pauses[number, 1] = duration_s
    return _edited(session, _media(session), pauses)


def delete_stall(session: Session, number: int) -> Edited:
    """The session without a stall.

    Raises:
        ValueError: no such stall.
    """
    _stall(session, number)
    return _edited(session, _media(session), np.delete(_pauses(session), number, axis=0))


def set_bitrate(session: Session, first_second: int, last_second: int, kbps: float) -> Edited:
    """The session with another bitrate of all that is played in these seconds, both included.

    Raises:
        ValueError: the session has no bitrate, the rate is no positive number, or there are no such
            seconds, or nothing is played in them.
    """
    if session.bitrate_kbps is None:
        raise ValueError(
            f"{session.label} has no bitrate that could be changed; choose a data set that was "
            "released with one"
        )
    if not (math.isfinite(kbps) and kbps > 0):
        raise ValueError(f"{session.label}: bitrate is {kbps} kbit/s, expected a positive number")
    if not 0 <= first_second <= last_second < session.n_seconds:
        raise ValueError(
            f"{session.label}: seconds {first_second} to {last_second}, expected a first and a "
            f"last one, in this order, from 0 to {session.n_seconds - 1}"
        )
    if session.stalled[first_second : last_second + 1].min() >= 1 - TOUCHING_S:
        raise ValueError(
            f"{session.label}: nothing is played from second {first_second} to {last_second}, "
            "expected one that is not fully stalled"
        )
    media = _media(session)
    ends = np.array([first_second, min(last_second + 1, session.duration_s)], dtype=float)
    low, high = np.minimum(_media_time(session.stalls, ends), media.edges[-1])
    edges = np.union1d(media.edges, [low, high])
    old = np.searchsorted(media.edges, edges[:-1], side="right") - 1
    inside = (edges[:-1] >= low) & (edges[:-1] < high)
    changed = Media(
        edges=edges,
        bitrate_kbps=np.where(inside, kbps, media.bitrate_kbps[old]),
        height_px=None if media.height_px is None else media.height_px[old],
        quality={metric: values[old] for metric, values in media.quality.items()},
    )
    return _edited(session, changed, _pauses(session))


def _stall(session: Session, number: int) -> tuple[float, float]:
    """Start and duration of one stall."""
    n_stalls = len(session.stalls)
    if not 0 <= number < n_stalls:
        known = f"expected 0 to {n_stalls - 1}" if n_stalls else "it never stalls; insert one first"
        raise ValueError(f"{session.label} has no stall {number}, {known}")
    start_s, duration_s = session.stalls[number].tolist()
    return start_s, duration_s


def _check_length(session: Session, duration_s: float) -> None:
    if not (math.isfinite(duration_s) and duration_s > 0):
        raise ValueError(
            f"{session.label}: a stall of {duration_s} s, expected a positive number of s; "
            "to take a stall away, delete it"
        )


def _with_stall(
    session: Session, start_s: float, duration_s: float, moved: int | None = None
) -> Edited:
    """One more stall; `moved` is the number that it had before it was taken out of `session`."""
    _check_length(session, duration_s)
    name = "a new stall" if moved is None else f"stall {moved}"
    without = "" if moved is None else f" without stall {moved}"
    if not 0 <= start_s <= session.duration_s + TOUCHING_S:
        raise ValueError(
            f"{session.label}: {name} cannot begin at {start_s:g} s, expected 0 to "
            f"{session.duration_s:g} s, where the session{without} ends"
        )
    starts, ends = session.stalls[:, 0], session.stalls.sum(1)
    inside = np.flatnonzero((starts + TOUCHING_S < start_s) & (start_s < ends - TOUCHING_S))
    if inside.size:
        other = inside[0]
        number = other if moved is None else other + (other >= moved)
        raise ValueError(
            f"{session.label}: {name} cannot begin at {start_s:g} s, inside stall {number}, which "
            f"lasts from {starts[other]:g} to {ends[other]:g} s{without}; choose a start outside "
            f"of it, or make stall {number} longer"
        )
    media = _media(session)
    position = min(_media_time(session.stalls, np.array([start_s]))[0], media.edges[-1])
    place = int(np.searchsorted(starts, start_s - TOUCHING_S))
    pauses = np.insert(_pauses(session), place, (position, duration_s), axis=0)
    return _edited(session, media, pauses)


def _media_time(
    stalls: Float[np.ndarray, "stall 2"], wall_s: Float[np.ndarray, " edge"]
) -> Float[np.ndarray, " edge"]:
    """Wall clock minus the stalled time before it."""
    return wall_s - np.clip(wall_s - stalls[:, :1], 0, stalls[:, 1:]).sum(0)


def _pauses(session: Session) -> Float[np.ndarray, "stall 2"]:
    """Position in media time and duration of each stall."""
    durations = session.stalls[:, 1]
    return np.stack([session.stalls[:, 0] - (np.cumsum(durations) - durations), durations], axis=1)


def _second_edges(duration_s: float) -> Float[np.ndarray, " edge"]:
    return np.append(np.arange(n_seconds(duration_s), dtype=float), duration_s)


def _media(session: Session) -> Media:
    """What the session played: one piece a second that shows something."""
    if isinstance(session, Edited):
        return session.media
    shown = session.stalled < 1 - TOUCHING_S
    if not shown.any():
        raise ValueError(
            f"{session.label} stalls from its beginning to its end, so nothing that is played "
            "could come earlier or later; choose another session"
        )
    edges = _media_time(session.stalls, _second_edges(session.duration_s))
    rate, height = session.bitrate_kbps, session.height_px
    return Media(
        edges=np.concatenate([[0.0], edges[:-1][shown][1:], edges[-1:]]),
        bitrate_kbps=None if rate is None else rate[shown],
        height_px=None if height is None else height[shown],
        quality={metric: values[shown] for metric, values in session.quality.items()},
    )


def _edited(session: Session, media: Media, pauses: Float[np.ndarray, "stall 2"]) -> Edited:
    """`session` as it would have been with this content and these pauses in media time."""
    positions, durations = pauses.T
    stalls = np.stack([positions + np.cumsum(durations) - durations, durations], axis=1)
    duration_s = float(media.edges[-1] + durations.sum())
    stalled = stalled_fraction(stalls, duration_s)
    shown = stalled < 1 - TOUCHING_S

    seconds = _media_time(stalls, _second_edges(duration_s))
    ends = np.minimum(seconds[1:, None], media.edges[1:])
    share = np.clip(ends - np.maximum(seconds[:-1, None], media.edges[:-1]), 0, None)
    share /= np.where(shown, share.sum(1), 1.0)[:, None]  # of each piece in what a second plays

    rate, height = media.bitrate_kbps, media.height_px
    changes = {
        "name": session.name.removesuffix(EDITED) + EDITED,
        "duration_s": duration_s,
        "stalls": stalls,
        "bitrate_kbps": None if rate is None else np.where(shown, share @ rate, 0.0),
        "height_px": None if height is None else hold_through_stalls(share @ height, stalled),
        "quality": {
            metric: hold_through_stalls(share @ values, stalled)
            for metric, values in media.quality.items()
        },
        **dict.fromkeys(["rated", "rated_ci", "overall", "overall_ci", "ratings", "video"]),
    }
    kept = {field.name: getattr(session, field.name) for field in fields(Session) if field.init}
    return Edited(**{**kept, **changes}, media=media)
