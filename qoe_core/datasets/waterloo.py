"""Waterloo SQoE-I, II and IV: short adaptive streams, rated once by each viewer; no videos.

A log has one row per chunk: bitrate, encoded height, objective quality, and how long the player
stalled before the chunk (before the first: initial loading). Traps of the releases that are handled
here:

- the logs of I and II have a column `mos`, the label of another stimulus (the same encoding without
  its stall, or one of the two segments); it is never read, `data.csv` has the label;
- `strred` is NaN in 15 logs of I and 49 of II: it is no quality of any session, because a metric
  that exists for some sessions only cannot be a feature;
- the MOS of IV is not the mean of its scores (it was screened and rescaled, up to 8 points apart):
  `overall` is the released MOS, `ratings` are the released scores, in one order for each device;
- in IV, 197 logs fall into 90 groups of equal logs under other names (one content, device and
  codec): splits by content keep each group together, splits by session do not.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core.datasets.release import MAX_HEIGHT_PX, csv_table, series
from qoe_core.datasets.timeline import Timeline, wall_clock_stalls
from qoe_core.session import Session

FOLDER_I = "Waterloo_SQoE_I"
FOLDER_II = "Waterloo_SQoE_II"
FOLDER_IV = "Waterloo_SQoE_IV"
SCALE = (0.0, 100.0)
METRICS = {  # lowest and highest possible value
    "psnr": (0.0, 100.0),
    "ssim": (0.0, 1.0),
    "msssim": (0.0, 1.0),
    "vqm": (0.0, 1.0),
    "vmaf": (0.0, 100.0),
    "ssimplus": (0.0, 100.0),
}
METRICS_IV = ("psnr", "ssim", "vmaf")
VIEWERS_IV = {"hdtv": 32, "phone": 29, "uhdtv": 31}
LONGEST_STALL_S = 60.0  # far above the longest of the releases, 9.5 s
LOG = re.compile(r"[0-9]{3,4}\.csv")
SCORES = re.compile(r"\[[0-9]{1,3}( [0-9]{1,3})*\]")


def read_sqoe1(folder: Path) -> list[Session]:
    """The 180 sessions of SQoE-I: 10 chunks of 1 s, at most one stall; pattern encoding-stall.

    Raises:
        ValueError: a file is missing, damaged, unlisted, or contradicts another.
    """
    sessions = []
    for row, path in _listed(folder):
        log = _log(path, 10, 1.0, tuple(METRICS))
        encodings, stalled = log["representation_index"].unique(), log["rebuffering_duration"] > 0
        if len(encodings) > 1 or stalled.sum() > 1:
            raise ValueError(
                f"{path}: has encodings {encodings} and {stalled.sum()} stalls, expected one "
                "encoding and at most one stall; is it a log of another data set?"
            )
        stall = "none" if not stalled.any() else "initial" if stalled[0] else "middle"
        sessions.append(_session("waterloo1", folder, row, log, f"{encodings[0]:g}-{stall}"))
    return _distinct(folder, sessions)


def read_sqoe2(folder: Path) -> list[Session]:
    """The 588 sessions of SQoE-II: 2 chunks of 4 s, pattern is the pair of representations.

    Raises:
        ValueError: a file is missing, damaged, unlisted, or contradicts another.
    """
    sessions = []
    for row, path in _listed(folder):
        log = _log(path, 2, 4.0, tuple(METRICS))
        first, second = log["representation_index"]
        sessions.append(_session("waterloo2", folder, row, log, f"{first:g}-{second:g}"))
    return _distinct(folder, sessions)


def read_sqoe4(folder: Path) -> list[Session]:
    """The 1350 sessions of SQoE-IV: 7 chunks of 4 s, pattern ABR-codec/trace, scores of viewers.

    Raises:
        ValueError: a file is missing, damaged, unlisted, or contradicts another.
    """
    sessions = []
    for row, path in _listed(folder, ("individual_scores", "abr", "trace")):
        log = _log(path, 7, 4.0, METRICS_IV)
        pattern = f"{row.abr}-{row.encoding_profile}/{row.trace}"
        ratings = _ratings(folder / "data.csv", row)
        sessions.append(_session("waterloo4", folder, row, log, pattern, ratings))
    return _distinct(folder, sessions)


def _listed(folder: Path, texts: tuple[str, ...] = ()) -> list[tuple[tuple, Path]]:
    """Each row of data.csv with the path of its log; every log there is, once."""
    path = folder / "data.csv"
    columns = ("streaming_log", "content", "encoding_profile", "device", *texts)
    table = csv_table(path, ["mos"], columns)
    series(path, "mos", table["mos"], low=SCALE[0], high=SCALE[1])
    names = table["streaming_log"]
    for number, name in enumerate(names):
        if not LOG.fullmatch(name):
            raise ValueError(
                f"{path}, row {number}: streaming_log is {name!r}, expected a plain file name like "
                "001.csv; was the file edited?"
            )
    logs = folder / "streaming_logs"
    there = sorted(each.name for each in logs.glob("*.csv"))
    if sorted(names) != there:
        odd = sorted(set(names) ^ set(there)) or sorted(names[names.duplicated()])
        raise ValueError(
            f"{path}: lists {len(names)} logs and {logs} holds {len(there)}, expected each once in "
            f"both, see {odd[:3]}; is the copy complete?"
        )
    return [(row, logs / row.streaming_log) for row in table.itertuples()]


def _log(path: Path, n_chunks: int, chunk_s: float, metrics: tuple[str, ...]) -> pd.DataFrame:
    ranges = {
        "representation_index": (0.0, 100.0),
        "rebuffering_duration": (0.0, LONGEST_STALL_S),
        "video_bitrate": (1.0, 1e6),
        "chunk_duration": (chunk_s, chunk_s),
        "height": (1.0, MAX_HEIGHT_PX),
    } | {metric: METRICS[metric] for metric in metrics}
    log = csv_table(path, list(ranges))
    for column, (low, high) in ranges.items():
        series(path, column, log[column], length=n_chunks, low=low, high=high)
    if (log["representation_index"] % 1).any():
        raise ValueError(
            f"{path}: representation_index is {log['representation_index'].tolist()}, expected "
            "whole numbers; is a column shifted?"
        )
    return log


def _ratings(path: Path, row: tuple) -> Float[np.ndarray, " viewer"]:
    field = f"individual_scores of {row.streaming_log}"
    if not SCORES.fullmatch(row.individual_scores) or row.device not in VIEWERS_IV:
        raise ValueError(
            f"{path}: {field}, device {row.device}, is {row.individual_scores!r:.60}, expected "
            f"'[95 83 ...]' and a device of {list(VIEWERS_IV)}; was the file re-saved?"
        )
    scores = [float(score) for score in row.individual_scores[1:-1].split(" ")]
    return series(path, field, scores, length=VIEWERS_IV[row.device], low=SCALE[0], high=SCALE[1])


def _session(
    dataset: str,
    folder: Path,
    row: tuple,
    log: pd.DataFrame,
    pattern: str,
    ratings: Float[np.ndarray, " viewer"] | None = None,
) -> Session:
    chunk_s = log["chunk_duration"].to_numpy()
    before = log["rebuffering_duration"].to_numpy()
    starts = np.cumsum(chunk_s) - chunk_s
    stalls = wall_clock_stalls(starts[before > 0], before[before > 0])
    timeline = Timeline(chunk_s, stalls)
    return Session(
        dataset=dataset,
        name=Path(row.streaming_log).stem,
        content=row.content,
        pattern=pattern,
        device=row.device,
        duration_s=timeline.duration_s,
        stalls=stalls,
        bitrate_kbps=timeline.mean(log["video_bitrate"].to_numpy()),
        quality={
            metric: timeline.held(log[metric].to_numpy()) for metric in METRICS if metric in log
        },
        height_px=timeline.held(log["height"].to_numpy()),
        scale=SCALE,
        overall=row.mos,
        ratings=ratings,
        sources=(folder / "data.csv", folder / "streaming_logs" / row.streaming_log),
    )


def _distinct(folder: Path, sessions: list[Session]) -> list[Session]:
    """The sessions, refused if two show one content in one pattern on one device."""
    names: dict[tuple[str, str, str], str] = {}
    for session in sessions:
        identity = (session.content, session.pattern, session.device)
        if identity in names:
            raise ValueError(
                f"{folder / 'data.csv'}: logs {names[identity]} and {session.name} are both "
                f"{identity}, expected each combination once; was a row or a log doubled?"
            )
        names[identity] = session.name
    return sessions
