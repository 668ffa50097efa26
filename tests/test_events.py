"""Averages around events, against means that can be done by hand."""

import numpy as np
import pytest

from qoe_core import events

RAMP = np.arange(14.0)


def around(sessions, before_s=1, after_s=2):
    """Averages of a curve that counts seconds, ten more in every next session."""
    curves = [{"ramp": np.arange(s.n_seconds) + 10.0 * i} for i, s in enumerate(sessions)]
    return events.around(sessions, curves, before_s, after_s)


def stalled(make_session, content, *starts):
    stalls = np.array([[start, 0.5] for start in starts]).reshape(-1, 2)
    return make_session(content, stalls=stalls, bitrate_kbps=np.full(14, 500.0))


def test_a_stall_is_in_the_second_in_which_it_begins(make_session):
    session = stalled(make_session, 0, 2.3, 9.0)
    assert events.events(session) == {"stall": [2, 9], "down-switch": [], "up-switch": []}


def test_a_switch_is_a_second_with_twice_or_half_the_bitrate_of_the_one_before(make_session):
    bitrate = np.repeat([100.0, 200.0, 399.0, 199.0, 100.0], [3, 3, 3, 3, 2])
    found = events.events(make_session(bitrate_kbps=bitrate))
    assert found == {"stall": [], "down-switch": [9], "up-switch": [3]}


def test_without_a_bitrate_there_are_no_switches(make_session):
    found = events.events(make_session(bitrate_kbps=None))
    assert found == {"stall": [], "down-switch": [], "up-switch": []}


def test_every_offset_is_the_mean_over_the_same_events(make_session):
    # seconds 3 and 8 of the first, and second 6 of the second session, which is ten higher
    sessions = [stalled(make_session, 0, 3.0, 8.0), stalled(make_session, 1, 6.0)]
    found = around(sessions)
    assert found["offset"].tolist() == [-1, 0, 1, 2]
    np.testing.assert_allclose(found["mean"], np.array([8, 9, 10, 11]))
    assert (found["event"] == "stall").all()
    assert (found["events"] == 3).all()
    assert (found["contents"] == 2).all()


def test_an_interval_reaches_from_one_content_to_the_other(make_session):
    sessions = [stalled(make_session, 0, 3.0, 8.0), stalled(make_session, 1, 6.0)]
    found = around(sessions)
    np.testing.assert_allclose(found["low"], [4.5, 5.5, 6.5, 7.5])  # the first content alone
    np.testing.assert_allclose(found["high"], [15, 16, 17, 18])  # the second alone


def test_a_single_content_has_no_interval(make_session):
    found = around([stalled(make_session, 0, 3.0, 8.0)])
    np.testing.assert_allclose(found["mean"], [4.5, 5.5, 6.5, 7.5])
    assert found[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(("before_s", "after_s", "counted"), [(3, 5, 2), (4, 5, 1), (3, 6, 1)])
def test_an_event_counts_where_its_window_is_in_the_session(
    make_session, before_s, after_s, counted
):
    found = around([stalled(make_session, 0, 3.0, 8.0)], before_s, after_s)
    assert set(found["events"]) == {counted}


def test_without_events_there_are_no_rows(make_session):
    found = around([stalled(make_session, 0)])
    assert found.empty
    assert list(found) == events.COLUMNS


def test_a_curve_of_another_length_is_refused(make_session, refuses):
    with refuses(
        "tiny/content_0_pattern_0: curve 'ramp' has 13 seconds, expected 14; is it that of another "
        "session?"
    ):
        events.around([make_session()], [{"ramp": RAMP[:13]}], 1, 2)


def test_curves_that_only_some_sessions_have_are_refused(make_session, refuses):
    sessions = [make_session(0), make_session(1)]
    with refuses(
        "tiny/content_1_pattern_0 has the curves ['gate'], expected ['ramp'] as the first session "
        "has; were they made by different networks?"
    ):
        events.around(sessions, [{"ramp": RAMP}, {"gate": RAMP}], 1, 2)
