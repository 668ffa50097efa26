"""What a user does to the explorer's timeline with the mouse, and what has to be waited for."""

from playwright.sync_api import expect

PLOT = ".qoe-timeline .js-plotly-plot"
# A new figure takes its width from the page after it was drawn
STEADY = """(selector) => {
    const before = window.widthBefore;
    window.widthBefore = document.querySelector(selector).getBoundingClientRect().width;
    return window.widthBefore === before;
}"""
SCORES = '.qoe-timeline .nsewdrag[data-subplot="xy"]'


def pixels(page, seconds):
    """How wide a time is in the timeline."""
    low, high = page.evaluate(f"document.querySelector('{PLOT}')._fullLayout.xaxis.range")
    return page.locator(SCORES).bounding_box()["width"] * seconds / (high - low)


def across(page, second):
    """Where a second lies on the screen, by the timeline's own axis (px from the left)."""
    place = f"""(second) => {{
        const axis = document.querySelector('{PLOT}')._fullLayout.xaxis;
        return axis._offset + axis.l2p(second);
    }}"""
    return page.locator(PLOT).bounding_box()["x"] + page.evaluate(place, second)


def click_second(page, second):
    low = page.evaluate(f"document.querySelector('{PLOT}')._fullLayout.xaxis.range[0]")
    there = {"x": pixels(page, second - low), "y": 20}
    page.locator(SCORES).hover(position=there)
    page.locator(SCORES).click(position=there)


def drag_stall(page, number, seconds):
    """Drag by the middle, where plotly moves a shape instead of changing its size."""
    stall = page.locator(f'.qoe-timeline .shapelayer path[data-index="{number}"]')
    stall.hover()
    box = stall.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.down()
    page.mouse.move(x + pixels(page, seconds), y, steps=8)
    page.mouse.up()


def settle(page):
    """Wait until the timeline stays as it is."""
    page.evaluate("delete window.widthBefore")
    page.wait_for_function(STEADY, arg=SCORES, polling=300)


def choose_session(page, name):
    page.select_option(".qoe-session select", label=name)
    expect(page.locator(f"{PLOT} .gtitle")).to_contain_text(f"/{name} ")
    settle(page)
