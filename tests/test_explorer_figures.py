"""What is drawn where, read from the axes; panels that are left out; what figures leave behind."""

import dataclasses
import gc

import numpy as np
import pandas as pd
import psutil
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from qoe_core import explorer_figures
from qoe_core.explanation import Second
from qoe_core.figures import COLOURS, PAGE_IN
from qoe_core.traces import Trace

SECOND = 6
SCORES, PLAYBACK, CURVES = ("QoE (label)",), ("vmaf", "kbit/s"), ("change of\nscore x100",)


@pytest.fixture
def session(make_session):
    """14 s, of which 5 to 7.5 are stalled."""
    return make_session(pattern=1)


@pytest.fixture
def known():
    """Two layers that looked at second 6, three inputs, and no frame."""
    looked = np.eye(14)[SECOND]
    return Second(
        attention={"qos 0": looked, "video 0": np.full(14, 1 / 14)},
        effects={"vmaf": 0.03, "recency": -0.02, "elapsed": 0.0},
        frame=None,
        strength=None,
    )


def trace(session):
    rated = session.rated / 100
    return Trace(
        session=session.name,
        rated=rated,
        band=session.rated_ci / 100,
        stalled=session.stalled,
        predicted={"gru": rated**2, "ridge": 1 - rated},
    )


def curves(session):
    return {"true effect": np.linspace(-0.01, 0.02, session.n_seconds)}


def view(session, **changes):
    fields = {"metric": "vmaf", "curves": curves(session)} | changes
    second = fields.pop("second", SECOND)
    said = fields.pop("trace", trace(session))
    fig = Figure(layout="constrained")
    explorer_figures.draw_view(fig, "a view", said, session, second, **fields)
    return fig


def y_labels(part):
    return tuple(ax.get_ylabel() for ax in part.axes if ax.get_ylabel())


def line(ax, name):
    (found,) = [each for each in ax.lines if each.get_label() == name]
    return found


def test_a_view_shows_scores_playback_and_curves_from_the_top_down(session):
    (upper,) = view(session).subfigs
    assert y_labels(upper) == SCORES + PLAYBACK[:1] + CURVES + PLAYBACK[1:]


def test_a_view_is_as_wide_as_a_page_and_has_its_title(session, known):
    fig = view(session, known=known)
    assert fig.get_size_inches()[0] == pytest.approx(PAGE_IN)
    assert fig.get_suptitle() == "a view"


def test_scores_are_the_rating_and_every_prediction(session):
    scores = view(session).axes[0]
    for name, values in {"rated": trace(session).rated, **trace(session).predicted}.items():
        np.testing.assert_array_equal(line(scores, name).get_ydata(), values)
    names = [text.get_text() for text in scores.get_legend().get_texts()]
    assert names == ["95 % CI", "rated", "gru", "ridge"]


def test_playback_is_the_metric_and_the_bitrate(session):
    fig = view(session)
    np.testing.assert_array_equal(fig.axes[1].lines[0].get_ydata(), session.quality["vmaf"])
    right = fig.axes[-1]
    np.testing.assert_array_equal(right.lines[0].get_ydata(), session.bitrate_kbps)


def test_the_chosen_second_is_marked_in_every_panel_over_time(session):
    for ax in view(session).axes[:3]:
        assert ax.lines[-1].get_xdata() == [SECOND, SECOND]


def test_stalls_are_shaded_in_every_panel_over_time(session, known):
    fig = view(session, known=known)
    starts = [{patch.get_x() for patch in ax.patches} for ax in (*fig.axes[:3], fig.axes[4])]
    assert starts == [{4.5, 5.5, 6.5}] * 4


def test_all_panels_over_time_span_the_session_and_the_lowest_says_so(session):
    panels = view(session).axes[:3]
    assert {ax.get_xlim() for ax in panels} == {(-0.5, 13.5)}
    assert [ax.get_xlabel() for ax in panels] == ["", "", "time (s)"]


@pytest.mark.parametrize(
    ("metric", "has_bitrate", "labels"),
    [("vmaf", False, ("vmaf",)), (None, True, ("kbit/s",)), (None, False, ())],
)
def test_playback_that_is_not_known_is_left_out(session, metric, has_bitrate, labels):
    bitrate = session.bitrate_kbps if has_bitrate else None
    played = dataclasses.replace(session, bitrate_kbps=bitrate)
    assert y_labels(view(played, metric=metric, curves={})) == SCORES + labels


def test_time_is_named_where_scores_are_all_there_is(session):
    (ax,) = view(dataclasses.replace(session, bitrate_kbps=None), metric=None, curves={}).axes
    assert ax.get_xlabel() == "time (s)"


def test_a_network_without_curves_has_no_panel_of_them(session):
    assert y_labels(view(session, curves={})) == SCORES + PLAYBACK


def test_what_is_left_out_takes_no_room(session, known):
    heights = [
        view(session, **changes).get_size_inches()[1]
        for changes in ({"known": known}, {}, {"curves": {}})
    ]
    assert heights[0] > heights[1] > heights[2]


def test_the_chosen_second_shows_where_each_layer_looked(session, known):
    attention, _ = view(session, known=known).subfigs[1].axes
    for name, weights in known.attention.items():
        np.testing.assert_array_equal(line(attention, name).get_ydata(), weights)


def test_inputs_are_bars_times_100_orange_where_they_lower_the_score(session, known):
    _, bars = view(session, known=known).subfigs[1].axes
    assert [patch.get_width() for patch in bars.patches] == pytest.approx([3, -2, 0])
    assert to_hex(bars.patches[1].get_facecolor()).upper() == COLOURS[1]
    assert to_hex(bars.patches[0].get_facecolor()).upper() == COLOURS[0]
    names = [label.get_text() for label in bars.get_yticklabels()]
    assert names == ["vmaf", "recency", "elapsed"]
    assert bars.yaxis_inverted()


def test_a_network_without_attention_shows_its_inputs_alone(session, known):
    fig = view(session, known=dataclasses.replace(known, attention={}))
    assert [ax.get_title() for ax in fig.subfigs[1].axes] == ["second 6, inputs"]


def test_a_network_that_sees_frames_shows_its_frame_first(session, known):
    frame, strength = np.full((8, 8, 3), 30, np.uint8), np.ones((8, 8))
    seen = dataclasses.replace(known, frame=frame, strength=strength)
    pixels, *others = view(session, known=seen).subfigs[1].axes
    np.testing.assert_allclose(pixels.images[0].get_array(), 30)
    assert len(others) == 2


def test_a_frame_that_the_network_does_not_see_is_shown_as_it_is(session, known):
    frame = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    (shown, *_) = view(session, known=dataclasses.replace(known, frame=frame)).subfigs[1].axes
    np.testing.assert_array_equal(shown.images[0].get_array(), frame)
    assert shown.get_title() == "second 6, frame"


def test_many_inputs_get_the_room_that_their_names_need(session, known):
    many = dataclasses.replace(known, effects={f"input {i}": 0.1 for i in range(20)})
    few, more = (view(session, known=each).get_size_inches()[1] for each in (known, many))
    assert more - few == pytest.approx(12 * explorer_figures.BAR_IN)


def test_gaps_stay_gaps_and_the_view_can_be_laid_out(make_session, known):
    vmaf = np.concatenate([np.full(3, np.nan), np.full(11, 70.0)])
    loading = make_session(stalls=np.array([[0.0, 3.0]]), bitrate_kbps=None, quality={"vmaf": vmaf})
    said = dataclasses.replace(trace(loading), rated=np.where(np.arange(14) < 2, np.nan, 0.5))
    fig = view(loading, trace=said, known=known)
    fig.draw_without_rendering()
    assert np.isnan(line(fig.axes[0], "rated").get_ydata()).sum() == 2
    np.testing.assert_array_equal(fig.axes[1].lines[0].get_ydata(), vmaf)


def test_a_trace_of_another_session_is_refused(session, refuses):
    other = dataclasses.replace(trace(session), session="other")
    with refuses("the trace is of 'other', expected that of 'content_0_pattern_1'"):
        view(session, trace=other)


@pytest.mark.parametrize("second", [0, 13])
def test_the_first_and_the_last_second_can_be_chosen(session, second):
    assert view(session, second=second).axes[0].lines[-1].get_xdata() == [second, second]


@pytest.mark.parametrize("second", [-1, 14])
def test_a_second_that_the_session_has_not_is_refused(session, refuses, second):
    with refuses(f"tiny/content_0_pattern_1 has no second {second}, expected 0 to 13"):
        view(session, second=second)


def test_an_unknown_metric_is_refused(session, refuses):
    message = "tiny/content_0_pattern_1 has no metric 'psnr', expected one of ['vmaf']"
    with refuses(message):
        view(session, metric="psnr")


def errors():
    rows = [("a", "one", 0.0, 0.1), ("b", "one", 2.0, 0.3), ("c", "two", 4.0, 0.2)]
    return pd.DataFrame(rows, columns=["session", "content", "stalled_s", "rmse"])


def test_errors_tell_the_session_its_content_and_the_others_apart():
    ax = Figure().subplots()
    explorer_figures.draw_errors(ax, errors(), "b")
    drawn = {each.get_label(): each.get_xydata().tolist() for each in ax.lines}
    assert drawn == {"other contents": [[4, 0.2]], "one": [[0, 0.1]], "this session": [[2, 0.3]]}


def test_errors_of_a_session_that_was_not_tested_are_refused(refuses):
    with refuses("'d' is none of the 3 test sessions of the table"):
        explorer_figures.draw_errors(Figure().subplots(), errors(), "d")


def test_errors_of_several_models_at_once_are_refused(refuses):
    table = pd.concat([errors(), errors()], ignore_index=True)
    with refuses("'a' has several rows, expected one a session; choose one model"):
        explorer_figures.draw_errors(Figure().subplots(), table, "a")


def test_200_views_leave_none_open_and_no_memory(make_session):
    session, held_mb = make_session(), []
    for number in range(200):
        view(session, metric=None, curves={})
        if number % 50 == 49:
            gc.collect()
            held_mb.append(psutil.Process().memory_info().rss / 2**20)
    assert plt.get_fignums() == []
    assert held_mb[-1] - held_mb[0] < 30  # 150 that are kept hold 130 MB
