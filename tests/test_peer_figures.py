"""What is drawn where, read from the axes."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from qoe_core import peer_figures
from qoe_core.figures import COLOURS
from qoe_core.ranking import Ranking


@pytest.fixture
def ax():
    return Figure().subplots()


def contents():
    rows = [
        *(
            ("bikes", "net", "plcc", 0.8),
            ("cat", "net", "plcc", 0.9),
            ("dog", "net", "plcc", np.nan),
        ),
        *(("bikes", "gru", "plcc", 0.7), ("cat", "gru", "plcc", 0.6), ("dog", "gru", "plcc", 0.5)),
        *(("bikes", "net", "rmse", 0.1), ("cat", "net", "rmse", 0.2), ("dog", "net", "rmse", 0.3)),
        *(("bikes", "gru", "rmse", 0.2), ("cat", "gru", "rmse", 0.2), ("dog", "gru", "rmse", 0.2)),
    ]
    return pd.DataFrame(rows, columns=["content", "model", "metric", "mean"])


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize(
    ("metric", "upwards"), [("plcc", ["dog", "bikes", "cat"]), ("rmse", ["dog", "cat", "bikes"])]
)
def test_the_content_where_the_first_model_is_best_is_at_the_top(ax, metric, upwards):
    peer_figures.draw_per_content(ax, contents(), metric, ["net", "gru"])
    assert names(ax) == upwards


def test_a_dot_is_a_models_mean_on_a_content_and_undefined_ones_are_none(ax):
    peer_figures.draw_per_content(ax, contents(), "plcc", ["net", "gru"])
    drawn = {line.get_label(): line.get_xdata() for line in ax.lines}
    np.testing.assert_array_equal(drawn["net"], [np.nan, 0.8, 0.9])
    np.testing.assert_array_equal(drawn["gru"], [0.5, 0.7, 0.6])


def test_errors_per_content_are_times_100(ax):
    peer_figures.draw_per_content(ax, contents(), "rmse", ["gru"])
    assert list(ax.lines[0].get_xdata()) == [20, 20, 20]
    assert ax.get_xlabel() == "RMSE x100"


def ranking():
    """Four models: the first two, and the last three, are not told apart."""
    ranks = pd.Series({"a": 1.0, "b": 2.0, "c": 3.25, "d": 3.75})
    return Ranking(
        target="continuous",
        metric="plcc",
        blocks=("x, strict",) * 4,
        ranks=ranks,
        statistic=9.0,
        p=0.03,
        critical_difference=2.0,
        left_out=(),
    )


def bars(ax):
    return [line for line in ax.lines if to_hex(line.get_color()) == COLOURS[0].lower()]


def test_bars_span_the_groups_that_are_not_told_apart(ax):
    peer_figures.draw_critical_difference(ax, ranking())
    spans = [tuple(bar.get_xdata()) for bar in bars(ax)]
    assert spans == [pytest.approx((0.95, 2.05)), pytest.approx((1.95, 3.8))]


def test_bars_lie_one_above_the_other_over_the_names(ax):
    peer_figures.draw_critical_difference(ax, ranking())
    heights = [bar.get_ydata()[0] for bar in bars(ax)]
    names_at = [text.xy[1] for text in ax.texts if hasattr(text, "xy")]
    assert 0 > heights[0] > heights[1] > max(names_at)


def test_the_better_half_is_named_left_and_each_line_starts_at_its_rank(ax):
    peer_figures.draw_critical_difference(ax, ranking())
    found = {text.get_text(): text.get_ha() for text in ax.texts if hasattr(text, "xy")}
    assert found == {"a 1.00": "right", "b 2.00": "right", "3.25 c": "left", "3.75 d": "left"}
    assert [line.get_xdata()[0] for line in ax.lines[:4]] == [1.0, 2.0, 3.25, 3.75]


def test_the_critical_difference_is_as_long_as_it_is(ax):
    peer_figures.draw_critical_difference(ax, ranking())
    (ruler,) = [line for line in ax.lines if line.get_marker() == "|"]
    assert tuple(ruler.get_xdata()) == (1, 3.0)


COSTS = pd.DataFrame(
    {
        "model": ["ridge", "boosting", "gru", "net"],
        "ms_per_second": [1.0, 30.0, 3.0, np.nan],
        "plcc": [0.7, 0.8, 0.85, 0.9],
        "on_front": [True, False, True, False],
    }
)


def draw_costs(ax, table=COSTS):
    peer_figures.draw_cost(ax, table, "ms_per_second", "plcc", "time (ms)")
    front, *dots = ax.lines
    return front, {dot.get_label(): dot for dot in dots}


def test_the_front_is_a_line_in_the_order_of_cost(ax):
    front, _ = draw_costs(ax, COSTS[::-1])
    assert list(front.get_xdata()) == [1.0, 3.0]
    assert list(front.get_ydata()) == [0.7, 0.85]
    assert front.get_drawstyle() == "steps-post"


def test_dots_are_models_and_those_on_the_front_are_filled(ax):
    _, dots = draw_costs(ax)
    assert {m: (dot.get_xdata()[0], dot.get_ydata()[0]) for m, dot in dots.items()} == {
        "ridge": (1.0, 0.7),
        "boosting": (30.0, 0.8),
        "gru": (3.0, 0.85),
    }
    hollow = [model for model, dot in dots.items() if dot.get_markerfacecolor() == "white"]
    assert hollow == ["boosting"]


def test_a_model_looks_the_same_where_others_are_missing(ax):
    _, dots = draw_costs(ax, COSTS.assign(ms_per_second=[np.nan, np.nan, 3.0, 4.0]))
    assert [dots[model].get_color() for model in ("gru", "net")] == list(COLOURS[2:4])


def test_models_beyond_the_colours_have_another_marker(ax):
    n_models = len(COLOURS) + 1
    names = [f"m{place}" for place in range(n_models)]
    fixed = {"ms_per_second": 1.0, "plcc": 0.5, "on_front": True}
    _, dots = draw_costs(ax, pd.DataFrame({"model": names}).assign(**fixed))
    looks = {(dot.get_marker(), dot.get_color()) for dot in dots.values()}
    assert len(looks) == n_models


def test_costs_are_on_a_logarithmic_axis_with_its_name(ax):
    draw_costs(ax)
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_ylabel()) == ("log", "time (ms)", "PLCC, test")


def test_no_function_opens_a_figure():
    before = plt.get_fignums()
    axes = Figure().subplots(3)
    peer_figures.draw_per_content(axes[0], contents(), "plcc", ["gru"])
    peer_figures.draw_critical_difference(axes[1], ranking())
    draw_costs(axes[2])
    assert plt.get_fignums() == before
