"""The simulated corpus: what it is made of, and the sessions of one that was built.

Every content is streamed under every pattern and rated by the same panel. A pattern is an ABR
algorithm on a throughput trace, or a LIVE-Netflix playout pattern. The video is real: x264 encodes
of real pixels, measured by VMAF, rendered as the player showed them. The viewers are simulated, and
every session says so in its data set's name and its device.
"""

import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qoe_core import provenance
from qoe_core.session import Session
from qoe_core.simulate.abr import ABRS
from qoe_core.simulate.contents import Display
from qoe_core.simulate.ladder import DEFAULT_LADDER, Ladder
from qoe_core.simulate.player import Player
from qoe_core.simulate.playouts import PLAYOUTS
from qoe_core.simulate.viewers import SCALE, ViewerModel

NAME = re.compile(r"simulated[a-z0-9_]*")
SESSION_NAME = re.compile(r"[a-z0-9_]+")
INDEX = "corpus.json"


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Contents, ladder, network, player, viewers, size and seed of a corpus.

    `contents` are names out of `contents.BUILT_IN`, or paths of clips and photographs. `traces` are
    mean throughputs (Mbit/s) of Markov traces, or paths of CSV files. `startup` keeps the wait
    before the first segment, as a stall at 0 s over a black picture; LIVE-NFLX-II, whose sessions
    these resemble, leaves it out.

    Raises:
        ValueError: a number out of range, an unknown name, a name twice, a ladder that the display
            cannot show, or media that is no whole number of segments.
    """

    contents: tuple[str, ...]
    abrs: tuple[str, ...] = tuple(ABRS)
    traces: tuple[float | str, ...] = (0.2, 0.12, 0.4, 0.8)  # our choice: about half stall
    n_streamed: int = 4  # sessions of each content that an ABR algorithm streams
    playouts: tuple[str, ...] = ()  # and those that follow a playout pattern
    seconds: int = 24  # of media in each session
    n_viewers: int = 24
    seed: int = 0
    startup: bool = False
    display: Display = field(default_factory=Display)
    ladder: Ladder = DEFAULT_LADDER
    player: Player = field(default_factory=Player)
    viewers: ViewerModel = field(default_factory=ViewerModel)

    def __post_init__(self):
        """Refuse what cannot be built."""
        for name, low, high in (
            ("seconds", 1, 3600),
            ("n_viewers", 2, 10_000),
            ("seed", 0, 2**32 - 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}, expected {low} to {high}")
        self._check_names()
        n_pairs = len(self.abrs) * len(self.traces)
        if not 0 <= self.n_streamed <= n_pairs:
            raise ValueError(
                f"n_streamed is {self.n_streamed}, expected 0 to {n_pairs}, since there are "
                f"{len(self.abrs)} ABRs and {len(self.traces)} traces"
            )
        if not self.contents or not self.n_streamed + len(self.playouts):
            raise ValueError("the corpus has no session, expected a content and a pattern")
        if self.seconds * 1_000_000 % self.ladder.segment_us:
            raise ValueError(
                f"seconds is {self.seconds}, expected a multiple of the segment duration "
                f"({self.ladder.segment_s} s)"
            )
        self.ladder.check(self.display)

    def _check_names(self) -> None:
        for field_name, known in (("abrs", ABRS), ("playouts", PLAYOUTS)):
            unknown = [name for name in getattr(self, field_name) if name not in known]
            if unknown:
                raise ValueError(
                    f"{field_name} has {unknown[0]!r}, expected names out of {', '.join(known)}"
                )
        for field_name in ("contents", "abrs", "playouts"):
            each_once(field_name, [Path(name).stem for name in getattr(self, field_name)])
        for mean in self.traces:
            if not isinstance(mean, str) and not 0 < mean < math.inf:
                raise ValueError(
                    f"traces has {mean}, expected mean throughputs above 0 (Mbit/s) or CSV files"
                )

    @property
    def n_frames(self) -> int:
        """Media frames of each session."""
        return self.seconds * self.display.fps


def read(folder: Path) -> list[Session]:
    """All sessions of the corpus in `folder`, whose name is the data set's.

    Raises:
        ValueError: the folder holds no complete corpus, or a file of it was changed.
    """
    check_name(folder.name)
    index = folder / INDEX
    if not index.is_file():
        raise ValueError(
            f"{folder.name}: {folder} holds no complete corpus ({INDEX} is missing); build it, or "
            f"go on building it: python -m qoe_core.simulate {folder.name}"
        )
    listed = json_object(index).get("sessions")
    if not isinstance(listed, dict) or not listed:
        raise ValueError(f"{index} lists no sessions; was it edited? {_again(folder)}")
    return [_session(folder, name, digest) for name, digest in listed.items()]


def check_name(name: str) -> None:
    """Refuse a name by which figures of a corpus could be taken for human data."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name for a corpus, expected simulated..., in lower case, so that "
            "every figure of it says what it is"
        )


def json_object(path: Path) -> dict[str, object]:
    """What a JSON file holds; nothing where it is missing, damaged or no mapping."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def each_once(field_name: str, names: list[str]) -> None:
    """Refuse two of one name; `field_name` says two of what."""
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise ValueError(
            f"{field_name} has {twice[0]!r} twice, expected each name once; is it listed twice, or "
            "are two files called alike?"
        )


def _again(folder: Path) -> str:
    return f"python -m qoe_core.simulate {folder.name} makes it again"


def _session(folder: Path, name: str, digest: str) -> Session:
    if not SESSION_NAME.fullmatch(name):
        raise ValueError(
            f"{folder / INDEX} lists a session {name!r}, expected a plain name; was it edited? "
            f"{_again(folder)}"
        )
    path, video = (folder / "sessions" / f"{name}{suffix}" for suffix in (".json", ".mp4"))
    for file in (path, video):
        if not file.is_file():
            raise ValueError(
                f"{file} is missing, and {INDEX} lists it; was it deleted, or is a build going on? "
                f"{_again(folder)}"
            )
    if provenance.file_digest(path) != digest:
        raise ValueError(
            f"{path} is not the file that {INDEX} lists; was it edited, or is a build going on? "
            f"{_again(folder)}"
        )
    facts = json_object(path)
    return Session(
        dataset=folder.name,
        name=name,
        content=facts["content"],
        pattern=facts["pattern"],
        device="simulated",
        duration_s=facts["duration_s"],
        stalls=np.array(facts["stalls"], dtype=float).reshape(-1, 2),
        bitrate_kbps=np.array(facts["bitrate_kbps"], dtype=float),
        quality={metric: _series(values) for metric, values in facts["quality"].items()},
        scale=SCALE,
        rated=_series(facts["rated"]),
        rated_ci=_series(facts["rated_ci"]),
        overall=facts["overall"],
        overall_ci=tuple(facts["overall_ci"]),
        ratings=_series(facts["ratings"]),
        video=video,
        sources=(path,),
    )


def _series(values: list) -> np.ndarray:
    """Numbers of a JSON file; null, which stands for "not shown yet", is NaN."""
    return np.array(values, dtype=float)
