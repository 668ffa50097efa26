"""Time from a click on a second to all that it changes, in a real browser; `qoe_core.bench`.

The page is the one of `make explore`, with five models that were trained for an epoch: what they
say does not change the work. Server, kernel and browser share the cores of this machine. Drawn is
when heading, cursor and figure of the chosen second are there at the browser's next frame.
"""

import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from playwright.sync_api import Page

from qoe_core import browser, library, paths, serving
from qoe_core.bench_video import Row
from qoe_core.session import Session

MODELS = ("constant", "mean-curve", "ridge", "gru", "dual_attention")
STALL2 = "stall2"  # whose sessions of about 90 s have stalls
SECONDS, CLICK_MS = 90, 150.0  # of the session that is clicked; the bar
N_FIRST, N_CLICKS = 5, 60  # not counted, counted
SETTLED_S = 0.25  # from one click to the next, and from pointing to clicking
GOLDEN = (5**0.5 - 1) / 2
PLOT, PANEL = ".qoe-timeline .js-plotly-plot", ".qoe-panel .js-plotly-plot"
WATCH = f"""() => {{
    window.drawn = 0;
    new MutationObserver(() => {{ window.drawn = performance.now(); }}).observe(
        document.querySelector("{PANEL}"), {{subtree: true, childList: true, attributes: true}});
    document.addEventListener("mousedown", () => {{ window.clicked = performance.now(); }}, true);
}}"""
# Milliseconds since the click as soon as everything shows the second, else false
SHOWN = """(second) => {
    const cursor = document.querySelector(`.qoe-cursor [data-second="${second}"]`);
    const heading = document.querySelector(".qoe-panel").innerText;
    const shown = cursor && heading.includes(`second ${second} `);
    return shown && window.drawn > window.clicked && performance.now() - window.clicked;
}"""


def rows(found: Sequence[str]) -> Iterable[Row]:
    """Median and p95 of clicks, or a row that says that there is no browser."""
    dataset = STALL2 if STALL2 in found else library.SIMULATED
    chromium = shutil.which(browser.COMMAND)
    if chromium is None:
        yield "click to drawn: not measured, no chromium in PATH", math.nan, "ms", "", None, None
        return
    session = min(library.sessions(dataset), key=lambda s: abs(s.n_seconds - SECONDS))
    with tempfile.TemporaryDirectory() as name:
        spent = clicks(dataset, session, chromium, Path(name))
    what = (
        f"click to drawn in the browser, {session.n_seconds} s of {dataset}, {len(MODELS)} models"
    )
    median, p95 = statistics.median(spent), statistics.quantiles(spent, n=20)[-1]
    yield f"{what}, median of {N_CLICKS}", median, "ms", "", None, None
    yield f"{what}, p95 of {N_CLICKS}", p95, "ms", "bar", CLICK_MS, CLICK_MS / p95


def clicks(dataset: str, session: Session, chromium: str, folder: Path) -> list[float]:
    """Milliseconds of each counted click on a session's seconds."""
    runs = folder / "runs"
    for model in MODELS:
        _papermill("02_train", folder, runs, dataset, model=model, n_epochs=1)
    page = {"models": list(MODELS), "network": MODELS[-1], "session": session.name, "second": 0}
    notebook = _papermill("07_explorer", folder, runs, dataset, "--prepare-only", **page)
    settings = f"--Voila.config_file_paths={paths.ROOT / 'explore'}"
    command = sys.executable, "-m", "voila", settings, f"--port={serving.free_port()}", notebook
    (folder / "server").mkdir()
    served = serving.serving(folder / "server", *map(str, command), QOE_RUNS=str(runs))
    with served as web, browser.chromium(chromium, folder / "user") as context:
        tab = context.new_page()
        tab.goto(web.url)
        tab.wait_for_selector(f"{PANEL} .main-svg", timeout=60_000)
        tab.evaluate(WATCH)
        # all over the session, and never the same second twice in a row, which changes nothing
        n = session.n_seconds - 1
        chosen = [1 + int(GOLDEN * n * number) % n for number in range(1, N_FIRST + N_CLICKS + 1)]
        return [_click(tab, second) for second in chosen][N_FIRST:]


def _papermill(
    notebook: str, folder: Path, runs: Path, dataset: str, *options: str, **parameters: object
) -> Path:
    """Run a notebook on the finished study "bench", or only give it its parameters."""
    chapter = f"02_train--{dataset}--leave-content-out.yaml"
    given = {"dataset": dataset, "split": "leave-content-out", "study": "bench"} | parameters
    if notebook == "02_train":
        given = yaml.safe_load((paths.PARAMS / chapter).read_text()) | {"seeds": [0]} | given
    written = folder / f"{notebook}.ipynb"
    command = sys.executable, "-m", "papermill", paths.NOTEBOOKS / f"{notebook}.ipynb", written
    known = os.environ | {"QOE_RUNS": str(runs), "QOE_FIGURES": str(folder / "figures")}
    quiet = "--no-progress-bar", "-k", "python3", "--cwd", str(paths.NOTEBOOKS)
    text = yaml.safe_dump(given)
    subprocess.run(
        [*map(str, command), *quiet, *options, "-y", text],
        env=known,
        check=True,
        capture_output=True,
    )
    return written


def _click(page: Page, second: int) -> float:
    """Point at a second, click it, wait until it is drawn."""
    place = f"""(second) => {{
        const axis = document.querySelector("{PLOT}")._fullLayout.xaxis;
        return axis._offset + axis.l2p(second);
    }}"""
    box = page.locator(PLOT).bounding_box()
    scores = page.locator('.qoe-timeline .nsewdrag[data-subplot="xy"]').bounding_box()
    x, y = box["x"] + page.evaluate(place, second), scores["y"] + 20
    page.mouse.move(x - 30, y)
    page.mouse.move(x, y, steps=3)
    page.wait_for_timeout(1e3 * SETTLED_S)
    page.mouse.click(x, y)
    spent = page.wait_for_function(SHOWN, arg=second, polling="raf", timeout=10_000).json_value()
    page.wait_for_timeout(1e3 * SETTLED_S)
    return spent
