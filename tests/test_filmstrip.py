"""What the panels of the video figure show."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from qoe_core import filmstrip
from qoe_core.cache import POLICIES


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_frames_stand_over_the_seconds_they_come_from(ax):
    pictures = np.zeros((10, 4, 6, 3), dtype=np.uint8)
    pictures[:, ..., 0] = np.arange(10)[:, None, None]
    filmstrip.draw_frames(ax, pictures, n_shown=5)
    assert [image.get_array()[0, 0, 0] for image in ax.images] == [1, 3, 5, 7, 9]
    lefts = [image.get_extent()[0] for image in ax.images]
    assert lefts == [-0.5, 1.5, 3.5, 5.5, 7.5]
    assert ax.get_xlim() == (-0.5, 9.5)


def test_playback_shows_quality_and_bitrate_of_every_second(ax, make_session):
    session = make_session(0, 1)
    filmstrip.draw_playback(ax, session, "vmaf")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), session.quality["vmaf"])
    right = next(other for other in ax.figure.axes if other is not ax)
    np.testing.assert_array_equal(right.lines[0].get_ydata(), session.bitrate_kbps)
    assert len(ax.patches) == np.count_nonzero(session.stalled)


def test_the_rating_is_drawn_on_its_declared_scale(ax, make_session):
    session = make_session(0, 1)
    filmstrip.draw_rating(ax, session)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), session.rated)
    assert ax.get_ylim() == session.scale


def test_a_session_with_an_overall_score_only_has_no_curve(ax, make_session):
    session = make_session(0, 0, rated=None, rated_ci=None)
    filmstrip.draw_rating(ax, session)
    assert [list(line.get_ydata()) for line in ax.lines] == [[session.overall] * 2]


def test_each_step_of_the_cost_is_one_bar(ax):
    cost = pd.DataFrame({"function": "f", "step": ["compute", "read"], "ms_per_s": [9.0, 0.1]})
    filmstrip.draw_cost(ax, cost)
    assert [bar.get_width() for bar in ax.patches] == [9.0, 0.1]
    assert ax.get_xscale() == "log"


def test_each_policy_is_one_line(ax):
    rows = [(policy, share, share) for policy in POLICIES for share in (0.5, 1.0)]
    filmstrip.draw_hit_rates(ax, pd.DataFrame(rows, columns=["policy", "memory", "hit_rate"]))
    assert [line.get_label() for line in ax.lines] == list(POLICIES)


def test_similar_sessions_of_a_content_lie_side_by_side(ax, make_session):
    sessions = [make_session(c, p) for c, p in ((1, 0), (0, 0), (1, 2), (0, 2))]
    features = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.9, 0.1, 1.2], [0.1, 0.8, 0.1]])
    filmstrip.draw_similarity(ax, sessions, features)
    shown = ax.images[0].get_array()
    assert shown[0, 1] > 0.9
    assert shown[2, 3] > 0.9
    assert shown[0, 2] < 0
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["content_0", "content_1"]
