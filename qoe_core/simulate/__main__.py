# ruff: noqa: T201  (a command line prints)
"""Builds a simulated corpus on the command line.

Exit codes: 0 the corpus is complete, 1 it could not be built, 2 wrong arguments.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin, get_type_hints

import yaml

from qoe_core import paths
from qoe_core.simulate.build import build
from qoe_core.simulate.contents import BUILT_IN, Display
from qoe_core.simulate.corpus import CorpusConfig, check_name
from qoe_core.simulate.ladder import Ladder
from qoe_core.simulate.player import Player
from qoe_core.simulate.viewers import ViewerModel

PARTS = {"display": Display, "ladder": Ladder, "player": Player, "viewers": ViewerModel}
KINDS = {  # of values in a parameter file, as messages call them
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[int, ...]: "a list of whole numbers",
    tuple[float, float]: "a list of two numbers",
    tuple[str, ...]: "a list of names",
    tuple[float | str, ...]: "a list of numbers and file names",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Build one corpus and return the exit code; problems are printed, not raised."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.workers is not None and arguments.workers < 1:
        parser.error(f"--workers is {arguments.workers}, expected at least 1")
    path = arguments.params or paths.PARAMS / f"simulate--{arguments.name}.yaml"
    folder = (arguments.to or paths.CORPORA) / arguments.name
    try:
        check_name(arguments.name)
        build(read_config(path), folder, arguments.workers)
    except (ValueError, OSError, RuntimeError) as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{arguments.name} is complete in {folder}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m qoe_core.simulate",
        description="Build a corpus of simulated streaming sessions: real x264 video, rendered as "
        "a player showed it, rated by simulated viewers. What is there already is kept, so an "
        "interrupted build is continued by the same command.",
        epilog=f"Contents that need no files: {', '.join(BUILT_IN)}. The keys of a parameter file "
        "are the fields of CorpusConfig; see params/simulate--simulated.yaml.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help="of the corpus, simulated...; also the data set's name in every notebook",
    )
    parser.add_argument(
        "--params",
        type=Path,
        metavar="YAML",
        help="default: params/simulate--NAME.yaml; relative paths in it start at its folder",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="where the folder NAME is made; default: $QOE_CORPORA, else corpora",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes; default: the cores there are"
    )
    return parser


def read_config(path: Path) -> CorpusConfig:
    """The corpus that a parameter file describes; relative paths in it start at its folder.

    Raises:
        ValueError: no such file, or no mapping in it; a key that the configuration does not have,
            that is missing or that is given twice; a value that it refuses.
    """
    if not path.is_file():
        stems = sorted(known.stem for known in paths.PARAMS.glob("simulate--*.yaml"))
        raise ValueError(
            f"{path} is no file, expected --params YAML or a name that has one in "
            f"{paths.PARAMS.name}/: {', '.join(stem.removeprefix('simulate--') for stem in stems)}"
        )
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise ValueError(f"{path} is not readable as YAML: {problem}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds {values!r:.60}, expected keys with values; is it empty?")
    for name, part in PARTS.items():
        if name in values:
            values[name] = _made(part, values[name], f"{path}, {name}")
    for name in ("contents", "traces"):
        if isinstance(values.get(name), list):
            values[name] = [_beside(path, each) for each in values[name]]
    return _made(CorpusConfig, values, str(path))


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, as YAML does; PyYAML would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key!r} is given twice", problem_mark=node.start_mark
                )
        return super().construct_mapping(node, deep)


def _made(kind: type, values: object, where: str) -> object:
    """A dataclass out of keys and values; `where` they stand is for messages."""
    if not isinstance(values, dict):
        raise ValueError(f"{where} is {values!r:.60}, expected keys with values")
    known = {field.name: field for field in fields(kind)}
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ValueError(f"{where} has a key {unknown[0]!r}, expected one of {', '.join(known)}")
    for name, field in known.items():
        if name not in values and field.default is field.default_factory is MISSING:
            raise ValueError(f"{where} has no key {name!r}, expected one")
    hints = get_type_hints(kind)
    given = {}
    for key, value in values.items():
        try:
            given[key] = _cast(value, hints[key])
        except (ValueError, OverflowError) as error:
            expected = KINDS[hints[key]]
            raise ValueError(f"{where}: {key} is {value!r:.60}, expected {expected}") from error
    try:
        return kind(**given)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _cast(value: object, kind: object) -> object:
    """`value` as `kind`; raises ValueError where it is something else."""
    if get_origin(kind) is tuple:
        each, *more = get_args(kind)
        if not isinstance(value, list) or (more != [...] and len(value) != 1 + len(more)):
            raise ValueError
        return tuple(_cast(one, each) for one in value)
    if isinstance(kind, UnionType):  # float | str
        kind = str if isinstance(value, str) else float
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise ValueError
    return value


def _beside(path: Path, given: object) -> object:
    """A file name is looked for from the parameter file's folder; names and numbers stay."""
    if isinstance(given, str) and given not in BUILT_IN:
        return str((path.parent / Path(given).expanduser()).resolve())
    return given


if __name__ == "__main__":
    sys.exit(main())
