"""What a Session derives from its stall intervals."""

import numpy as np
import pytest

from qoe_core.session import stalled_fraction, stalls_from_flags


@pytest.mark.parametrize(
    ("stalls", "duration_s", "expected"),
    [
        ([], 2.0, [0, 0]),
        ([[0.5, 1.25]], 3.0, [0.5, 0.75, 0]),
        ([[1.0, 1.0]], 3.0, [0, 1, 0]),
        ([[0.1, 0.2], [0.6, 0.1]], 1.0, [0.3]),
        ([[0.5, 0.5], [1.0, 0.5]], 2.0, [0.5, 0.5]),
        ([[2.25, 0.25]], 2.5, [0, 0, 0.5]),
        ([[1.5, 1.0]], 2.5, [0, 0.5, 1]),
        ([[0.0, 3.0]], 3.0, [1, 1, 1]),
        ([[0.0, 0.3]], 0.6, [0.5]),
    ],
    ids=[
        "none",
        "across a boundary",
        "one whole second",
        "two in one second",
        "touching",
        "in the partial last second",
        "all of the partial last second",
        "the whole session",
        "session under a second",
    ],
)
def test_stalled_is_the_share_of_each_second_that_exists(
    make_session, stalls, duration_s, expected
):
    session = make_session(
        seconds=len(expected),
        stalls=np.array(stalls, dtype=float).reshape(-1, 2),
        duration_s=duration_s,
        bitrate_kbps=None,
    )
    np.testing.assert_allclose(session.stalled, expected, rtol=0, atol=1e-12)


def test_stalled_seconds_add_up_to_the_stalls():
    rng = np.random.default_rng(3)
    for _ in range(50):
        edges = np.sort(rng.uniform(0, 20, 8))
        stalls = np.stack([edges[::2], np.diff(edges)[::2]], axis=1)
        assert stalled_fraction(stalls, 20.0).sum() == pytest.approx(stalls[:, 1].sum(), rel=1e-12)


def test_stalls_from_flags_cover_the_flagged_samples():
    flags = np.random.default_rng(1).integers(0, 2, 250).astype(float)
    stalls = stalls_from_flags(flags, hz=25.0)
    per_second = flags.reshape(10, 25).mean(axis=1)
    np.testing.assert_allclose(stalled_fraction(stalls, 10.0), per_second, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("duration_s", "n"), [(0.2, 1), (1.0, 1), (3.0, 3), (3.01, 4)])
def test_a_partial_last_second_counts_as_one(make_session, duration_s, n):
    assert make_session(seconds=n, duration_s=duration_s).n_seconds == n


def test_quality_may_be_unknown_before_the_first_shown_second(make_session):
    loading = np.array([[0.0, 2.5]])
    session = make_session(
        seconds=4,
        stalls=loading,
        bitrate_kbps=np.array([0.0, 0.0, 500.0, 500.0]),
        quality={"vmaf": np.array([np.nan, np.nan, 80.0, 80.0])},
    )
    assert session.n_unshown_seconds == 2


def test_a_height_of_0_is_refused_by_second(make_session, refuses):
    with refuses(
        "tiny/content_0_pattern_0: height_px, second 2 is 0.0, expected a positive number of px; "
        "is 0 written while nothing is played?"
    ):
        make_session(seconds=3, height_px=np.array([720.0, 720.0, 0.0]))


def test_a_fully_stalled_session_shows_nothing(make_session):
    session = make_session(
        seconds=3,
        stalls=np.array([[0.0, 3.0]]),
        bitrate_kbps=np.zeros(3),
        quality={"vmaf": np.full(3, np.nan)},
    )
    assert session.n_unshown_seconds == 3
