import itertools
import time

import numpy as np
import pytest

from qoe_core.decimation import decimated

LONG = 100_000


def walk(n_seconds):
    return np.cumsum(np.random.default_rng(0).normal(size=n_seconds))


def gaps(values):
    """How many runs of NaN there are."""
    missing = np.isnan(values).astype(int)
    return np.count_nonzero(np.diff(missing, prepend=0) == 1)


def test_a_short_series_is_kept_whole():
    second, values = decimated(walk(50), 50, 0, 49)
    assert second.tolist() == list(range(50))
    np.testing.assert_array_equal(values, walk(50))


@pytest.mark.parametrize("n_seconds", [51, 149, 150, 151, 1009, LONG])
@pytest.mark.parametrize("n_points", [3, 7, 50])
def test_no_more_points_are_drawn_than_there_is_room_for(n_seconds, n_points):
    assert len(decimated(walk(n_seconds), n_points, 0, n_seconds - 1)[0]) <= n_points


def test_no_more_points_are_drawn_where_every_other_second_is_missing():
    values = np.where(np.arange(1000) % 2, walk(1000), np.nan)
    assert len(decimated(values, 50, 0, 999)[0]) <= 50


def test_every_point_is_a_second_of_the_series_and_they_are_in_order():
    second, values = decimated(walk(1009), 100, 0, 1008)
    np.testing.assert_array_equal(values, walk(1009)[second])
    assert (np.diff(second) > 0).all()


@pytest.mark.parametrize("seconds", [(500, 501), (0, 999), (17, 800)])
def test_single_seconds_that_stand_out_are_kept(seconds):
    values = walk(1000)
    values[list(seconds)] = 1e3, -1e3
    assert set(seconds) <= set(decimated(values, 20, 0, 999)[0])


@pytest.mark.parametrize("n_seconds", [1000, 1009, 1099])
def test_each_stretch_covers_the_same_range(n_seconds):
    second, values = decimated(walk(n_seconds), 200, 0, n_seconds - 1)
    edges = [stretch * n_seconds // 100 for stretch in range(101)]
    for first, end in itertools.pairwise(edges):
        inside = values[(second >= first) & (second < end)]
        exact = walk(n_seconds)[first:end]
        assert (inside.min(), inside.max()) == (exact.min(), exact.max())


def test_extremes_beside_a_gap_are_kept():
    values = walk(900)
    values[451], values[452], values[453] = 1e3, np.nan, -1e3
    second, _ = decimated(values, 90, 0, 899)
    assert {451, 452, 453} <= set(second)


def test_gaps_stay_gaps():
    values = walk(1000)
    for first, last in ((0, 3), (300, 301), (600, 850), (998, 1000)):
        values[first:last] = np.nan
    assert gaps(decimated(values, 100, 0, 999)[1]) == 4


def test_a_series_of_nothing_stays_nothing():
    second, values = decimated(np.full(1000, np.nan), 30, 0, 999)
    assert np.isnan(values).all()
    assert 0 < len(second) <= 30


def test_only_the_visible_range_is_drawn_up_to_the_seconds_beside_it():
    assert decimated(walk(1000), 30, 10.4, 13.2)[0].tolist() == [10, 11, 12, 13, 14]


def test_a_closer_look_shows_every_second():
    far, near = decimated(walk(LONG), 2000, 0, LONG)[0], decimated(walk(LONG), 2000, 100, 200)[0]
    assert np.count_nonzero((far >= 100) & (far <= 200)) < len(near) == 101


def test_a_range_wider_than_the_series_shows_all_of_it():
    assert decimated(walk(10), 30, -5.5, 80.0)[0].tolist() == list(range(10))


@pytest.mark.parametrize(("first", "last"), [(-50, -10), (10.5, 20)])
def test_nothing_is_drawn_beside_the_series(first, last):
    second, values = decimated(walk(10), 30, first, last)
    assert (len(second), len(values)) == (0, 0)


def test_too_few_points_are_refused(refuses):
    message = "n_points is 2, expected at least 3: minimum, maximum and gap of a stretch"
    with refuses(message):
        decimated(walk(10), 2, 0, 9)


@pytest.mark.parametrize(("first", "last"), [(5, 4), (np.nan, 4), (0, np.inf)])
def test_a_range_that_is_none_is_refused(refuses, first, last):
    with refuses(f"the range is {first} to {last} s, expected two numbers, first <= last"):
        decimated(walk(10), 30, first, last)


def test_a_long_series_is_decimated_while_the_mouse_moves():
    values = walk(LONG)
    spent = []
    for _ in range(7):
        started = time.perf_counter()
        decimated(values, 2000, 0, LONG - 1)
        spent.append(time.perf_counter() - started)
    assert min(spent) < 0.1  # ten times the bar: other work may slow the machine
