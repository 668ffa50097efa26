"""The explorer as its users have it: by mouse and by keyboard, in JupyterLab and as a web page."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.mouse import PLOT, across, choose_session, click_second, drag_stall


def start_of_stall(page):
    """Of the chosen one (s)."""
    return float(page.locator(".qoe-stall-start .widget-readout").inner_text())


def test_the_page_shows_no_error(opened):
    expect(opened.page.locator(".qoe-explorer .qoe-status")).to_have_text("")
    assert opened.errors == []


def test_a_session_that_is_chosen_is_shown_as_it_was_played(page, stalling):
    choose_session(page, stalling)
    click_second(page, 9)
    expect(page.locator(".qoe-panel")).to_contain_text("second 9")
    expect(page.locator(".qoe-yaml textarea")).to_have_value(re.compile(f"session: {stalling}\n"))
    expect(page.locator(".qoe-changed")).to_have_text("")


@pytest.mark.parametrize("second", [3, 17])
def test_a_click_on_the_timeline_opens_that_second(page, second):
    click_second(page, second)
    expect(page.locator(".qoe-panel")).to_contain_text(f"second {second}")
    line = page.locator(f".qoe-cursor [data-second='{second}']")
    expect(line).to_be_visible()
    box = line.bounding_box()
    assert box["x"] + box["width"] / 2 == pytest.approx(across(page, second), abs=1)


def test_a_stall_that_is_dragged_changes_the_prediction(page):
    start = start_of_stall(page)
    drag_stall(page, 0, -2)
    says = re.compile(r"predicted mean (0\.\d{3}) as played, (0\.\d{3}) as edited")
    expect(page.locator(".qoe-changed")).to_have_text(says)
    assert abs(start_of_stall(page) - start + 2) < 0.2


def test_a_stall_that_cannot_be_where_it_was_dragged_goes_back_with_a_reason(page):
    start = start_of_stall(page)
    drag_stall(page, 0, 200)
    expect(page.locator(".qoe-status")).to_contain_text("stall 0 cannot begin at")
    expect(page.locator(".qoe-changed")).to_have_text("")
    shown = page.evaluate(f"document.querySelector('{PLOT}')._fullLayout.shapes[0].x0")
    assert (shown, start_of_stall(page)) == pytest.approx((start, start), abs=0.01)


def test_what_is_done_in_quick_turn_is_all_answered(page):
    """On a busy machine a kernel that handles messages in two threads loses the second drag."""
    for _ in range(4):
        drag_stall(page, 0, 200)
        expect(page.locator(".qoe-status")).to_contain_text("stall 0 cannot begin at")
        page.click(".qoe-reset")
        expect(page.locator(".qoe-status")).to_have_text("")


def test_export_writes_the_view_and_its_producer(page, opened):
    session = page.locator(".qoe-session select").evaluate("list => list.selectedOptions[0].text")
    page.click(".qoe-export")
    expect(page.locator(".qoe-status")).to_contain_text("exported")
    stem = f"07_explorer/simulated_small--leave-content-out--{session}"
    manifest = json.loads((opened.figures / "manifest.json").read_text())
    for name in (f"{stem}.pdf", f"{stem}.html"):
        assert (opened.figures / name).exists()
        assert name in manifest


def test_the_second_can_be_reached_and_changed_by_keyboard_alone(page):
    click_second(page, 5)
    expect(page.locator(".qoe-panel")).to_contain_text("second 5")
    page.focus(".qoe-dataset select")
    focused = "document.activeElement.closest('.qoe-second') !== null"
    for _ in range(9):
        if page.evaluate(focused):
            break
        page.keyboard.press("Tab")
    assert page.evaluate(focused)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".qoe-panel")).to_contain_text("second 7")
