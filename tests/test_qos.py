"""Features of the playback log against hand calculation, and their causality."""

import numpy as np
import pytest

from qoe_core.qos import QOS

STALLS = np.array([[1.5, 1.0], [4.0, 2.0]])
BITRATE = np.array([1000.0, 1000.0, 100.0, 100.0, 0.0, 0.0, 10000.0])
HEIGHT = np.array([1000.0, 1000.0, 100.0, 100.0, 100.0, 100.0, 10000.0])
BY_HAND = {
    "indicator": [0, 0.5, 0.5, 0, 1, 1, 0],
    "recency": [1, 0, 0.5, 1.5, 0, 0, 0.5],
    "representation": [3, 3, 2, 2, 2, 2, 4],
    "switch": [0, 0, -1, 0, 0, 0, 2],
    "resolution": [3, 3, 2, 2, 2, 2, 4],
    "stall_count": [0, 1, 1, 1, 2, 2, 2],
    "stalled_so_far": [0, 0.5, 1, 1, 2, 3, 3],
    "since_down_switch": [1, 2, 0, 1, 2, 3, 4],
    "elapsed": [1, 2, 3, 4, 5, 6, 6.5],
}


@pytest.fixture
def played(make_session):
    """6.5 s, stalled from 1.5 to 2.5 s and from 4 to 6 s."""
    rates = {"bitrate_kbps": BITRATE, "height_px": HEIGHT}
    return make_session(seconds=7, duration_s=6.5, stalls=STALLS, **rates)


@pytest.fixture
def loading(make_session):
    """Two seconds of initial loading, then two that are played."""
    return make_session(
        seconds=4,
        stalls=np.array([[0.0, 2.0]]),
        bitrate_kbps=np.array([0.0, 0.0, 100.0, 1000.0]),
        quality={"vmaf": np.array([np.nan, np.nan, 60.0, 80.0])},
    )


@pytest.fixture
def cut(make_session):
    """The session as it would be if it ended after `seconds`."""

    def first(session, seconds):
        begun = session.stalls[session.stalls[:, 0] < seconds]
        durations = np.minimum(begun[:, 1], seconds - begun[:, 0])
        return make_session(
            seconds=seconds,
            stalls=np.stack([begun[:, 0], durations], axis=1),
            bitrate_kbps=session.bitrate_kbps[:seconds],
            height_px=session.height_px[:seconds],
            quality={name: values[:seconds] for name, values in session.quality.items()},
        )

    return first


def test_every_feature_has_a_hand_calculation():
    assert set(BY_HAND) == set(QOS)


@pytest.mark.parametrize("name", QOS)
def test_feature_by_hand(played, name):
    np.testing.assert_allclose(QOS[name](played), BY_HAND[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", QOS)
def test_feature_does_not_see_the_future(sessions, played, cut, name):
    for session in (*sessions[:8], played):
        whole = QOS[name](session)
        for seconds in range(1, int(session.duration_s) + 1):
            np.testing.assert_array_equal(QOS[name](cut(session, seconds)), whole[:seconds])


@pytest.mark.parametrize("name", QOS)
def test_feature_has_one_value_in_a_session_of_one_second(make_session, name):
    assert QOS[name](make_session(seconds=1)).shape == (1,)


@pytest.mark.parametrize("name", QOS)
def test_feature_has_a_value_each_second_of_a_fully_stalled_session(make_session, name):
    nothing = make_session(seconds=3, stalls=np.array([[0.0, 3.0]]), bitrate_kbps=np.zeros(3))
    assert QOS[name](nothing).shape == (3,)


def test_representation_is_unknown_before_anything_was_shown(loading):
    np.testing.assert_array_equal(QOS["representation"](loading), [np.nan, np.nan, 2, 3])


def test_representation_is_held_while_stalled(played):
    assert QOS["representation"](played)[4:6].tolist() == [2, 2]


def test_the_first_shown_second_is_no_switch(loading):
    assert QOS["switch"](loading).tolist() == [0, 0, 0, 1]


def test_a_switch_during_a_stall_counts_when_playback_resumes(played):
    assert QOS["switch"](played)[4:].tolist() == [0, 0, 2]


def test_defect_5_down_switches_are_kept(make_session):
    falling = make_session(seconds=3, bitrate_kbps=np.array([1000.0, 100.0, 10.0]))
    assert QOS["switch"](falling).tolist() == [0, -1, -1]


def test_stalls_that_touch_are_one(make_session):
    touching = make_session(
        seconds=4, stalls=np.array([[0.5, 1.0], [1.5, 0.25], [3.0, 0.5]]), bitrate_kbps=None
    )
    assert QOS["stall_count"](touching).tolist() == [1, 1, 1, 2]


def test_resolution_is_refused_without_an_encoded_height(make_session, refuses):
    with refuses(
        "tiny/content_0_pattern_0 has no encoded height, so no resolution; "
        "leave this feature out for this data set"
    ):
        QOS["resolution"](make_session(seconds=3, height_px=None))


@pytest.mark.parametrize("name", ["representation", "switch", "since_down_switch"])
def test_bitrate_features_are_refused_without_a_bitrate(make_session, refuses, name):
    with refuses(
        "tiny/content_0_pattern_0 has no bitrate, so no representation or switch; "
        "leave these two features out for this data set"
    ):
        QOS[name](make_session(seconds=3, bitrate_kbps=None))
