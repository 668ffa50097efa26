"""The folders of the workbench; no other module builds a path from a string.

Each folder can be moved by an environment variable, so that a test run never touches the chapter.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ["QOE_DATA"]).expanduser().resolve() if os.environ.get("QOE_DATA") else None
CORPORA = Path(os.environ.get("QOE_CORPORA", ROOT / "corpora")).resolve()  # simulated video
RUNS = Path(os.environ.get("QOE_RUNS", ROOT / "runs")).resolve()
STORE = Path(os.environ.get("QOE_STORE", ROOT / ".store")).resolve()
FIGURES = Path(os.environ.get("QOE_FIGURES", ROOT / "figures")).resolve()
PARAMS = ROOT / "params"
NOTEBOOKS = ROOT / "notebooks"
