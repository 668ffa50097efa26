"""What is drawn where, read from the axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from qoe_core import protocol_figures
from qoe_core.figures import COLOURS

NAN = (np.nan,) * 3


@pytest.fixture
def ax():
    return Figure().subplots()


def row(model, metric, values, difference):
    names = ["mean_first", "mean_second", "difference", "low", "high"]
    ways = {"first": "all seconds", "second": "from second 10"}
    numbers = dict(zip(names, (*values, *difference), strict=True))
    return {"model": model, "metric": metric, **ways, **numbers}


def contrast():
    """Evidence for the first model, none for the second, and a third that is undefined."""
    rows = [
        row("ridge", "plcc", (0.7, 0.8), (0.1, 0.05, 0.15)),
        row("gru", "plcc", (0.9, 0.9), (0.0, -0.1, 0.1)),
        row("tcn", "plcc", (np.nan, np.nan), NAN),
        row("ridge", "rmse", (0.08, 0.06), (-0.02, -0.03, -0.01)),
    ]
    return pd.DataFrame(rows)


def x(line):
    return np.atleast_1d(line.get_xdata()).tolist()


def y(line):
    return np.atleast_1d(line.get_ydata()).tolist()


def ticks(labels):
    return [label.get_text() for label in labels]


def test_ways_are_one_line_a_model_between_two_names(ax):
    protocol_figures.draw_ways(ax, contrast(), "plcc")
    np.testing.assert_array_equal([y(line) for line in ax.lines], [[0.7, 0.8], [0.9] * 2, NAN[:2]])
    assert [line.get_label() for line in ax.lines] == ["ridge", "gru", "tcn"]
    assert ticks(ax.get_xticklabels()) == ["all seconds", "from second 10"]
    assert ax.get_ylabel() == "PLCC, test"


def test_errors_of_both_ways_are_times_100(ax):
    protocol_figures.draw_ways(ax, contrast(), "rmse")
    assert y(ax.lines[0]) == pytest.approx([8, 6])
    assert ax.get_ylabel() == "RMSE x100, test"


def test_differences_are_intervals_and_points_from_the_top_beside_a_line_at_0(ax):
    protocol_figures.draw_differences(ax, contrast(), "plcc")
    zero, *drawn = ax.lines
    assert x(zero) == [0, 0]
    intervals = [[0.05, 0.15], [-0.1, 0.1], [np.nan] * 2]
    np.testing.assert_array_equal([x(line) for line in drawn[::2]], intervals)
    np.testing.assert_array_equal([x(line) for line in drawn[1::2]], [[0.1], [0.0], [np.nan]])
    assert [y(line) for line in drawn[1::2]] == [[2], [1], [0]]
    by_height = dict(zip(ax.get_yticks(), ticks(ax.get_yticklabels()), strict=True))
    assert by_height == {2: "ridge", 1: "gru", 0: "tcn"}
    assert ax.get_title() == "from second 10 minus all seconds"


def test_differences_of_errors_are_times_100(ax):
    protocol_figures.draw_differences(ax, contrast(), "rmse")
    assert x(ax.lines[1]) == pytest.approx([-3, -1])
    assert x(ax.lines[2]) == pytest.approx([-2])


def test_only_evidence_has_the_colour_of_the_model(ax):
    protocol_figures.draw_differences(ax, contrast(), "plcc")
    points = ax.lines[2::2]
    assert to_hex(points[0].get_color()) == COLOURS[0].lower()
    assert [point.get_markerfacecolor() for point in points] == [COLOURS[0], "white", "white"]


def test_a_contrast_has_a_row_of_axes_a_metric_and_one_legend():
    axes = Figure().subplots(2, 2)
    protocol_figures.draw_contrast(axes, contrast())
    assert [row[0].get_ylabel() for row in axes] == ["PLCC, test", "RMSE x100, test"]
    assert [row[1].get_xlabel() for row in axes] == ["PLCC, difference", "RMSE x100, difference"]
    assert [ax.get_legend() is not None for ax in axes.flat] == [True, False, False, False]


def pairs():
    values = {"first": [0.05, 0.06, 0.07], "second": [0.04, 0.08, np.nan]}
    return pd.DataFrame(values).assign(metric="rmse", paired=[True, True, False])


def test_sessions_have_the_first_way_across_and_the_second_up(ax):
    rows = contrast().query("metric == 'rmse'")
    protocol_figures.draw_sessions(ax, pairs(), rows, "rmse")
    diagonal, points = ax.lines
    assert diagonal.get_slope() == 1
    assert x(points) == pytest.approx([5, 6])
    assert y(points) == pytest.approx([4, 8])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("all seconds", "from second 10")
    assert ax.get_title() == "RMSE x100, difference -2.00 [-3.00, -1.00]"


def split_rows():
    rows = [
        ("released", "lookup", "plcc", 0.9, 0.8, 0.95),
        ("strict", "lookup", "plcc", 0.4, 0.1, 0.6),
        ("released", "ridge", "plcc", 0.8, 0.7, 0.85),
        ("strict", "ridge", "rmse", 0.1, 0.0, 0.2),
    ]
    return pd.DataFrame(rows, columns=["split", "model", "metric", "mean", "low", "high"])


def test_splits_show_mean_and_interval_of_one_metric_per_model(ax):
    protocol_figures.draw_splits(ax, split_rows(), "plcc")
    lookup, ridge = ax.containers
    assert lookup.lines[0].get_ydata().tolist() == [0.9, 0.4]
    (bars,) = lookup.lines[2]
    ends = np.sort([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, [[0.8, 0.95], [0.1, 0.6]])
    assert [found.get_label() for found in ax.containers] == ["lookup", "ridge"]
    np.testing.assert_array_equal(ridge.lines[0].get_ydata().astype(float), [0.8, np.nan])


def test_splits_are_named_below_and_the_metric_beside(ax):
    protocol_figures.draw_splits(ax, split_rows(), "rmse")
    assert ticks(ax.get_xticklabels()) == ["strict"]
    assert ax.get_ylabel() == "RMSE x100, test"
    assert ax.containers[0].lines[0].get_ydata().tolist() == [10]


def test_dependence_counts_every_session_that_varies(ax):
    protocol_figures.draw_dependence(ax, pd.DataFrame({"lag1": [0.8, 0.9, np.nan]}))
    assert sum(patch.get_height() for patch in ax.patches) == 2


def test_no_function_opens_a_figure():
    before = plt.get_fignums()
    axes = Figure().subplots(3, 2)
    protocol_figures.draw_contrast(axes[:2], contrast())
    protocol_figures.draw_splits(axes[2, 0], split_rows(), "plcc")
    protocol_figures.draw_dependence(axes[2, 1], pd.DataFrame({"lag1": [0.8]}))
    assert plt.get_fignums() == before
