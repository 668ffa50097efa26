"""JupyterLab, the web page of the explorer and a browser, each started once and when needed."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from qoe_core.browser import COMMAND, chromium
from qoe_core.paths import NOTEBOOKS
from qoe_core.selection import Chapter
from qoe_core.serving import MAKE, Server, free_port, serving
from tests.browser.mouse import PLOT, settle

NOTEBOOK = "07_explorer.ipynb"
TIMELINE = ".qoe-explorer .qoe-timeline .main-svg"
IDLE = "#jp-main-statusbar :text('| Idle')"  # what its kernel is, in the line at the bottom
SHOWN_MS = 60_000
expect.set_options(timeout=20_000)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The explorer in a tab: where it exports to, what its page asked for, its script errors."""

    page: Page
    figures: Path
    asked: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)  # by the page's Content-Security-Policy
    sockets: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.page.set_default_timeout(SHOWN_MS)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("requestfailed", lambda r: r.failure == "csp" and self.blocked.append(r.url))
        self.page.on("websocket", lambda socket: self.sockets.append(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Server]:
    """`make lab` on a copy of the notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks")
    with serving(folder, *MAKE, "lab") as lab:
        yield lab


@pytest.fixture(scope="session")
def web(tmp_path_factory) -> Iterator[Server]:
    """`make explore`."""
    with serving(tmp_path_factory.mktemp("web"), *MAKE, "explore", f"PORT={free_port()}") as web:
        yield web


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """A browser whose user is new."""
    executable = shutil.which(COMMAND)
    if executable is None:
        pytest.skip("there is no chromium in PATH; install it to run this: apt install chromium")
    with chromium(executable, tmp_path_factory.mktemp("user")) as context:
        yield context


@pytest.fixture(scope="session")
def in_lab(lab, browser) -> Opened:
    """The explorer in JupyterLab, after all cells ran."""
    opened = Opened(page=browser.new_page(), figures=lab.figures)
    page = opened.page
    page.goto(lab.url.replace("/lab?", f"/lab/tree/{NOTEBOOK}?"))
    page.wait_for_selector(IDLE)
    page.click(".lm-MenuBar-item:has-text('Run')")
    page.click(".lm-Menu-item[data-command='runmenu:run-all']")
    page.wait_for_selector(TIMELINE)
    page.wait_for_selector(IDLE)
    return opened


@pytest.fixture(scope="session")
def on_page(web, browser) -> Opened:
    """The explorer as a web page."""
    opened = Opened(page=browser.new_page(), figures=web.figures)
    opened.page.goto(web.url)
    opened.page.wait_for_selector(TIMELINE)
    return opened


@pytest.fixture(scope="session", params=["in_lab", "on_page"])
def opened(request) -> Opened:
    return request.getfixturevalue(request.param)


@pytest.fixture
def page(opened, request, tmp_path):
    """The tab with the explorer, without edits; a picture of it is kept after the test."""
    opened.page.bring_to_front()
    opened.page.click(".qoe-reset")
    expect(opened.page.locator(f"{PLOT} .gtitle")).not_to_contain_text("(edited)")
    settle(opened.page)
    yield opened.page
    folder = Path(os.environ.get("QOE_SCREENSHOTS", tmp_path))
    opened.page.screenshot(path=folder / f"{request.node.name}.png")


@pytest.fixture(scope="session")
def stalling() -> str:
    """The last session with stalls of the default view's data set."""
    chapter = Chapter(study="chapter", dataset="simulated_small", split="leave-content-out")
    return max(name for name, session in chapter.sessions.items() if len(session.stalls))
