"""Everything that a Session refuses on construction, message by message."""

from pathlib import Path

import jaxtyping
import numpy as np
import pytest

NAN, INF = np.nan, np.inf
LABEL = "tiny/content_0_pattern_0"
STALLED_IN_SECOND_1 = np.array([[1.0, 1.0]])


def rates(*values):
    return np.array(values, dtype=float)


def bounds(low, high):
    return np.tile(rates(low, high), (4, 1))


@pytest.fixture
def without_shape_checks():
    """As outside the tests, where nothing but the Session itself looks at shapes."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


ORDER = "are the times media time instead of wall clock?"
SCALE = "is the score on another scale (already z-scored, or raw)?"
PLAYED = "expected 0 exactly where nothing is played; do the stall times belong to this session?"
REFUSED = {
    "no duration": ({"duration_s": 0.0}, "duration_s is 0.0, expected a positive number of s"),
    "unknown duration": ({"duration_s": NAN}, "duration_s is nan, expected a positive number of s"),
    "unknown stall": (
        {"stalls": np.array([[1.0, NAN]])},
        "stalls hold a value that is not finite; is a stall time missing?",
    ),
    "empty stall": (
        {"stalls": np.array([[1.0, 0.0]])},
        "stall 0 starts at 1.0 s and lasts 0.0 s, expected a positive duration and a start at or "
        f"after 0.0 s; {ORDER}",
    ),
    "stall before the start": (
        {"stalls": np.array([[-0.5, 1.0]])},
        "stall 0 starts at -0.5 s and lasts 1.0 s, expected a positive duration and a start at or "
        f"after 0.0 s; {ORDER}",
    ),
    "overlapping stalls": (
        {"stalls": np.array([[1.0, 1.0], [1.5, 1.0]])},
        "stall 1 starts at 1.5 s and lasts 1.0 s, expected a positive duration and a start at or "
        f"after 2.0 s; {ORDER}",
    ),
    "stalls out of order": (
        {"stalls": np.array([[2.0, 0.5], [1.0, 0.5]])},
        "stall 1 starts at 1.0 s and lasts 0.5 s, expected a positive duration and a start at or "
        f"after 2.5 s; {ORDER}",
    ),
    "stall after the end": (
        {"stalls": np.array([[3.0, 2.0]])},
        "stalls end at 5.0 s, after the session of 4.0 s; does the duration leave the stalls out?",
    ),
    "bitrate 0 while played": (
        {"bitrate_kbps": rates(500, 0, 500, 500)},
        f"bitrate_kbps, second 1 is 0.0 while 0.000 of the second is stalled, {PLAYED}",
    ),
    "bitrate while stalled": (
        {"stalls": STALLED_IN_SECOND_1, "bitrate_kbps": rates(500, 500, 500, 500)},
        f"bitrate_kbps, second 1 is 500.0 while 1.000 of the second is stalled, {PLAYED}",
    ),
    "negative bitrate while stalled": (
        {"stalls": STALLED_IN_SECOND_1, "bitrate_kbps": rates(500, -1, 500, 500)},
        f"bitrate_kbps, second 1 is -1.0 while 1.000 of the second is stalled, {PLAYED}",
    ),
    "unknown bitrate": (
        {"bitrate_kbps": rates(500, 500, NAN, 500)},
        "bitrate_kbps, second 2 is nan, expected a number",
    ),
    "unknown quality": (
        {"quality": {"ssim": rates(1, 1, 1, NAN)}},
        "quality[ssim], second 3 is nan, expected a number",
    ),
    "infinite quality": (
        {"quality": {"psnr": rates(40, INF, 40, 40)}},
        "quality[psnr], second 1 is inf, expected a number",
    ),
    "reversed scale": (
        {"scale": (100.0, 0.0)},
        "scale is (100.0, 0.0), expected low < high",
    ),
    "rating above the scale": (
        {"rated": rates(50, 101, 50, 50)},
        f"rated, second 1 is 101.0, expected 0.0 to 100.0; {SCALE}",
    ),
    "rating below the scale": (
        {"rated": rates(50, 50, 50, -1.5)},
        f"rated, second 3 is -1.5, expected 0.0 to 100.0; {SCALE}",
    ),
    "unknown rating": (
        {"rated": rates(50, 50, NAN, 50)},
        "rated, second 2 is nan, expected a number",
    ),
    "interval without rating": ({"rated": None}, "rated_ci is given without rated"),
    "unknown upper bound": (
        {"rated_ci": bounds(40, NAN)},
        "rated_ci high, second 0 is nan, expected a number",
    ),
    "swapped bounds": (
        {"rated_ci": bounds(60, 40)},
        "rated_ci, second 0 has low above high; are they swapped?",
    ),
    "overall above the scale": (
        {"overall": 101.0},
        "overall is 101.0, expected 0.0 to 100.0; another scale?",
    ),
    "unknown overall": (
        {"overall": NAN},
        "overall is nan, expected 0.0 to 100.0; another scale?",
    ),
    "overall interval without overall": (
        {"overall": None},
        "overall_ci is given without overall",
    ),
    "swapped overall bounds": (
        {"overall_ci": (60.0, 40.0)},
        "overall_ci is (60.0, 40.0), expected numbers, low <= high",
    ),
    "unknown overall bound": (
        {"overall_ci": (40.0, NAN)},
        "overall_ci is (40.0, nan), expected numbers, low <= high",
    ),
    "nobody rated": (
        {"rated": None, "rated_ci": None, "overall": None, "overall_ci": None},
        "rated and overall are both missing: nobody rated this session",
    ),
}


@pytest.mark.parametrize(("changes", "problem"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_cannot_be_a_playback(make_session, refuses, changes, problem):
    with refuses(f"{LABEL}: {problem}"):
        make_session(seconds=4, **changes)


@pytest.mark.parametrize(
    ("changes", "field", "length"),
    [
        ({"bitrate_kbps": np.full(3, 500.0)}, "bitrate_kbps", 3),
        ({"quality": {"ssim": np.ones(5)}}, "quality[ssim]", 5),
        ({"rated": np.full(100, 50.0)}, "rated", 100),
        ({"rated_ci": bounds(40, 60)[:3]}, "rated_ci low", 3),
    ],
)
def test_refuses_a_series_of_another_length(
    make_session, refuses, without_shape_checks, changes, field, length
):
    with refuses(
        f"{LABEL}: {field} has shape ({length},), expected (4,) for 4.0 s; "
        "are seconds missing or is it sampled per frame?"
    ):
        make_session(seconds=4, **changes)


def test_a_refusal_names_the_files_that_were_read(make_session, refuses):
    files = (Path("log.csv"), Path("mos.csv"))
    with refuses(
        f"{LABEL} (log.csv, mos.csv): overall is 101.0, expected 0.0 to 100.0; another scale?"
    ):
        make_session(seconds=4, overall=101.0, sources=files)


def test_quality_must_be_known_from_the_first_shown_second_on(make_session, refuses):
    with refuses(f"{LABEL}: quality[vmaf], second 2 is nan, expected a number"):
        make_session(
            seconds=4,
            stalls=np.array([[0.0, 2.5]]),
            bitrate_kbps=rates(0, 0, 500, 500),
            quality={"vmaf": rates(NAN, NAN, NAN, 80)},
        )


def test_quality_must_be_known_in_later_stalls(make_session, refuses):
    with refuses(f"{LABEL}: quality[vmaf], second 1 is nan, expected a number"):
        make_session(
            seconds=4,
            stalls=STALLED_IN_SECOND_1,
            bitrate_kbps=rates(500, 0, 500, 500),
            quality={"vmaf": rates(80, NAN, 80, 80)},
        )
