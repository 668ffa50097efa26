"""What is drawn where, read from the axes; what figures leave behind."""

import gc

import numpy as np
import pandas as pd
import psutil
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from qoe_core import attribution_figures, events, manifest, provenance
from qoe_core.attribution import TRUTH
from qoe_core.manifest import Producer
from qoe_core.sanity import RANDOM

STALLED = np.array([0.0, 1.0, 0.5, 0.0])


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def producer(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "FIGURES", tmp_path)
    monkeypatch.setattr(provenance, "commit", lambda: "abc")
    return Producer(notebook="06_attention", parameters={"dataset": "lfovia"})


def strip(ax):
    (inset,) = ax.child_axes
    return inset.images[0].get_array()[0].tolist()


def test_a_map_has_a_row_for_each_input_and_the_stalls_above(ax):
    values = np.arange(8.0).reshape(4, 2)
    attribution_figures.draw_map(ax, values, ["recency", "vmaf"], STALLED, signed=False)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["recency", "vmaf"]
    np.testing.assert_array_equal(ax.images[0].get_array(), values.T)
    assert ax.images[0].get_clim() == (0, 7)
    assert strip(ax) == STALLED.tolist()


def test_signed_values_have_the_same_range_on_both_sides(ax):
    values = np.array([[1.0], [-3.0]])
    attribution_figures.draw_map(ax, values, ["vmaf"], STALLED[:2], signed=True)
    assert ax.images[0].get_clim() == (-3, 3)


def test_the_second_that_looks_goes_down(ax):
    weights = np.tril(np.ones((4, 4)))
    attribution_figures.draw_long_time(ax, weights, STALLED)
    np.testing.assert_array_equal(ax.images[0].get_array(), weights)
    assert ax.get_ylabel() == "second that looks"
    assert strip(ax) == STALLED.tolist()


def test_the_gate_is_a_mean_with_the_middle_half(ax):
    attribution_figures.draw_gate(ax, np.array([[0.0, 0.2, 0.4, 0.8, 1.0]] * 4), STALLED)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 0.48)
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0.2, 0.8)


def test_effects_are_times_100(ax):
    attribution_figures.draw_effects(ax, {"gradient": np.full(4, 0.02)}, STALLED)
    (line,) = [line for line in ax.lines if line.get_label() == "gradient"]
    np.testing.assert_allclose(line.get_ydata(), 2)


def around(low=0.5):
    rows = [("stall", "gate", o, 1.0 + o, low, 2.0, 3, 2) for o in (-1, 0, 1)]
    return pd.DataFrame(rows, columns=events.COLUMNS)


def test_curves_around_events_have_a_band_and_say_of_how_many(ax):
    attribution_figures.draw_around(ax, around(), {"gate": "the gate"})
    (line,) = [line for line in ax.lines if line.get_label() == "the gate"]
    assert line.get_xydata().tolist() == [[-1, 0], [0, 1], [1, 2]]
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0.5, 2)
    assert ax.get_title() == "3 events, 2 contents"


def test_no_event_is_said(ax):
    attribution_figures.draw_around(ax, around()[:0], {"gate": "gate"})
    assert ax.get_title() == "no event"


def test_checks_are_one_line_a_map_that_has_a_value(ax):
    rows = [(TRUTH, 1.0, 1.0, 1.0), ("gradient", 0.5, 0.4, 0.7), (RANDOM, np.nan, np.nan, np.nan)]
    table = pd.DataFrame(rows, columns=["map", "mean", "low", "high"]).assign(check="weights")
    attribution_figures.draw_checks(ax, table, "weights", "alike")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["gradient", TRUTH]
    drawn = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert [0.4, 0.7] in [list(line) for line in drawn]


def test_distances_are_over_the_percentage_of_seconds(ax):
    curve = np.linspace(0, 0.3, 11)
    attribution_figures.draw_distances(ax, {"gradient": curve}, "% removed")
    np.testing.assert_allclose(ax.lines[0].get_xdata(), np.arange(0, 101, 10))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), curve)


def test_pixels_lie_over_the_grey_frame_and_weak_ones_do_not_hide_it(ax):
    frame = np.zeros((20, 20, 3), np.uint8)
    frame[..., 0] = 30
    strength = np.zeros((20, 20))
    strength[:5, :5] = 2.0
    attribution_figures.draw_saliency(ax, frame, strength)
    grey, over = ax.images
    np.testing.assert_allclose(grey.get_array(), 10)
    np.testing.assert_allclose(over.get_alpha(), 0.75 * (strength > 0))


def test_a_figure_is_exported_with_its_title_and_closed(producer, tmp_path):
    with attribution_figures.exported(producer, "maps", "where", (1, 2), (2.0, 1.0)) as (fig, axes):
        assert axes.shape == (1, 2)
    assert plt.get_fignums() == []
    assert fig.get_suptitle() == "where"
    names = sorted(path.name for path in (tmp_path / "06_attention").iterdir())
    assert names == ["maps.pdf", "maps.png"]


def test_a_figure_that_fails_is_closed_and_not_exported(producer, tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        attribution_figures.exported(producer, "maps", "where", (1, 1), (1.0, 1.0)),
    ):
        1 / 0  # noqa: B018
    assert plt.get_fignums() == []
    assert not (tmp_path / "06_attention").exists()


def test_200_figures_leave_none_open_and_no_memory(producer):
    held_mb = []
    for number in range(200):
        with attribution_figures.exported(producer, "map", "", (1, 1), (0.5, 0.5)) as (_, axes):
            axes[0, 0].imshow(np.full((200, 200), number))
            axes[0, 0].set_axis_off()
        if number % 50 == 49:
            gc.collect()
            held_mb.append(psutil.Process().memory_info().rss / 2**20)
    assert plt.get_fignums() == []
    assert held_mb[-1] - held_mb[0] < 30  # 150 open ones hold 48 MB of pixels and more


def test_drawing_opens_no_figure(ax):
    attribution_figures.draw_gate(ax, np.zeros((4, 2)), STALLED)
    attribution_figures.draw_around(ax, around(), {"gate": "gate"})
    assert plt.get_fignums() == []
