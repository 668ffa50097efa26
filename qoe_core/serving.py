"""Servers of notebooks as `make` starts them, on this machine, until a block ends.

They are ended with this process too, however it ends, and their Jupyter settings and files lie in
a folder of their own.
"""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from qoe_core.paths import ROOT

MAKE = ("make", "--no-print-directory", "-o", ".venv/.installed")  # never install during a test
START_S = 60
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}


class Answer(NamedTuple):
    """What a server said to one request."""

    status: int
    location: str | None
    text: bytes


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running one: the URL that it printed, token included, its process and where it writes."""

    url: str
    process: subprocess.Popen
    folder: Path

    @property
    def figures(self) -> Path:
        """Where notebooks export to."""
        return self.folder / "figures"

    @property
    def token(self) -> str:
        """What its URL has to hold."""
        return self.url.partition("token=")[2]

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    def answer(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """To one request, redirections not followed."""
        with closing(HTTPConnection(self.host, timeout=START_S)) as connection:
            connection.request(method, path, headers=headers)
            with connection.getresponse() as response:
                return Answer(response.status, response.headers["Location"], response.read())


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def serving(folder: Path, *command: str, **known: str) -> Iterator[Server]:
    """A server that prints its URL; all that it writes is below `folder`.

    Where `folder` has notebooks/, that is what a JupyterLab offers. `known` are environment
    variables of its own.

    Raises:
        RuntimeError: it ended, or printed no URL within START_S.
    """
    log = folder / "log"
    with log.open("w") as said:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command],
            cwd=ROOT,
            env=_environment(folder) | known,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(url=_printed_url(process, log), process=process, folder=folder)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(START_S)


def _environment(folder: Path) -> dict[str, str]:
    config = folder / "config"
    news = config / "lab/user-settings/@jupyterlab/apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(json.dumps(NO_NEWS))
    settings = {"open_browser": False, "port": 0, "root_dir": str(folder / "notebooks")}
    (config / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": settings}))
    known = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")}
    return known | {
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "IPYTHONDIR": str(folder / "ipython"),
        "QOE_FIGURES": str(folder / "figures"),
    }


def _printed_url(process: subprocess.Popen, log: Path) -> str:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/\S*token=\w+", log.read_text()):
            return found[0]
        time.sleep(0.1)
    raise RuntimeError(f"no URL within {START_S} s, exit code {process.poll()}:\n{log.read_text()}")
