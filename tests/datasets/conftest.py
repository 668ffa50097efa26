"""A tiny released data set: two files of synthetic scores, on disk and in the catalog."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from qoe_core import paths
from qoe_core.datasets import catalog, fetch
from qoe_core.datasets.entry import Counts, Release, Source
from qoe_core.session import Session

TINY_FILES = {"scores/low road.csv": "10,20,30", "scores/river.csv": "50,60", "license": "free"}


def read_tiny(folder: Path) -> list[Session]:
    """One session a file; content is the file's name, the middle of the first second is a stall."""
    return [
        Session(
            dataset="tiny",
            name=path.stem,
            content=path.stem,
            pattern="none",
            device="none",
            duration_s=float(len(scores)),
            stalls=np.array([[0.25, 0.5]]),
            bitrate_kbps=None,
            quality={},
            scale=(0.0, 100.0),
            rated=scores,
        )
        for path in sorted((folder / "scores").glob("*.csv"))
        for scores in [np.array(path.read_text().split(","), dtype=float)]
    ]


def write_tiny(data: Path) -> None:
    for file, text in TINY_FILES.items():
        path = data / "Tiny" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Release:
    """The catalog's only entry; its checksum list lies in tmp_path, and QOE_DATA is not set."""
    release = Release(
        name="tiny",
        title="Tiny scores",
        folder="Tiny",
        reader=read_tiny,
        expected=(Counts(2, 2, 5, 2, 10.0, 60.0), Counts(9, 3, None, None, None, None)),
        targets=("continuous",),
        scale=(0.0, 100.0),
        licence="any purpose",
        redistribution=True,
        citation="Nobody, 2000",
        sources=(
            Source("", "owner/repository@c0ffee", "release/"),
            Source("scores/", "owner/scores@beef", "a b/"),
        ),
    )
    monkeypatch.setattr(catalog, "CATALOG", {"tiny": release})
    monkeypatch.setattr(paths, "DATA", None)
    monkeypatch.setattr(fetch, "CHECKSUMS", tmp_path / "checksums")
    (tmp_path / "checksums").mkdir()
    lines = (
        f"{hashlib.sha256(text.encode()).hexdigest()}  {file}\n"
        for file, text in TINY_FILES.items()
    )
    (tmp_path / "checksums" / "tiny.txt").write_text("".join(lines))
    return release


@pytest.fixture
def tiny_on_disk(tiny, tmp_path, monkeypatch) -> Path:
    """The folder of the tiny data set, below a set QOE_DATA."""
    write_tiny(tmp_path / "data")
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    return tmp_path / "data" / "Tiny"


@pytest.fixture
def tiny_mirror(tiny, tmp_path) -> Path:
    """A folder laid out like QOE_DATA that holds the tiny data set."""
    write_tiny(tmp_path / "mirror")
    return tmp_path / "mirror"
