"""Every exported figure and table with its producer: notebook, commit, parameters, runs.

The only module that writes under figures/. A file that comes out the same again keeps its record,
so a second run changes nothing. `python -m qoe_core.manifest` lists what was made of the data sets
that are found.
"""

import fcntl
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO

import pandas as pd
from matplotlib.figure import Figure

from qoe_core import library, provenance
from qoe_core.datasets import catalog
from qoe_core.paths import FIGURES

MANIFEST = "manifest.json"
SIMULATED = "simulated viewers"


@dataclass(frozen=True, kw_only=True)
class Producer:
    """The notebook run (or program) that a figure or table comes from."""

    notebook: str  # its name without .ipynb, also the folder of its exports
    parameters: Mapping[str, object]
    runs: Mapping[str, str] = field(default_factory=dict)  # experiment to the commit that ran it
    program: str = ""  # what made it, where no notebook did

    def figure(self, fig: Figure, name: str) -> None:
        """Export as PDF and PNG, the same bytes for the same figure; simulated data is marked.

        The layout is computed for the first export and then fixed. The figure stays open.
        """
        marked = any(text.get_text() == SIMULATED for text in fig.texts)
        if library.is_simulated(str(self.parameters.get("dataset"))) and not marked:
            fig.text(0.995, 0.995, SIMULATED, ha="right", va="top", fontsize=7, color="0.4")
        for suffix, metadata in (("pdf", {"CreationDate": None}), ("png", {})):
            content = BytesIO()
            fig.savefig(content, format=suffix, metadata=metadata, dpi=150)
            self._write(f"{name}.{suffix}", content.getvalue())
            fig.set_layout_engine("none")  # laid out again, axes would move by rounding errors

    def csv(self, table: pd.DataFrame, name: str) -> None:
        """Export a table as CSV, numbers with nine digits."""
        self._write(f"{name}.csv", table.to_csv(index=False, float_format="%.9g").encode())

    def text(self, content: str, name: str) -> None:
        """Export text as it is; `name` carries the suffix, such as .tex or .txt."""
        self._write(name, content.encode())

    def _write(self, name: str, content: bytes) -> None:
        folder = FIGURES / self.notebook
        path = (folder / name).resolve()
        if path.parent != folder:
            raise ValueError(f"{name!r} leaves {folder}, expected a file name; is it a path?")
        folder.mkdir(parents=True, exist_ok=True)
        key = path.relative_to(FIGURES).as_posix()
        record = {
            "producer": self.program or f"notebooks/{self.notebook}.ipynb",
            "commit": provenance.commit(),
            "parameters": json.loads(json.dumps(dict(self.parameters))),  # as read back
            "runs": _by_commit(self.runs),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        with _locked_manifest() as records:
            old = records.get(key, {})
            same = all(old.get(part) == record[part] for part in ("sha256", "parameters"))
            if not (same and path.exists()):
                unfinished = path.with_name(f"{name}.tmp")
                unfinished.write_bytes(content)
                unfinished.replace(path)
                records[key] = record


def _by_commit(runs: Mapping[str, str]) -> dict[str, list[str]]:
    """Runs of each commit, which are hundreds of one or two."""
    return {commit: [run for run in runs if runs[run] == commit] for commit in runs.values()}


def read() -> dict[str, dict[str, object]]:
    """The record of every exported file that is still there, by its path under figures/."""
    path = FIGURES / MANIFEST
    records = json.loads(path.read_text()) if path.exists() else {}
    return {key: record for key, record in records.items() if (FIGURES / key).exists()}


@contextmanager
def _locked_manifest() -> Iterator[dict[str, dict[str, object]]]:
    """The records, to be changed in place; several notebooks may export at once."""
    with (FIGURES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = read()
        before = json.dumps(records)
        yield records
        if json.dumps(records) != before:
            unfinished = FIGURES / f"{MANIFEST}.tmp"
            unfinished.write_text(_written(records))
            unfinished.replace(FIGURES / MANIFEST)


def _written(records: Mapping[str, Mapping[str, object]]) -> str:
    """JSON with a line for each field of a record, which is shorter than a line a value."""
    blocks = []
    for key, record in sorted(records.items()):
        lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in record.items()]
        blocks.append(f" {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def main() -> None:
    """Print every exported file of the data there is, with its producer and commit."""
    datasets = catalog.found() or [library.SIMULATED]
    for key, record in read().items():
        if record["parameters"].get("dataset") not in datasets:
            continue
        sys.stdout.write(f"figures/{key}  {record['producer']} @ {str(record['commit'])[:12]}\n")


if __name__ == "__main__":
    main()
