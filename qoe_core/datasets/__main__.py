# ruff: noqa: T201  (a command line prints)
"""The data sets on the command line: list them, check what is on disk, fetch what may be fetched.

Exit codes: 0 all is well, 1 something is missing, mismatched or refused, 2 wrong arguments.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from qoe_core import paths
from qoe_core.datasets import catalog
from qoe_core.datasets.entry import Counts, Release, count
from qoe_core.datasets.fetch import NOTICES, damaged, fetch

SET_QOE_DATA = (
    "Set QOE_DATA to the folder that holds the data sets side by side, for example\n"
    "    export QOE_DATA=~/data\n"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; problems are printed, not raised."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "check":
            return _check(arguments.names)
        if arguments.command == "fetch":
            return _fetch(arguments.name, arguments.to, arguments.mirror)
    except (ValueError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    return _list()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m qoe_core.datasets",
        description="List the known data sets (no command), check the ones on disk, fetch one. "
        "They lie side by side in the folder that the environment variable QOE_DATA names.",
    )
    commands = parser.add_subparsers(dest="command", title="commands")
    commands.add_parser("list", help="list the known data sets; the same as no command")
    check = commands.add_parser(
        "check",
        help="read data sets with their readers, compare counts and checksums",
        description="Read data sets, print what they hold, and name every count and checksum that "
        "is not as expected. Exit code 1 if there is one.",
    )
    check.add_argument("names", nargs="*", metavar="NAME", help="default: all that are found")
    one = commands.add_parser(
        "fetch",
        help="copy a data set from its public repository, or from a mirror",
        description="Copy a data set at its pinned commit, every file checked by sha256; files "
        "already there are kept, so an interrupted fetch is continued by the same command. Using a "
        "data set means accepting its licence, which is printed first. A data set without a "
        "licence is only copied with --from, from a copy that you may use.",
    )
    one.add_argument("name", metavar="NAME", help="a name from the list")
    one.add_argument("--to", type=Path, metavar="FOLDER", help="default: the folder in QOE_DATA")
    one.add_argument(
        "--from",
        dest="mirror",
        metavar="URL_OR_FOLDER",
        help="a mirror laid out like QOE_DATA: a folder or an http(s) address",
    )
    return parser


def _list() -> int:
    on_disk = catalog.found()
    for release in catalog.CATALOG.values():
        print(_described(release, release.name in on_disk), end="\n\n")
    if paths.DATA is None:
        print(f"QOE_DATA is not set. {SET_QOE_DATA}", end="")
    return 0


def _described(release: Release, on_disk: bool) -> str:
    extents = " or ".join(
        f"{each.n_sessions} sessions of {each.n_contents} contents" for each in release.expected
    )
    low, high = release.scale
    place = f"found in {paths.DATA}" if on_disk else "not found"
    origins = dict.fromkeys(each.origin.replace("@", " @ ") for each in release.sources)
    return "\n".join(
        [
            f"{release.name}: {release.title}, {extents}",
            f"    target   {' and '.join(release.targets)}, scale {low:g} to {high:g}",
            f"    licence  {release.licence or 'none stated'}"
            f"; {'may' if release.redistribution else 'not to'} be redistributed",
            *(f"    source   https://github.com/{origin}" for origin in origins),
            f"    cite     {release.citation}",
            f"    on disk  {place}, folder {release.folder}",
        ]
    )


def _check(names: Sequence[str]) -> int:
    names = names or catalog.found()
    if not names:
        print(f"No data set was found (QOE_DATA is {paths.DATA}). {SET_QOE_DATA}", end="")
        print("python -m qoe_core.datasets lists the known ones and where to get them.")
        return 0
    problems = [problem for name in names for problem in _check_one(name)]
    for problem in problems:
        print(f"MISMATCH {problem}")
    return 1 if problems else 0


def _check_one(name: str) -> list[str]:
    """Print what one data set holds; returns its problems, a refusal by the reader among them."""
    release = catalog.known(name)
    problems = []
    try:
        problems += damaged(release, catalog.folder(name))
        counts = count(catalog.read(name))
    except ValueError as refusal:
        return [*problems, f"{name}: {refusal}"]
    print(f"{name}: {_summary(counts)}", flush=True)
    return problems + release.mismatches(counts)


def _summary(counts: Counts) -> str:
    return (
        f"{counts.n_sessions} sessions, {counts.n_contents} contents, {counts.n_seconds} seconds, "
        f"{counts.n_stalls} stalls, scores {counts.lowest:.2f} to {counts.highest:.2f}"
    )


def _fetch(name: str, to: Path | None, mirror: str | None) -> int:
    release = catalog.known(name)
    to = to or paths.DATA
    if to is None:
        raise ValueError(f"{name}: no folder to copy to; give --to FOLDER. {SET_QOE_DATA}")
    print(f"{release.title}; cite {release.citation}.")
    print(f"Licence: {release.licence or 'none stated'}.", flush=True)
    notice = NOTICES / f"{name}.txt"
    if notice.is_file():
        print(notice.read_text(encoding="utf-8"), flush=True)
    by_hand = fetch(release, to, mirror)
    if by_hand:
        print(
            f"{name}: {len(by_hand)} files have no known address and must be copied by hand, "
            f"{by_hand[0]} first.\n{release.how_to_get()}",
            file=sys.stderr,
        )
        return 1
    print(f"{name} is complete in {to / release.folder}.")
    print(f"Next: QOE_DATA={to} python -m qoe_core.datasets check {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
