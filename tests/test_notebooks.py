"""How notebooks are built, read from the files without running them; nbval runs them.

A rule takes the path of a notebook and names what is wrong. Each is also shown a notebook that
breaks it.
"""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml
from nbformat import NotebookNode, v4

from qoe_core.paths import NOTEBOOKS, PARAMS

STORED = sorted(NOTEBOOKS.glob("*.ipynb"))
MAX_CODE_CELLS = 15
MAX_CELL_LINES = 20
MAX_KILOBYTES = 300
CHECKED = "nbval-check-output"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
NOT_PORTABLE = {
    "a folder of one machine": r"(?<![\w.:/-])/(?:home|Users|root|work|tmp|opt|mnt|srv|scratch)/",
    "the address of an object": r"\bat 0x[0-9a-f]{6,}",
    "a time measured": r"\b(?:Wall time|CPU times|took \d)|\d ?(?:ms|µs)\b|\b(?:it/s|s/it)\b",
    "a progress bar": r"\d%\|",
}


def cells(path: Path) -> list[NotebookNode]:
    return nbformat.read(path, as_version=4).cells


def code_cells(path: Path) -> list[NotebookNode]:
    return [cell for cell in cells(path) if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def printed(cell: NotebookNode) -> str:
    """All text among the outputs of a cell; pictures are left out."""
    texts = [output.get("text", "") for output in cell.outputs]
    for output in cell.outputs:
        texts += [str(part) for kind, part in output.get("data", {}).items() if "text" in kind]
    return "\n".join(texts)


def opens_with_title_and_purpose(path: Path) -> Iterator[str]:
    first = cells(path)[0]
    title, _, purpose = first.source.partition("\n")
    if first.cell_type != "markdown" or not title.startswith("# "):
        yield "the first cell is no title"
    if not purpose.strip():
        yield "nothing below the title says what is read and written"


def names_its_parameters_second(path: Path) -> Iterator[str]:
    """Papermill puts its own cell behind this one, so a derived value would keep its default."""
    second = cells(path)[1]
    if second.cell_type != "code" or tags(second) != ["parameters"]:
        yield "the second cell is not tagged parameters"
        return
    lines = second.source.splitlines()
    for statement in ast.parse(second.source).body:
        line = lines[statement.lineno - 1]
        try:
            ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            yield f"not a literal: {line}"
        if statement.end_lineno != statement.lineno or not re.search(r"  # \w", line):
            yield f"no comment on the same line: {line}"
    assigned = re.findall(r"^(\w+) = ", second.source, re.MULTILINE)
    unseen = set(assigned) - set(papermill.inspect_notebook(str(path)))
    if unseen:
        yield f"papermill does not see {sorted(unseen)}"


def imports_in_its_third_cell_only(path: Path) -> Iterator[str]:
    for number, cell in enumerate(cells(path), start=1):
        if cell.cell_type == "code":
            kinds = {type(node) for node in ast.walk(ast.parse(cell.source))}
            has_imports = bool(kinds & {ast.Import, ast.ImportFrom})
            if has_imports != (number == 3):
                yield f"cell {number} has {'' if has_imports else 'no '}imports"


def defines_nothing(path: Path) -> Iterator[str]:
    for number, cell in enumerate(code_cells(path), start=1):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield f"code cell {number} defines {node.name}: move it to qoe_core"


def holds_only_python(path: Path) -> Iterator[str]:
    for number, cell in enumerate(code_cells(path), start=1):
        if re.search(r"^\s*[%!]", cell.source, re.MULTILINE):
            yield f"code cell {number} has a magic or a shell command"


def is_short(path: Path) -> Iterator[str]:
    if len(code_cells(path)) > MAX_CODE_CELLS:
        yield f"{len(code_cells(path))} code cells, at most {MAX_CODE_CELLS}"
    for number, cell in enumerate(code_cells(path), start=1):
        if len(cell.source.splitlines()) > MAX_CELL_LINES:
            yield f"code cell {number} has more than {MAX_CELL_LINES} lines"
    if path.stat().st_size > MAX_KILOBYTES * 1024:
        yield f"more than {MAX_KILOBYTES} kB"


def is_given_only_parameters_it_has(path: Path) -> Iterator[str]:
    """Papermill only warns about an unknown name and then goes on with the default."""
    known = set(papermill.inspect_notebook(str(path)))
    folder = path.parent.parent / PARAMS.name
    for params in sorted([*folder.glob(f"{path.stem}.yaml"), *folder.glob(f"{path.stem}--*.yaml")]):
        unknown = set(yaml.safe_load(params.read_text())) - known
        if unknown:
            yield f"{params.name} sets {sorted(unknown)}, the notebook has {sorted(known)}"


def was_stored_after_one_clean_run(path: Path) -> Iterator[str]:
    """nbval compares nothing in a notebook that was never run."""
    counts = [cell.execution_count for cell in code_cells(path)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"
    checked = [cell for cell in code_cells(path) if CHECKED in tags(cell)]
    if not checked:
        yield f"no cell is tagged {CHECKED}"
    if not all(printed(cell).strip() for cell in checked):
        yield f"a cell tagged {CHECKED} has no output"


def stores_nothing_that_changes_by_itself(path: Path) -> Iterator[str]:
    for number, cell in enumerate(code_cells(path), start=1):
        for what, pattern in NOT_PORTABLE.items():
            if found := re.search(pattern, printed(cell)):
                yield f"code cell {number} stores {what}: {found[0]!r}"
        if any(output.get("name") == "stderr" for output in cell.outputs):
            yield f"code cell {number} stores what went to stderr"


RULES: list[Callable[[Path], Iterator[str]]] = [
    opens_with_title_and_purpose,
    names_its_parameters_second,
    imports_in_its_third_cell_only,
    holds_only_python,
    defines_nothing,
    is_short,
    is_given_only_parameters_it_has,
    was_stored_after_one_clean_run,
    stores_nothing_that_changes_by_itself,
]


def test_there_are_notebooks():
    assert STORED


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_notebook(path, rule):
    assert list(rule(path)) == []


def test_every_params_file_belongs_to_a_notebook_or_to_the_simulator():
    names = {path.stem for path in STORED} | {"simulate"}
    assert {path.stem.partition("--")[0] for path in PARAMS.glob("*.yaml")} <= names


@pytest.fixture
def sound(tmp_path):
    """A notebook with a params file; breaks no rule."""
    stdout = v4.new_output("stream", name="stdout", text="0.5\n")
    notebook = v4.new_notebook(
        metadata={"kernelspec": KERNEL},
        cells=[
            v4.new_markdown_cell("# 00 Half\nReads and writes nothing."),
            v4.new_code_cell("seed = 0  # of everything", metadata={"tags": ["parameters"]}),
            v4.new_code_cell("import math"),
            v4.new_code_cell("x = math.sin(math.pi / 6)"),
            v4.new_code_cell("print(x)", metadata={"tags": [CHECKED]}, outputs=[stdout]),
        ],
    )
    for number, cell in enumerate(notebook.cells[1:], start=1):
        cell.execution_count = number
    path = tmp_path / "notebooks" / "00_half.ipynb"
    params = tmp_path / "params" / "00_half--more.yaml"
    for folder in (path.parent, params.parent):
        folder.mkdir()
    nbformat.write(notebook, path)
    params.write_text("seed: 1\n")
    return path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_notebook_breaks_no_rule(sound, rule):
    assert list(rule(sound)) == []


BREACHES = [
    (opens_with_title_and_purpose, 0, {"source": "Half\nReads nothing."}),
    (opens_with_title_and_purpose, 0, {"source": "# 00 Half"}),
    (names_its_parameters_second, 1, {"metadata": {}}),
    (names_its_parameters_second, 1, {"source": "seed = 0"}),
    (names_its_parameters_second, 1, {"source": "seed = 2 * 3  # derived"}),
    (names_its_parameters_second, 1, {"source": "print(0)  # not even a value"}),
    (names_its_parameters_second, 1, {"source": "seed = '='  # unseen, it has two ="}),
    (imports_in_its_third_cell_only, 2, {"source": "x = 1"}),
    (imports_in_its_third_cell_only, 3, {"source": "from math import pi"}),
    (holds_only_python, 3, {"source": "%matplotlib inline"}),
    (holds_only_python, 3, {"source": "!pip list"}),
    (defines_nothing, 3, {"source": "def half(x):\n    return x / 2"}),
    (defines_nothing, 3, {"source": "class Half:\n    pass"}),
    (is_short, 3, {"source": "x = 1\n" * 21}),
    (is_short, 3, {"source": "x = 1" + " " * 300 * 1024}),
    (is_given_only_parameters_it_has, 1, {"source": "seeds = 0  # renamed"}),
    (was_stored_after_one_clean_run, 3, {"execution_count": 7}),
    (was_stored_after_one_clean_run, 3, {"execution_count": None}),
    (was_stored_after_one_clean_run, 4, {"metadata": {}}),
    (was_stored_after_one_clean_run, 4, {"outputs": []}),
]


@pytest.mark.parametrize(("rule", "number", "change"), BREACHES)
def test_a_breach_is_named(sound, rule, number, change):
    notebook = nbformat.read(sound, as_version=4)
    notebook.cells[number].update(nbformat.from_dict(change))
    nbformat.write(notebook, sound)
    assert len(list(rule(sound))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("stdout", str(Path("/", "home", "someone", "figure.pdf"))),
        ("stdout", "<Axes at 0x7f0123456789>"),
        ("stdout", "Wall time: 3 s"),
        ("stdout", "trained in 12 ms"),
        ("stdout", " 50%|#####"),
        ("stderr", "a warning"),
    ],
)
def test_an_output_that_changes_by_itself_is_named(sound, name, text):
    notebook = nbformat.read(sound, as_version=4)
    notebook.cells[4].outputs[0].update(name=name, text=text)
    nbformat.write(notebook, sound)
    assert len(list(stores_nothing_that_changes_by_itself(sound))) == 1


def test_more_than_fifteen_code_cells_are_named(sound):
    notebook = nbformat.read(sound, as_version=4)
    notebook.cells += [v4.new_code_cell("x") for _ in range(12)]
    nbformat.write(notebook, sound)
    assert list(is_short(sound)) == ["16 code cells, at most 15"]
