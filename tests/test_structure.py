"""The layout of the repository: what may import what, sizes, names, and what is never committed."""

import ast
import graphlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qoe_core.paths import ROOT

# Each station imports only from those before it; a package is one station
ORDER = [
    *("paths", "torchvision_schemas", "kernels", "session", "what_if", "provenance", "parallel"),
    *("datasets", "simulate"),
    *("library", "overview", "split", "splits", "qos", "batches", "losses", "stack"),
    *("checkpoint", "loading"),
    *("watching", "train_config", "epoch", "training", "videos", "frames", "weights", "backbones"),
    *("motion", "cache", "entry_file", "file_function", "store", "extraction", "inputs"),
    *("models", "peers", "cost", "pairs", "metric_loops", "metrics", "mappings", "statistics"),
    "bootstrap",
    *("resampled_metrics", "blocks", "predictions", "ensemble", "runs", "units", "experiment"),
    *("declared_scale", "protocol", "tables", "pooled", "ablation"),
    *("overall_scores", "overall", "trials"),
    *("claims", "protocol_claims", "ranking", "peer_table", "trained", "incremental"),
    "cost_accuracy",
    *(
        "figures",
        "peer_figures",
        "protocol_figures",
        "filmstrip",
        "video_report",
        "traces",
        "manifest",
        *("attribution", "attention_maps", "pixel_saliency", "events", "sanity"),
        *("selection", "explanation"),
        "attribution_figures",
        *("decimation", "explorer_figures", "widgets", "serving", "browser"),
        "bench_video",
        "bench_training",
        "bench_peers",
        "bench_explorer",
        "bench_browser",
        "bench",
        "profile",
    ),
]
LIBRARY = {
    ".".join(path.relative_to(ROOT / "qoe_core").with_suffix("").parts): path
    for path in sorted((ROOT / "qoe_core").rglob("*.py"))
    if path.name != "__init__.py"
}
CONFIGS = {
    f"{module}.{node.name}": node
    for module, path in LIBRARY.items()
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.ClassDef) and node.name.endswith("Config")
}
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_MODULE_LINES = 250
MAX_FUNCTION_LINES = 40  # without the docstring
MAX_KILOBYTES = 500
EMPTY_NAMES = {"utils", "helpers", "common", "misc"}
MACHINE_PATH = re.compile(rb"(?<![\w.:/-])/(?:home|Users|root|work|tmp|opt|mnt|srv|scratch)/")
BESIDE_THE_CLONE = re.compile(rb"\.\./shared")
DATA_BESIDE_THE_CLONE = ".ci/run"  # the only file that may look there


def imported(path: Path) -> set[str]:
    """Modules of qoe_core that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {name for name in submodules if name.removeprefix("qoe_core.") in LIBRARY}
            found |= known or {str(node.module)}
    return {name.removeprefix("qoe_core.") for name in found if name.startswith("qoe_core.")}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function in a file, docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node) is not None
            docstring = first.end_lineno - first.lineno + 1 if documented else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def attributes_read() -> set[str]:
    """Names that qoe_core reads from an object; the checks of `__post_init__` do not count."""
    found = set()
    for path in LIBRARY.values():
        waiting = [ast.parse(path.read_text())]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.FunctionDef) and node.name == "__post_init__":
                continue
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
            waiting.extend(ast.iter_child_nodes(node))
    return found


def unexplained_skips(path: Path) -> Iterator[str]:
    """Lines of a test file that skip or expect a failure without saying why."""
    explained = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            with_words = ast.unparse(node.func) in ("pytest.skip", "pytest.xfail") and node.args
            if with_words or any(word.arg == "reason" for word in node.keywords):
                explained.add(node.func)
        elif isinstance(node, ast.Attribute) and node not in explained:
            name = ast.unparse(node)
            if re.fullmatch(r"pytest\.(skip|importorskip|xfail|mark\.(skip|skipif|xfail))", name):
                yield f"line {node.lineno}: {name}"


def tracked() -> list[Path]:
    """Files that git knows, or would with the next `git add --all`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.exists()]


def test_every_module_has_a_place_in_the_order():
    assert {name.partition(".")[0] for name in LIBRARY} == set(ORDER)


@pytest.mark.parametrize("module", LIBRARY)
def test_imports_point_only_downwards(module):
    station = module.partition(".")[0]
    allowed = ORDER[: ORDER.index(station) + 1]
    upward = {name for name in imported(LIBRARY[module]) if name.partition(".")[0] not in allowed}
    assert upward == set()


def test_no_module_imports_itself_through_others():
    graph = {module: imported(path) for module, path in LIBRARY.items()}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", LIBRARY)
def test_modules_fit_on_a_few_screens(module):
    assert len(LIBRARY[module].read_text().splitlines()) <= MAX_MODULE_LINES


@pytest.mark.parametrize("module", LIBRARY)
def test_functions_fit_on_one_screen(module):
    long = {name: n for name, n in functions(LIBRARY[module]) if n > MAX_FUNCTION_LINES}
    assert long == {}


@pytest.mark.parametrize("path", [*LIBRARY.values(), *TESTS], ids=lambda path: path.stem)
def test_files_are_named_by_what_they_hold(path):
    assert not EMPTY_NAMES & set(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("module", LIBRARY)
def test_the_library_does_not_print(module):
    if module.endswith("__main__"):
        return
    tree = ast.parse(LIBRARY[module].read_text())
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [call.lineno for call in calls if ast.unparse(call) == "print"] == []


@pytest.mark.parametrize("config", CONFIGS)
def test_configs_are_frozen(config):
    decorators = [ast.unparse(decorator) for decorator in CONFIGS[config].decorator_list]
    assert any("dataclass(" in text and "frozen=True" in text for text in decorators)


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_field_is_read(config):
    body = CONFIGS[config].body
    fields = {node.target.id for node in body if isinstance(node, ast.AnnAssign)}
    assert fields - attributes_read() == set()


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_skip_has_a_reason(path):
    assert list(unexplained_skips(path)) == []


@pytest.mark.parametrize(
    "line", ["@pytest.mark.skip", "@pytest.mark.skipif(True)", "@pytest.mark.xfail(strict=True)"]
)
def test_a_skip_without_a_reason_is_found(tmp_path, line):
    path = tmp_path / "test_example.py"
    path.write_text(f"import pytest\n\n\n{line}\ndef test_nothing():\n    pass\n")
    assert len(list(unexplained_skips(path))) == 1


def test_no_file_names_a_folder_of_one_machine():
    naming = [path for path in tracked() if MACHINE_PATH.search(path.read_bytes())]
    assert naming == []


def test_only_the_ci_script_looks_beside_the_clone():
    looking = [path for path in tracked() if BESIDE_THE_CLONE.search(path.read_bytes())]
    assert looking == [ROOT / DATA_BESIDE_THE_CLONE]


def test_no_file_is_large():
    assert [path for path in tracked() if path.stat().st_size > MAX_KILOBYTES * 1024] == []
