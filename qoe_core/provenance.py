"""Where a number comes from: code, data, machine and time of a run."""

import ast
import functools
import hashlib
import importlib.metadata
import platform
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from qoe_core.paths import ROOT
from qoe_core.session import Session

PACKAGES = ("av", "numpy", "pandas", "scikit-learn", "scipy", "timm", "torch")
# the modules that a prediction or score passes through; readers show in the sessions they return,
# and what makes frame features (down to a version of its own) in `inputs.identity`
CODE = ("kernels", "session", "split", "splits", "qos", "batches", "losses", "stack", "checkpoint")
CODE += ("loading", "train_config", "epoch", "training", "inputs", "pairs", "metric_loops")
CODE += ("metrics", "mappings", "predictions", "units", "experiment")


def code_digest(*own: Path) -> str:
    """Digest of all code between sessions and scores; comments and layout do not count.

    `own` are files that only some rows of a table pass through, such as that of a peer.
    """
    package = ROOT / "qoe_core"
    paths = [package / f"{name}.py" for name in CODE] + sorted((package / "models").glob("*.py"))
    digest = hashlib.sha256()
    for path in (*paths, *own):
        digest.update(ast.dump(ast.parse(path.read_text())).encode())
    return digest.hexdigest()


def session_digest(session: Session) -> str:
    """Digest of everything that a model or a metric can see of a session."""
    identity = (session.dataset, session.name, session.content, session.pattern, session.device)
    numbers = (session.duration_s, session.scale, session.overall, session.overall_ci)
    digest = hashlib.sha256(repr((*identity, *numbers, sorted(session.quality))).encode())
    arrays = [session.stalls, session.bitrate_kbps, session.height_px, session.rated]
    arrays += [session.rated_ci, session.ratings]
    for array in (*arrays, *(session.quality[name] for name in sorted(session.quality))):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit() -> str:
    """The checked-out commit, with "+changes" when tracked files differ; "unknown" without git."""
    if shutil.which("git") is None:
        return "unknown"
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return "unknown"
    changes = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=no", "--", ":!figures"],
        capture_output=True,
        text=True,
    )
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


@functools.cache
def loaded_commit() -> str:
    """The commit when this process first asked: of the code that it runs, whatever is edited."""
    return commit()


def stamp(started: float, device: str) -> dict[str, object]:
    """Commit, seconds since `started` (perf_counter), what `device` stands for, its peak memory.

    That (MB) is what torch held on a GPU since training began; on a CPU what this process held.
    """
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        peak = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "commit": loaded_commit(),
        "seconds": round(time.perf_counter() - started, 2),
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "peak_memory_mb": round(peak),
    }


def record(sessions: Sequence[Session]) -> dict[str, object]:
    """Versions, digests of the files and sessions that were read, and peak memory (MB)."""
    files = sorted({path for session in sessions for path in session.sources})
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "files": {path.name: file_digest(path) for path in files},
        "sessions": {session.name: session_digest(session) for session in sessions},
        "peak_memory_mb": round(max(own, workers) / 1024),
    }
