"""Builds a simulated corpus into a folder, on all cores; what is there already is kept.

    contents/<content>/   one x264 encode a rung, and what VMAF says of each frame
    sessions/<name>.mp4   what the viewer saw
    sessions/<name>.json  the same at 1 Hz, the player's log and the ratings
    corpus.json           written last: the configuration, the commit, the sessions

Files of an earlier configuration stay, so that going back to it is quick; corpus.json says which
count.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from qoe_core import parallel, provenance
from qoe_core.session import hold_through_stalls, stalled_fraction
from qoe_core.simulate import render
from qoe_core.simulate.contents import BUILT_IN, Content, built_in, from_file
from qoe_core.simulate.corpus import INDEX, CorpusConfig, check_name, each_once, json_object
from qoe_core.simulate.ladder import Encodes, encode
from qoe_core.simulate.patterns import Pattern, patterns
from qoe_core.simulate.player import PlaybackLog, shown
from qoe_core.simulate.viewers import draw_panel, mean_and_ci

ENCODE_S, RENDER_S = 60.0, 5.0  # about what one content and one session cost on one core


@dataclass(frozen=True, kw_only=True, eq=False)
class ContentUnit:
    """One content at every rung."""

    config: CorpusConfig
    folder: Path
    content: Content

    @property
    def name(self) -> str:
        """For messages."""
        return self.content.name

    def encode(self) -> Encodes:
        """Made once; read from the folder afterwards."""
        config = self.config
        folder = self.folder / "contents" / self.content.name
        return encode(self.content, config.display, config.ladder, config.n_frames, folder)


@dataclass(frozen=True, kw_only=True, eq=False)
class SessionUnit:
    """One content under one pattern."""

    source: ContentUnit
    pattern: Pattern

    @property
    def name(self) -> str:
        """`<content>_<pattern>` in lower case, `_` for other signs: the name of its files."""
        return re.sub(r"[^a-z0-9]+", "_", f"{self.source.name}_{self.pattern.name}".lower())

    @property
    def path(self) -> Path:
        """Of its log; the video lies beside it."""
        return self.source.folder / "sessions" / f"{self.name}.json"


def build(config: CorpusConfig, folder: Path, workers: int | None = None) -> Path:
    """Make what is missing of the corpus in `folder`; returns the folder.

    Raises:
        ValueError: a wrong name of the folder, a content that is no video and no picture, or a
            trace or a playout that cannot be played; before anything is written.
        RuntimeError: a content or a session failed, the others are kept; or another build is going
            on in this folder.
    """
    check_name(folder.name)
    started = time.perf_counter()
    sources = [
        ContentUnit(config=config, folder=folder, content=_content(name))
        for name in config.contents
    ]
    played = patterns(config)
    units = [SessionUnit(source=each, pattern=way) for each in sources for way in played]
    each_once("sessions", [unit.name for unit in units])
    (folder / "sessions").mkdir(parents=True, exist_ok=True)
    with _alone_in(folder):
        for work, todo, first, title, cost_s in (
            (ContentUnit.encode, sources, folder / "contents", "encoding", ENCODE_S),
            (make_session, units, units[0].path, "rendering", RENDER_S),
        ):
            expected_s = 0.0 if first.exists() else cost_s  # what is there already costs nothing
            title = f"{folder.name}: {title}"
            parallel.each(work, todo, workers=workers, title=title, expected_s=expected_s)
        made = {unit.name: provenance.file_digest(unit.path) for unit in units}
        record = {"config": _as_json(dataclasses.asdict(config)), "sessions": made}
        before = json_object(folder / INDEX)
        if any(before.get(part) != record[part] for part in record):
            _write(folder / INDEX, {**record, **provenance.stamp(started, "cpu")})
    return folder


def make_session(unit: SessionUnit) -> None:
    """Play, render unless the same was rendered before, rate and write one session."""
    config = unit.source.config
    encodes = unit.source.encode()
    log = unit.pattern.play(encodes, config.player)
    facts = {
        "content": unit.source.name,
        "pattern": unit.pattern.name,
        **at_1hz(log, encodes, config.startup),
        "log": {each.name: _as_json(getattr(log, each.name)) for each in dataclasses.fields(log)},
    }
    facts |= _ratings(facts, unit)
    pixels = [facts["log"], config.startup, encodes.digest, render.VERSION, av.__version__]
    facts["rendered_from"] = hashlib.sha256(json.dumps(pixels).encode()).hexdigest()
    video = unit.path.with_suffix(".mp4")
    before = json_object(unit.path)
    if before.get("rendered_from") != facts["rendered_from"] or not _holds(video, before):
        before = {}
        unit.path.unlink(missing_ok=True)  # else it would be read with the new video
        render.render(log, encodes, video, config.startup)
    facts["video_sha256"] = provenance.file_digest(video)
    if before != _as_json(facts):
        _write(unit.path, facts)


def at_1hz(log: PlaybackLog, encodes: Encodes, startup: bool) -> dict[str, object]:
    """Length, stalls, bitrate and quality of a playback, as a `Session` has them.

    Without `startup` the session begins when playback does.
    """
    stalls = log.stalls_us / 1e6
    if startup:
        stalls = np.concatenate([[[0.0, log.startup_us / 1e6]], stalls])
    else:
        stalls[:, 0] -= log.startup_us / 1e6
    stalls = stalls[stalls[:, 1] > 0].round(6)
    seen = shown(log, startup)
    fps = encodes.display.fps
    duration_s = len(seen.stalled) / fps
    second = np.arange(len(seen.stalled)) // fps
    n_played = np.bincount(second, ~seen.stalled)

    def mean(values: np.ndarray) -> np.ndarray:
        """Of the refreshes that show something new; 0 in a second without."""
        return np.bincount(second, np.where(seen.stalled, 0, values)) / np.maximum(n_played, 1)

    segment = seen.media_frame * log.tick_us // log.segment_us
    stalled = stalled_fraction(stalls, duration_s)
    return {
        "duration_s": duration_s,
        "stalls": stalls,
        "bitrate_kbps": mean(log.bitrate_kbps[segment]).round(3),
        "quality": {
            metric: hold_through_stalls(mean(values[seen.rung, seen.media_frame]), stalled).round(4)
            for metric, values in encodes.quality.items()
        },
    }


def _ratings(facts: dict, unit: SessionUnit) -> dict[str, object]:
    config = unit.source.config
    stalled = stalled_fraction(facts["stalls"], facts["duration_s"])
    panel = draw_panel(config.viewers, config.n_viewers, config.seed)
    rng = np.random.default_rng((config.seed, 3, *unit.name.encode()))
    ratings, overall = panel.rate(facts["quality"]["vmaf"], stalled, rng)
    rated, rated_ci = mean_and_ci(ratings)
    mean_overall, overall_ci = mean_and_ci(overall)
    return {
        "rated": rated,
        "rated_ci": rated_ci,
        "overall": float(mean_overall),
        "overall_ci": overall_ci,
        "ratings": ratings,
    }


def _content(name: str) -> Content:
    if name in BUILT_IN:
        return built_in(name)
    if not Path(name).is_file():
        raise ValueError(
            f"content {Path(name).name!r}: {name} is no file, and no content of that name is built "
            f"in; expected a clip, a photograph or one of {', '.join(BUILT_IN)}"
        )
    return from_file(Path(name))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder until this process ends, however it ends; sweep what a killed one left."""
    with (folder / "build.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(
                f"{folder}: another build is going on there; wait for it or stop it"
            ) from error
        for unfinished in folder.rglob(".*.[0-9]*.tmp"):
            unfinished.unlink()
        yield


def _holds(video: Path, facts: dict) -> bool:
    """Whether the video is there, as it was when `facts` were written."""
    return video.is_file() and provenance.file_digest(video) == facts.get("video_sha256")


def _as_json(value: object) -> object:
    """What comes back when `value` is written as JSON and read again; NaN becomes null."""
    if isinstance(value, np.ndarray):
        return np.where(np.isnan(value), None, value.astype(object)).tolist()
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(each) for each in value]
    return value


def _write(path: Path, facts: dict) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unfinished.write_text(json.dumps(_as_json(facts), allow_nan=False) + "\n", encoding="utf-8")
    unfinished.replace(path)
