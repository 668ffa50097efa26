import hashlib
import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from qoe_core import figures, manifest, paths, provenance
from qoe_core.manifest import Producer

WRITERS = ("first", "second", "killed")
N_TEXTS = 5
EXPORT = """
import resource
import signal
import sys
import time
from pathlib import Path

from matplotlib import pyplot as plt

from qoe_core import figures
from qoe_core.manifest import Producer

ready, name = Path(sys.argv[1]), sys.argv[2]
(ready / name).touch()
deadline = time.monotonic() + 60
while len(list(ready.iterdir())) < 3 and time.monotonic() < deadline:
    time.sleep(0.001)
producer = Producer(notebook=name, parameters={})
for number in range(N_TEXTS):
    producer.text(f"{number}", f"{number}.txt")
figures.use_style()
fig, axes = plt.subplots(2, 2)
for ax in axes.flat:
    ax.plot([0, 1], [1, 0], label=r"$x^2$")
axes[0, 0].legend()
producer.figure(fig, "same")
if name == "killed":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the kernel ends it in the middle of a write
    producer.text("x" * 10_000, "0.txt")
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder that three processes exported to at once; the last was killed in its last file."""
    ready, shared = (tmp_path_factory.mktemp(name) for name in ("ready", "shared"))
    environment = {**os.environ, "QOE_FIGURES": str(shared), "OMP_NUM_THREADS": "1"}
    script = EXPORT.replace("N_TEXTS", str(N_TEXTS))
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(ready), name], env=environment)
        for name in WRITERS
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, -signal.SIGXFSZ]
    return shared


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty figures folder."""
    monkeypatch.setattr(manifest, "FIGURES", tmp_path)
    return tmp_path


@pytest.fixture
def producer():
    return Producer(
        notebook="03_results",
        parameters={"dataset": "tiny", "models": ["gru"], "seeds": (0, 1)},
        runs={"gru": "abc"},
    )


def drawn():
    """A figure with the layout and style of the chapter's."""
    with plt.rc_context(figures.STYLE):
        fig = Figure(figsize=(6.9, 4.2))
        axes = fig.subplots(2, 2)
        fig.suptitle("tiny")
        for ax in axes.flat:
            rated = np.linspace(0, 1, 30)
            figures.draw_trace(ax, rated, {"gru": rated[::-1]}, np.eye(30)[3])
        axes[0, 0].legend()
    return fig


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "03_results").iterdir()}


def test_a_figure_is_exported_as_pdf_and_png(folder, producer):
    producer.figure(drawn(), "forest")
    found = contents(folder)
    assert found.keys() == {"forest.pdf", "forest.png"}
    assert found["forest.pdf"].startswith(b"%PDF-")
    assert found["forest.png"].startswith(b"\x89PNG\r\n")


def test_one_figure_saved_twice_has_the_same_bytes(folder, producer):
    fig = drawn()
    producer.figure(fig, "forest")
    before = contents(folder)
    fig.canvas.draw()
    producer.figure(fig, "forest")
    assert contents(folder) == before


def test_one_figure_drawn_twice_has_the_same_bytes(folder, producer):
    producer.figure(drawn(), "forest")
    before = contents(folder)
    producer.figure(drawn(), "forest")
    assert contents(folder) == before


def test_one_figure_drawn_by_several_processes_has_the_same_bytes(exported):
    for suffix in ("pdf", "png"):
        assert len({(exported / name / f"same.{suffix}").read_bytes() for name in WRITERS}) == 1


def test_processes_that_export_at_once_lose_no_record(exported, monkeypatch):
    monkeypatch.setattr(manifest, "FIGURES", exported)
    names = [*(f"{number}.txt" for number in range(N_TEXTS)), "same.pdf", "same.png"]
    assert manifest.read().keys() >= {f"{writer}/{name}" for writer in WRITERS for name in names}


def test_a_killed_writer_leaves_the_old_file_whole_and_recorded(exported, monkeypatch):
    monkeypatch.setattr(manifest, "FIGURES", exported)
    assert (exported / "killed" / "0.txt").read_text() == "0"
    assert manifest.read()["killed/0.txt"]["sha256"] == hashlib.sha256(b"0").hexdigest()


def test_an_export_works_after_a_killed_one(exported, monkeypatch):
    monkeypatch.setattr(manifest, "FIGURES", exported)
    Producer(notebook="after", parameters={}).text("new", "0.txt")
    assert (exported / "after" / "0.txt").read_text() == "new"


def test_the_record_names_producer_commit_parameters_runs_and_digest(folder, producer):
    producer.text("results", "table.tex")
    assert manifest.read() == {
        "03_results/table.tex": {
            "producer": "notebooks/03_results.ipynb",
            "commit": provenance.commit(),
            "parameters": {"dataset": "tiny", "models": ["gru"], "seeds": [0, 1]},
            "runs": {"abc": ["gru"]},
            "sha256": hashlib.sha256(b"results").hexdigest(),
        }
    }


def test_the_manifest_has_a_line_for_each_field_of_a_record(folder, producer):
    producer.text("first\n", "first.txt")
    producer.text("second\n", "second.txt")
    lines = (folder / "manifest.json").read_text().splitlines()
    (record, _) = json.loads("\n".join(lines)).values()
    # two of the whole, and for each record one of its key and one of its end
    assert len(lines) == 2 + 2 * (2 + len(record))
    assert lines[2:7] == [
        f"  {json.dumps(name)}: {json.dumps(value)}{',' if name != 'sha256' else ''}"
        for name, value in record.items()
    ]


def test_runs_are_listed_by_the_commit_that_ran_them(folder):
    runs = {"gru": "abc", "ridge": "def", "tcn": "abc"}
    Producer(notebook="bench", parameters={}, runs=runs).text("1", "bench.txt")
    listed = manifest.read()["bench/bench.txt"]["runs"]
    assert listed == {"abc": ["gru", "tcn"], "def": ["ridge"]}


def test_an_export_without_a_notebook_names_its_program(folder):
    Producer(notebook="bench", parameters={}, program="qoe_core/bench.py").text("1", "bench.txt")
    assert manifest.read()["bench/bench.txt"]["producer"] == "qoe_core/bench.py"


def test_an_unchanged_file_keeps_its_record(folder, producer, monkeypatch):
    monkeypatch.setattr(provenance, "commit", lambda: "one")
    producer.text("results", "table.tex")
    before = (folder / manifest.MANIFEST).read_bytes()
    monkeypatch.setattr(provenance, "commit", lambda: "two")
    producer.text("results", "table.tex")
    assert (folder / manifest.MANIFEST).read_bytes() == before


def test_an_unchanged_file_is_not_written_again(folder, producer):
    producer.text("results", "table.tex")
    path = folder / "03_results" / "table.tex"
    os.utime(path, (1, 1))
    producer.text("results", "table.tex")
    assert path.stat().st_mtime == 1


def test_changed_content_updates_file_and_record(folder, producer):
    producer.text("results", "table.tex")
    producer.text("better results", "table.tex")
    assert contents(folder) == {"table.tex": b"better results"}
    expected = hashlib.sha256(b"better results").hexdigest()
    assert manifest.read()["03_results/table.tex"]["sha256"] == expected


def test_changed_parameters_update_the_record(folder, producer):
    producer.text("results", "table.tex")
    Producer(notebook="03_results", parameters={"models": []}).text("results", "table.tex")
    assert manifest.read()["03_results/table.tex"]["parameters"] == {"models": []}


def test_a_file_deleted_by_hand_is_no_longer_listed(folder, producer):
    producer.text("results", "table.tex")
    producer.text("results", "other.tex")
    (folder / "03_results" / "table.tex").unlink()
    assert list(manifest.read()) == ["03_results/other.tex"]


def test_a_file_deleted_by_hand_is_written_again(folder, producer):
    producer.text("results", "table.tex")
    (folder / "03_results" / "table.tex").unlink()
    producer.text("results", "table.tex")
    assert contents(folder) == {"table.tex": b"results"}


def test_nothing_is_listed_before_the_first_export(folder):
    assert manifest.read() == {}


def test_nothing_but_exports_and_the_manifest_is_left(folder, producer):
    producer.text("results", "table.tex")
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert left == {".lock", manifest.MANIFEST, "03_results/table.tex"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "below/x", "..", ""])
def test_a_name_that_leaves_the_folder_is_refused(folder, producer, name, refuses):
    with refuses(f"{name!r} leaves {folder / '03_results'}, expected a file name; is it a path?"):
        producer.text("results", name)
    assert list(folder.rglob("*")) == []


@pytest.mark.parametrize("notebook", ["..", "../elsewhere"])
def test_a_notebook_that_leaves_the_figures_is_refused(folder, notebook):
    with pytest.raises(ValueError, match=re.escape("expected a file name")):
        Producer(notebook=notebook, parameters={}).text("results", "table.tex")


def test_numbers_are_exported_with_nine_digits(folder, producer):
    producer.csv(pd.DataFrame({"x": [1 / 3, 2.0], "name": ["a", "b"]}), "table")
    assert contents(folder) == {"table.csv": b"x,name\n0.333333333,a\n2,b\n"}


def marks(fig):
    return [text.get_text() for text in fig.texts if text.get_text() == "simulated viewers"]


def test_figures_of_simulated_data_are_marked_once_in_two_exports(folder):
    fig = drawn()
    for _ in range(2):
        Producer(notebook="03_results", parameters={"dataset": "simulated"}).figure(fig, "forest")
    assert marks(fig) == ["simulated viewers"]


def test_figures_of_human_data_are_not_marked(folder, producer):
    fig = drawn()
    producer.figure(fig, "forest")
    assert marks(fig) == []


def test_an_exported_figure_stays_open_for_the_notebook(folder, producer):
    fig = plt.figure()
    producer.figure(fig, "forest")
    still_open = plt.get_fignums()
    plt.close(fig)
    assert still_open == [fig.number]


def test_the_list_shows_each_file_of_the_data_there_is(folder, capsys, monkeypatch):
    monkeypatch.setattr(provenance, "commit", lambda: "0123456789abcdef+changes")
    monkeypatch.setattr(paths, "DATA", None)
    for dataset in ("simulated", "lfovia"):
        made = Producer(notebook="03_results", parameters={"dataset": dataset})
        made.text("results", f"{dataset}.tex")
    manifest.main()
    expected = "figures/03_results/simulated.tex  notebooks/03_results.ipynb @ 0123456789ab\n"
    assert capsys.readouterr().out == expected
