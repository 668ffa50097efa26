"""One entry of the catalog: what a data set should hold, and where each of its files comes from.

Expected counts were measured once with the reader on the pinned commit, so a changed reader, an
incomplete copy and a new release all show up as a mismatch.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from qoe_core.session import Session

SCORE_TOLERANCE = 0.005  # expected score ranges are written with two decimals


@dataclass(frozen=True)
class Source:
    """Where the files under one local prefix come from."""

    local: str  # prefix inside the release's folder, "" for all that no longer prefix covers
    origin: str  # owner/repository@commit on GitHub
    remote: str | None  # prefix in that repository; None: not known, to be copied by hand


@dataclass(frozen=True)
class Counts:
    """What a reader returned, or should return; an expected None is not known."""

    n_sessions: int
    n_contents: int
    n_seconds: int | None
    n_stalls: int | None
    lowest: float | None  # of all continuous and overall scores
    highest: float | None


@dataclass(frozen=True, kw_only=True)
class Release:
    """One public data set of rated sessions."""

    name: str  # on the command line, in read() and of its checksum list
    title: str
    folder: str  # inside paths.DATA
    reader: Callable[[Path], list[Session]]
    expected: tuple[Counts, ...]  # one for each extent of the release that is in use
    targets: tuple[str, ...]  # "continuous", "overall"
    scale: tuple[float, float]
    licence: str | None  # None: nothing grants a copy, so fetch refuses the public source
    redistribution: bool
    citation: str
    sources: tuple[Source, ...]

    def source(self, file: str) -> Source:
        """The source with the longest prefix of `file`, a path inside the release's folder."""
        covering = [each for each in self.sources if file.startswith(each.local)]
        if not covering:
            raise ValueError(
                f"{self.name}: no source covers {file}, expected a prefix among "
                f"{[each.local for each in self.sources]}; is its checksum list of another release?"
            )
        return max(covering, key=lambda each: len(each.local))

    def how_to_get(self) -> str:
        """Repository, commit and path of every part, and where it belongs; several lines."""
        lines = [f"To get {self.title}, copy"]
        for source in self.sources:
            repository, commit = source.origin.split("@")
            remote = source.remote or "the files of the same names"
            lines += [
                f"  from https://github.com/{repository} at commit {commit}: {remote}",
                f"    to $QOE_DATA/{self.folder}/{source.local}",
            ]
        if self.licence is None:
            lines += ["  No licence is stated for these files; ask the authors for permission:"]
            lines += [f"    {self.citation}"]
        elif all(source.remote is not None for source in self.sources):
            lines += [f"  or run: python -m qoe_core.datasets fetch {self.name}"]
        lines += [f"  or from your own copy: ... fetch {self.name} --from FOLDER_OR_URL"]
        return "\n".join(lines)

    def mismatches(self, found: Counts) -> list[str]:
        """One sentence for each count unlike the extent nearest in number of sessions."""
        expected = min(self.expected, key=lambda each: abs(each.n_sessions - found.n_sessions))
        problems = []
        for field in fields(Counts):
            wanted, got = getattr(expected, field.name), getattr(found, field.name)
            tolerance = SCORE_TOLERANCE if field.name in ("lowest", "highest") else 0
            if wanted is not None and abs(got - wanted) > tolerance:
                problems.append(
                    f"{self.name}: {field.name} is {got:.8g}, expected {wanted:.8g}; "
                    "is the copy incomplete, or another version of the release?"
                )
        return problems


def count(sessions: list[Session]) -> Counts:
    """Sessions, contents, seconds, stalls and range of the scores of at least one session."""
    rated = [session.rated for session in sessions if session.rated is not None]
    overall = [session.overall for session in sessions if session.overall is not None]
    scores = np.concatenate([*rated, overall])
    return Counts(
        n_sessions=len(sessions),
        n_contents=len({session.content for session in sessions}),
        n_seconds=sum(session.n_seconds for session in sessions),
        n_stalls=sum(len(session.stalls) for session in sessions),
        lowest=float(scores.min()),
        highest=float(scores.max()),
    )
