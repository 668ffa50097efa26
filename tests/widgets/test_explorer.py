"""The explorer without a browser: what each choice, click and edit does."""

import dataclasses
import json

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from matplotlib import pyplot as plt

from qoe_core import library, manifest, paths, runs
from qoe_core.selection import Selection
from qoe_core.widgets import lines
from qoe_core.widgets.explorer import Explorer
from tests.explored import NAMES, SESSIONS, WHERE, run_all


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return run_all(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def _runs(root, monkeypatch, tmp_path):
    for module in (runs, paths):
        monkeypatch.setattr(module, "RUNS", root)
    monkeypatch.setattr(manifest, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(library, "sessions", lambda dataset: list(SESSIONS))


@pytest.fixture
def explorer():
    """The second session, which stalls from second 5 on for 2.5 s."""
    return Explorer(
        Selection(
            **WHERE,
            models=("gru", "ridge"),
            network="dual_attention",
            session=NAMES[1],
            second=3,
        )
    )


def choose(explorer, name, value):
    explorer.controls.chosen[name].value = value


def drawn(explorer):
    """Names of the lines that the timeline shows."""
    return [t.name for t in explorer.timeline.figure.data if t.name and t.visible is True]


def test_a_session_is_drawn_with_rating_predictions_playback_and_what_seconds_are_worth(explorer):
    assert drawn(explorer)[:5] == ["95 % CI, low", "95 % CI, high", "rated", "gru", "ridge"]
    assert drawn(explorer)[5:8] == ["bitrate", "vmaf", "true effect"]
    trace = explorer.timeline.figure.data[2]
    np.testing.assert_allclose(trace.y, explorer.trace.rated)
    assert explorer.status.value == ""


def test_a_click_on_a_second_shows_that_second(explorer):
    explorer.look_at(9)
    assert "second 9" in explorer.panel.heading.value
    assert 'data-second="9"' in explorer.timeline.cursor.element.value
    effects = explorer.explanation.second(9).effects
    np.testing.assert_allclose(explorer.panel.figure.data[0].x, list(effects.values()))
    assert yaml.safe_load(explorer.yaml.value)["second"] == 9


def messages(explorer, action):
    """What the figures tell the browser meanwhile: figure, kind of message, and what is in it."""
    said = []
    for name in ("timeline", "panel"):
        kinds = ["_py2js_update", "_py2js_relayout", "_py2js_restyle", "_py2js_addTraces"]
        figure = getattr(explorer, name).figure
        figure.observe(
            lambda change, name=name: change["new"] and said.append((name, change)), kinds
        )
    action()
    return [(name, change["name"], change["new"]) for name, change in said]


def test_a_click_leaves_the_timeline_alone_and_changes_the_panel_by_one_message(explorer):
    # plotly would draw the whole timeline again
    assert [name for name, *_ in messages(explorer, lambda: explorer.look_at(9))] == ["panel"]


def test_a_click_asks_no_network(explorer):
    explorer.look_at(9)
    module = explorer.explanation.network.module
    asked = []
    with module.register_forward_pre_hook(lambda *_: asked.append(1)):
        explorer.look_at(4)
    assert asked == []
    assert "second 4" in explorer.panel.heading.value


def test_another_session_is_another_timeline(explorer):
    before = explorer.timeline.figure
    choose(explorer, "session", NAMES[4])
    assert explorer.timeline.figure is not before
    assert explorer.timeline.figure.layout.title.text == f"tiny/{NAMES[4]}"
    assert explorer.explanation.session is SESSIONS[4]


def test_a_network_without_attention_is_said_to_have_none(explorer):
    choose(explorer, "network", "gru")
    assert "this model has no attention" in explorer.panel.heading.value
    assert "no frame: the session has no video" in explorer.panel.heading.value
    assert explorer.status.value == ""


def test_without_a_network_an_edit_is_refused_in_a_sentence(explorer):
    choose(explorer, "network", "")
    explorer.edits.buttons["insert"].click()
    assert explorer.status.value == (
        "no network is chosen, whose prediction could change; choose one"
    )
    assert explorer.edits.session is SESSIONS[1]


def test_a_new_stall_changes_the_prediction_and_leaves_the_rating_out(explorer):
    explorer.edits.buttons["insert"].click()
    network = explorer.explanation.network
    before, after = explorer.before_and_after()
    np.testing.assert_allclose(
        before, network.continuous.scale(network.predict(SESSIONS[1]).continuous), atol=1e-5
    )
    assert len(after) == len(before) + 2
    assert explorer.edits.changed.value == (
        f"predicted mean {before.mean():.3f} as played, {after.mean():.3f} as edited"
    )
    assert drawn(explorer)[:2] == ["dual_attention, as played", "dual_attention, as edited"]
    assert "rated" not in drawn(explorer)


def test_a_dragged_stall_is_moved_and_its_shape_put_right(explorer):
    shapes = [shape.to_plotly_json() for shape in explorer.timeline.figure.layout.shapes]
    shapes[0] |= {"x0": 8.0, "x1": 10.5, "y0": 0.4, "y1": 1.3}
    explorer.timeline.figure.layout.shapes = shapes
    np.testing.assert_allclose(explorer.edits.session.stalls, [[8.0, 2.5]])
    (shape,) = explorer.timeline.figure.layout.shapes
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (8.0, 10.5, 0, 1)


def test_the_line_of_the_chosen_second_lies_where_the_figure_has_that_second(explorer):
    explorer.look_at(3)
    # 12 s from -.5 on, over 830 px from 60 px on; half of the line's 2 px lies before it
    assert f"left:{60 + 830 * 3.5 / 12 - 1:.1f}px" in explorer.timeline.cursor.element.value
    explorer.timeline.figure.layout.xaxis.range = (2.0, 7.0)
    assert f"left:{60 + 830 / 5 - 1:.1f}px" in explorer.timeline.cursor.element.value
    explorer.timeline.figure.layout.xaxis.range = (4.0, 7.0)
    assert "<div" not in explorer.timeline.cursor.element.value


def test_a_stall_dragged_at_its_edge_becomes_longer(explorer):
    explorer.drag(0, 5.0, 9.0)
    np.testing.assert_allclose(explorer.edits.session.stalls, [[5.0, 4.0]])
    assert explorer.edits.session.duration_s == SESSIONS[1].duration_s + 1.5


def test_the_sliders_move_and_lengthen_the_chosen_stall(explorer):
    explorer.edits.start.value = 7.0
    explorer.edits.length.value = 1.0
    np.testing.assert_allclose(explorer.edits.session.stalls, [[7.0, 1.0]])


def test_a_bitrate_is_changed_in_its_range_only(explorer):
    explorer.edits.range.value = (8, 9)
    explorer.edits.bitrate.value = 123.0
    changed = explorer.edits.session.bitrate_kbps != SESSIONS[1].bitrate_kbps
    assert np.flatnonzero(changed).tolist() == [8, 9]


def test_a_bitrate_is_offered_on_the_grid_of_its_slider(explorer):
    """A browser puts it there otherwise, which looks like an edit."""
    steps = np.log10(explorer.edits.bitrate.value) / explorer.edits.bitrate.step
    assert steps == pytest.approx(round(steps), abs=1e-6)
    played = np.median(SESSIONS[1].bitrate_kbps[SESSIONS[1].stalled < 1])
    assert explorer.edits.bitrate.value == pytest.approx(played, rel=0.012)


def test_deleting_and_resetting_bring_the_played_session_back(explorer):
    before = drawn(explorer)
    explorer.edits.buttons["delete"].click()
    assert len(explorer.edits.session.stalls) == 0
    explorer.edits.buttons["delete"].click()
    assert explorer.status.value == "there is no stall to delete; insert one first"
    explorer.edits.buttons["reset"].click()
    assert explorer.edits.session is SESSIONS[1]
    assert drawn(explorer) == before
    assert explorer.edits.changed.value == ""


def test_an_edit_that_cannot_be_leaves_the_session_as_it_was(explorer):
    explorer.drag(0, 400.0, 402.5)
    assert explorer.status.value.startswith("tiny/content_0_pattern_1")
    assert explorer.edits.session is SESSIONS[1]


def test_attribution_that_is_not_a_number_is_a_sentence(explorer, monkeypatch):
    choose(explorer, "network", "gru")
    weights = next(explorer.explanation.network.module.parameters())
    weights.data.fill_(np.nan)
    explorer.explanation = dataclasses.replace(explorer.explanation)  # nothing is known of it yet
    explorer.look_at(5)
    assert "expected a number; is a weight or an input not finite?" in explorer.status.value


def test_a_missing_table_is_a_sentence(explorer, monkeypatch, tmp_path, refuses):
    choose(explorer, "models", ("ridge",))
    empty = tmp_path / "chapter/tiny--leave-content-out"
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    choose(explorer, "models", ("gru",))
    path = empty / "gru/predictions.parquet"
    assert explorer.status.value == f"{path}: no such table; `make results` writes it"
    assert explorer.timeline.box.children == ()
    with refuses(f"nothing to export: {path}: no such table; `make results` writes it"):
        explorer.export()


def test_a_sentence_is_never_markup(explorer):
    explorer.tell("<img src=x onerror=alert(1)>")
    assert explorer.status.value == "&lt;img src=x onerror=alert(1)&gt;"


def test_export_writes_the_view_with_its_producer(explorer, tmp_path):
    explorer.export(page=True)
    stem = f"tiny--leave-content-out--{NAMES[1]}"
    written = {path.name for path in (tmp_path / "figures/07_explorer").iterdir()}
    views = {f"{stem}{part}.{kind}" for part in ("", "-errors") for kind in ("pdf", "png")}
    assert written == views | {f"{stem}.html"}
    record = json.loads((tmp_path / "figures/manifest.json").read_text())
    made = record[f"07_explorer/{stem}.png"]
    assert made["producer"] == "notebooks/07_explorer.ipynb"
    assert made["parameters"] == yaml.safe_load(explorer.yaml.value)
    assert list(made["runs"].values()) == [["gru", "ridge", "dual_attention"]]


def test_an_edited_view_is_exported_with_its_stalls(explorer, tmp_path):
    explorer.drag(0, 8.0, 10.5)
    explorer.export()
    key = f"07_explorer/tiny--leave-content-out--{NAMES[1]}-edited.png"
    record = json.loads((tmp_path / "figures/manifest.json").read_text())
    assert record[key]["parameters"]["stalls"] == pytest.approx(np.array([[8.0, 2.5]]))


def test_many_exports_leave_no_open_figure(explorer):
    for second in range(2):
        explorer.look_at(second)
        explorer.export()
    assert plt.get_fignums() == []


def test_many_sessions_leave_no_memory_behind(explorer):
    def go_round():
        for name in NAMES:
            choose(explorer, "session", name)
        return psutil.Process().memory_info().rss

    go_round()
    before = go_round()
    assert go_round() - before < 30e6


def test_more_models_than_there_is_room_for_are_refused(explorer):
    trace = explorer.trace
    many = {f"model {i}": trace.rated for i in range(30)}
    drawn = lines.as_played(
        type(trace)(trace.session, trace.rated, trace.band, trace.stalled, many), SESSIONS[1], {}
    )
    with pytest.raises(ValueError, match=r"35 lines, expected 1 to 24; choose fewer models$"):
        explorer._view(drawn, SESSIONS[1])


def test_a_point_of_the_scatter_is_a_session(explorer):
    table = explorer.chapter.errors.query("model == 'gru'").reset_index(drop=True)
    np.testing.assert_allclose(explorer.scatter.figure.data[0].y, table["rmse"])
    explorer.look_into(NAMES[5])
    assert explorer.selection.session == NAMES[5]
    assert pd.Series(explorer.scatter.figure.data[1].x).tolist() == [2.5]
