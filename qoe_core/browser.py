"""A headless Chromium whose user is new, driven by Playwright."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import BrowserContext, sync_playwright

COMMAND = "chromium"  # Debian's
SIZE_PX = {"width": 1500, "height": 1700}  # that the whole explorer fits on
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium(executable: str, user: Path) -> Iterator[BrowserContext]:
    """The browser at `executable` until the block ends; its files are below the empty `user`."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            user, executable_path=executable, args=FLAGS, viewport=SIZE_PX
        )
        yield context
        context.close()
