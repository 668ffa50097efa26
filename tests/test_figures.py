import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from jaxtyping import TypeCheckError
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from qoe_core import figures

SECONDS = 6


@pytest.fixture
def ax():
    """Axes of a figure that pyplot does not know."""
    return Figure().subplots()


def lines(ax):
    """The y values of every line."""
    return [np.asarray(line.get_ydata(), float).tolist() for line in ax.lines]


def labels(artists):
    return [artist.get_label() for artist in artists]


def spans(ax):
    """First second, last second and opacity of every rectangle."""
    return [(patch.get_x(), patch.get_width(), patch.get_alpha()) for patch in ax.patches]


def colours(artists):
    return [to_hex(artist.get_color()).upper() for artist in artists]


def traced(ax, stalled=None, band=None):
    rated = np.linspace(0, 1, SECONDS)
    stalled = np.zeros(SECONDS) if stalled is None else np.array(stalled, float)
    figures.draw_trace(ax, rated, {"gru": rated**2, "ridge": 1 - rated}, stalled, band)
    return rated


def test_a_trace_shows_the_rating_and_each_prediction(ax):
    rated = traced(ax)
    assert lines(ax) == [rated.tolist(), (rated**2).tolist(), (1 - rated).tolist()]
    assert labels(ax.lines) == ["rated", "gru", "ridge"]


def test_a_trace_names_its_axes_and_spans_the_session(ax):
    traced(ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "QoE (label)")
    assert ax.get_xlim() == (0, SECONDS - 1)


def test_a_trace_is_grey_where_stalled_and_darker_where_longer(ax):
    traced(ax, stalled=[0, 0, 0.5, 1, 0, 0])
    assert spans(ax) == [(1.5, 1.0, 0.175), (2.5, 1.0, 0.35)]


def test_a_trace_without_stalls_has_no_grey(ax):
    traced(ax)
    assert spans(ax) == []


def test_a_trace_without_an_interval_has_no_band(ax):
    traced(ax)
    assert len(ax.collections) == 0


def test_a_trace_with_an_interval_has_a_band_between_its_bounds(ax):
    band = np.stack([np.full(SECONDS, 0.2), np.full(SECONDS, 0.7)], axis=1)
    traced(ax, band=band)
    (drawn,) = ax.collections
    assert sorted(set(drawn.get_paths()[0].vertices[:, 1])) == [0.2, 0.7]
    assert drawn.get_label() == "95 % CI"


def test_a_trace_of_another_length_than_its_stalls_is_refused(ax):
    with pytest.raises(TypeCheckError, match="stalled"):
        figures.draw_trace(ax, np.zeros(5), {}, np.zeros(4))


def test_a_session_shows_its_rating_and_its_bitrate(ax, make_session):
    session = make_session(pattern=1)
    figures.draw_session(ax, session)
    left, right = ax.figure.axes
    assert lines(left) == [session.rated.tolist()]
    assert lines(right) == [session.bitrate_kbps.tolist()]
    assert (left.get_ylabel(), right.get_ylabel()) == ("rated", "kbit/s")
    assert left.get_title() == session.name.replace("_", "\n", 1)


def test_a_session_is_grey_where_it_stalled(ax, make_session):
    session = make_session(pattern=1)  # stalls from second 5.0 to 7.5
    figures.draw_session(ax, session)
    assert spans(ax) == [(4.5, 1.0, 0.35), (5.5, 1.0, 0.35), (6.5, 1.0, 0.175)]


def test_a_session_without_an_interval_has_no_band(ax, make_session):
    figures.draw_session(ax, make_session(rated_ci=None))
    assert len(ax.collections) == 0


def test_a_session_with_an_interval_has_a_band(ax, make_session):
    session = make_session()
    figures.draw_session(ax, session)
    heights = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (session.rated_ci.min(), session.rated_ci.max())


def test_a_session_without_continuous_rating_shows_its_quality(ax, make_session):
    session = make_session(pattern=1, rated=None, rated_ci=None)
    figures.draw_session(ax, session)
    assert lines(ax) == [session.quality["vmaf"].tolist()]
    assert ax.get_ylabel() == "vmaf"


def test_a_session_without_bitrate_has_one_pair_of_axes(ax, make_session):
    figures.draw_session(ax, make_session(bitrate_kbps=None))
    assert len(ax.figure.axes) == 1


def test_a_session_with_nothing_but_stalls_shows_them(ax, make_session):
    absent = {"rated": None, "rated_ci": None, "bitrate_kbps": None, "quality": {}}
    figures.draw_session(ax, make_session(pattern=1, **absent))
    assert (len(ax.lines), len(ax.patches)) == (0, 3)


def test_scores_are_densities_over_one_range(ax, sessions):
    figures.draw_scores(ax, sessions)
    areas = [sum(bar.get_width() * bar.get_height() for bar in ax.containers[0])]
    assert areas == pytest.approx([1])
    assert ax.get_legend_handles_labels()[1] == ["continuous, seconds", "overall, sessions"]


def test_scores_without_continuous_ratings_show_overall_ones_alone(ax, make_session):
    sessions = [make_session(pattern=p, rated=None, rated_ci=None) for p in range(4)]
    figures.draw_scores(ax, sessions)
    assert ax.get_legend_handles_labels()[1] == ["overall, sessions"]


def test_scores_without_overall_ones_show_continuous_ratings_alone(ax, make_session):
    sessions = [make_session(pattern=p, overall=None, overall_ci=None) for p in range(4)]
    figures.draw_scores(ax, sessions)
    assert ax.get_legend_handles_labels()[1] == ["continuous, seconds"]


def test_stall_times_are_counted_per_session(ax):
    figures.draw_stall_times(ax, pd.Series([0.0, 0.0, 1.0, 5.0], index=list("abcd")))
    assert sum(bar.get_height() for bar in ax.patches) == 4
    assert ax.patches[0].get_height() == 2
    assert ax.get_xlabel() == "stalled per session (s)"


def stalled_session(make_session, rated, start):
    rated = np.array(rated, float)
    seconds = len(rated)
    changes = {"rated": rated, "rated_ci": None, "bitrate_kbps": None, "quality": {}}
    stalls = np.array([[start, 1.0]])
    return make_session(seconds=seconds, stalls=stalls, **changes)


def test_ratings_around_stalls_are_relative_to_the_start_of_each(ax, make_session):
    sessions = [
        stalled_session(make_session, [50, 50, 60, 40, 30, 30], 2.7),
        stalled_session(make_session, [10, 20, 30, 20, 30, 40], 2.0),
    ]
    assert figures.draw_around_stalls(ax, sessions, before_s=1, after_s=2) == 2
    start, mean = ax.lines
    assert start.get_xdata() == [0, 0]
    assert mean.get_xdata().tolist() == [-1, 0, 1, 2]
    assert mean.get_ydata().tolist() == [-10, 0, -15, -15]


def test_a_stall_too_near_to_either_end_is_not_counted(ax, make_session):
    near_start, near_end = (
        stalled_session(make_session, np.arange(10.0), start) for start in (1.0, 8.0)
    )
    sessions = [near_start, near_end]
    assert figures.draw_around_stalls(ax, sessions, before_s=2, after_s=2) == 0
    assert len(ax.lines) == 0


def test_overall_scores_are_drawn_against_stalled_time(ax, make_session):
    sessions = [make_session(pattern=1), make_session(overall=None, overall_ci=None)]
    assert figures.draw_overall_by_stalls(ax, sessions) == 1
    (points,) = ax.lines
    assert list(points.get_xdata()) == [2.5]
    assert list(points.get_ydata()) == [sessions[0].overall]


ROWS = pd.DataFrame(
    {
        "model": ["ridge", "constant", "gru"],
        "mean": [0.7, np.nan, 0.8],
        "low": [0.6, np.nan, 0.75],
        "high": [0.8, np.nan, 0.9],
    }
)


@pytest.mark.parametrize(
    ("lower_is_better", "upwards"), [(False, ["ridge", "gru"]), (True, ["gru", "ridge"])]
)
def test_the_best_model_is_at_the_top_of_the_forest_in_orange(ax, lower_is_better, upwards):
    figures.draw_forest(ax, ROWS, "PLCC", lower_is_better)
    assert [label.get_text() for label in ax.get_yticklabels()] == upwards
    assert colours(ax.lines) == [figures.COLOURS[0]] * 2 + [figures.COLOURS[1]] * 2


def test_the_forest_draws_mean_and_interval_and_no_undefined_model(ax):
    figures.draw_forest(ax, ROWS, "PLCC", lower_is_better=False)
    drawn = [np.atleast_1d(line.get_xdata()).tolist() for line in ax.lines]
    assert drawn == [[0.6, 0.8], [0.7], [0.75, 0.9], [0.8]]
    assert ax.get_xlabel() == "PLCC"


def ablation_rows():
    rows = [
        ("full", "plcc", np.nan, np.nan, np.nan, "", ""),
        ("no video", "plcc", 0.2, 0.1, 0.3, "worth", "..."),
        ("no mask", "plcc", -0.1, -0.2, -0.05, "costs", "..."),
        ("no attention", "plcc", np.nan, np.nan, np.nan, "", "undefined"),
        ("no gate", "plcc", 0.0, -0.1, 0.1, "no evidence", "..."),
        ("no video", "rmse", -0.2, -0.3, -0.1, "worth", "..."),
    ]
    difference = ["full_minus", "full_minus_low", "full_minus_high"]
    names = ["change", "metric", *difference, "verdict", "sentence"]
    return pd.DataFrame(rows, columns=names).assign(target="continuous")


def test_the_ablation_names_every_variant_from_the_top(ax):
    figures.draw_ablation(ax, ablation_rows(), "continuous", "plcc")
    upwards = [label.get_text() for label in ax.get_yticklabels()]
    assert upwards == ["no gate", "no attention", "no mask", "no video"]
    assert ax.get_ylim() == (-0.5, 3.5)
    assert ax.get_xlabel() == "PLCC, continuous"


def test_the_ablation_draws_differences_of_one_metric_and_a_line_at_0(ax):
    figures.draw_ablation(ax, ablation_rows(), "continuous", "plcc")
    zero, *drawn = (np.atleast_1d(line.get_xdata()).tolist() for line in ax.lines)
    assert zero == [0, 0]
    bars, points = drawn[::2], drawn[1::2]
    np.testing.assert_array_equal(bars, [[-0.1, 0.1], [np.nan] * 2, [-0.2, -0.05], [0.1, 0.3]])
    np.testing.assert_array_equal(points, [[0.0], [np.nan], [-0.1], [0.2]])


def test_the_ablation_fills_only_where_there_is_evidence(ax):
    figures.draw_ablation(ax, ablation_rows(), "continuous", "plcc")
    points = ax.lines[2::2]
    filled = [point.get_markerfacecolor() for point in points]
    assert filled == ["white", "white", figures.COLOURS[1], figures.COLOURS[0]]


def test_agreement_has_ratings_across_and_predictions_up(ax):
    figures.draw_agreement(ax, pd.Series([0.1, 0.2]), pd.Series([0.8, 0.9]), "gru")
    diagonal, points = ax.lines
    assert diagonal.get_slope() == 1
    assert points.get_xdata().tolist() == [0.8, 0.9]
    assert points.get_ydata().tolist() == [0.1, 0.2]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("rated (label)", "predicted (label)")


def test_learning_marks_the_epoch_with_the_least_validation_loss(ax):
    history = pd.DataFrame(
        {"epoch": [1, 2, 3], "train/loss": [3.0, 2.0, 1.0], "validation/loss": [3.0, 1.5, 2.0]}
    )
    figures.draw_learning(ax, history)
    assert lines(ax) == [[3, 2, 1], [3, 1.5, 2], [1.5]]
    assert list(ax.lines[2].get_xdata()) == [2]
    assert labels(ax.lines) == ["train", "validation", "kept"]


def test_learning_without_validation_is_the_training_loss(ax):
    figures.draw_learning(ax, pd.DataFrame({"epoch": [1, 2], "train/loss": [2.0, 1.0]}))
    assert labels(ax.lines) == ["train"]
    assert ax.get_yscale() == "log"


def test_no_function_opens_a_figure(make_session, sessions):
    before = plt.get_fignums()
    axes = Figure().subplots(8)
    traced(axes[0])
    figures.draw_session(axes[1], make_session())
    figures.draw_scores(axes[2], sessions)
    figures.draw_stall_times(axes[3], pd.Series([1.0, 2.0]))
    figures.draw_around_stalls(axes[4], sessions, 2, 3)
    figures.draw_forest(axes[5], ROWS, "PLCC", lower_is_better=False)
    figures.draw_agreement(axes[6], pd.Series([0.1]), pd.Series([0.2]), "gru")
    figures.draw_overall_by_stalls(axes[7], sessions)
    assert plt.get_fignums() == before


def test_the_style_holds_for_every_later_figure():
    with mpl.rc_context():
        figures.use_style()
        assert Figure().subplots().xaxis.label.get_fontsize() == 8
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == list(figures.COLOURS)


def test_fonts_are_embedded_as_truetype():
    assert figures.STYLE["pdf.fonttype"] == 42
