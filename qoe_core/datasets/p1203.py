"""ITU-T P.1203 open data set: long sessions with audio, rated once by each viewer on PC or mobile.

A session is one stimulus (PVS) in one viewing context. Its per-second quality is what the P.1203
modules say of the audio (`o21`) and of the video in modes 0 to 3 (`o22_mode0` ...), 1 to 5, taken
from the input of the model. Traps of the release that are handled here:

- stall times are media time, 0 is the initial delay; they become wall-clock time here;
- the audio and video series differ by up to 3 s; all are cut to the shortest, so playback is
  9 s less to 6 s more than the 60, 180, 60 and 240 s that the databases were designed for;
- the inputs hold no bitrate: it is `bitrate_kbps_segment_size` of mode 0, the "actual
  segment bitrate", one value for each value of `o22_mode0`;
- four sources of VL04 are sources of TR04 under the hashes of `test_configs`: both get one
  content, so that no split can hold the same clip on two sides.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core.datasets.p1203_opinions import (
    KEY,
    MOS,
    RATINGS,
    SCALE,
    STIMULUS,
    opinions,
    ratings,
    refuse_doubles,
)
from qoe_core.datasets.release import csv_table, json_fields, series
from qoe_core.datasets.timeline import Timeline, wall_clock_stalls
from qoe_core.session import Session

FOLDER = "P1203_open_dataset"
BITRATES = Path("features", "features_mode0.csv")
MODES = (0, 1, 2, 3)
SAME_SOURCE = {  # equal hashes in srcList of test_configs/TR04-config.yaml and VL04-config.yaml
    "VL04_SRC001": "TR04_SRC001",
    "VL04_SRC002": "TR04_SRC002",
    "VL04_SRC003": "TR04_SRC003",
    "VL04_SRC285": "TR04_SRC317",
}
CUT_S = 3  # most by which the series of one stimulus differ, VL13_SRC754_HRC07
LONGEST_STALL_S = 600.0  # above any playback of the release; the longest stall is 20 s


def read(folder: Path) -> list[Session]:
    """The 239 rated sessions in the order of `subjective_scores/mos.csv`; only `overall` is rated.

    Raises:
        ValueError: a file is missing or damaged, or two files contradict each other: number or
            mean of the ratings, lengths of the series, audio or stalls of two modes, or anything
            but the device of a stimulus shown in two contexts.
    """
    rated = opinions(folder)
    scores = ratings(folder, rated)
    bitrates = _bitrates(folder)
    inputs: dict[str, dict[str, np.ndarray]] = {}
    sessions = []
    for row in rated.itertuples():
        files = tuple(
            folder / f"mode{mode}" / f"046-{row.pvs_id}-{row.context}-input.json" for mode in MODES
        )
        played = _played(files, row.context)
        bitrate = bitrates.get(row.pvs_id, np.zeros(0))
        other = inputs.setdefault(row.pvs_id, played)
        different = [name for name in played if not np.array_equal(played[name], other[name])]
        if different:
            raise ValueError(
                f"{files[0]}: {different} differ from the other context's, expected one playback "
                "on two devices; is one input damaged?"
            )
        sessions.append(
            _session(folder, row, files, played, bitrate, scores[row.pvs_id, row.context])
        )
    return sessions


def stored_outputs(folder: Path) -> pd.DataFrame:
    """The model's stored overall scores beside what viewers said, a row per session and mode.

    Columns pvs, context, database, mode (0 to 3), O46 (1 to 5), mos, ci (half-width, 95 %).
    Scores for contexts that nobody rated (mobile, VL04 and VL13) have no row.

    Raises:
        ValueError: a damaged file, a score twice, or a rated session without one.
    """
    path = folder / "O46.csv"
    scores = csv_table(path, ["mode", "O46"], KEY)
    series(path, "O46", scores["O46"], low=SCALE[0], high=SCALE[1])
    refuse_doubles(path, scores, [*KEY, "mode"])
    rated = opinions(folder).merge(pd.DataFrame({"mode": MODES}), how="cross")
    table = rated.merge(scores, on=[*KEY, "mode"], how="left").rename(columns={"pvs_id": "pvs"})
    absent = table[table["O46"].isna()]
    if len(absent):
        first = absent.iloc[0]
        raise ValueError(
            f"{path}: no O46 for {first['pvs']}, {first['context']}, mode {first['mode']} "
            f"({len(absent)} of {len(table)}), expected one for every rated session; truncated?"
        )
    table["database"] = table["pvs"].str.split("_").str[0]
    return table[["pvs", "context", "database", "mode", "O46", "mos", "ci"]]


def _bitrates(folder: Path) -> dict[str, Float[np.ndarray, " _media"]]:
    path = folder / BITRATES
    column = "bitrate_kbps_segment_size"
    table = csv_table(path, ["sample_index", column], ["pvs_id"])
    series(path, column, table[column], low=1e-3, high=1e6)
    bitrates = {}
    for pvs, rows in table.groupby("pvs_id"):
        if not np.array_equal(rows["sample_index"], np.arange(len(rows))):
            raise ValueError(
                f"{path}: sample_index of {pvs} is {rows['sample_index'].to_numpy()}, expected "
                "0, 1, 2, ... without a gap; are rows missing?"
            )
        bitrates[pvs] = rows[column].to_numpy()
    return bitrates


def _played(files: tuple[Path, ...], context: str) -> dict[str, np.ndarray]:
    """Media-time series of one stimulus, as long as they are in the files, and its stalls."""
    played: dict[str, np.ndarray] = {}
    for mode, path in zip(MODES, files, strict=True):
        fields = json_fields(path, ("O21", "O22", "I23", "IGen"))
        device, stalling = (
            fields[group].get(name) if isinstance(fields[group], dict) else None
            for group, name in (("IGen", "device"), ("I23", "stalling"))
        )
        if device != context:
            raise ValueError(
                f"{path}: IGen.device is {device!r}, expected {context!r}; was it renamed?"
            )
        found = {"o21": _scores(path, "O21", fields["O21"]), "stalling": _stalling(path, stalling)}
        for name, values in found.items():
            if not np.array_equal(values, played.setdefault(name, values)):
                raise ValueError(
                    f"{path}: {name} differs from mode {MODES[0]}, expected the same playback in "
                    "every mode; is one input damaged?"
                )
        played[f"o22_mode{mode}"] = _scores(path, "O22", fields["O22"])
    return played


def _scores(path: Path, field: str, values: object) -> Float[np.ndarray, " media"]:
    _refuse_unless_numbers(path, field, values)
    return series(path, field, values, low=SCALE[0], high=SCALE[1])


def _stalling(path: Path, pairs: object) -> Float[np.ndarray, "stall 2"]:
    """Media time and duration (s) of each stall, times rising."""
    if not isinstance(pairs, list):
        raise ValueError(f"{path}: I23.stalling is {pairs!r:.60}, expected a list; was it renamed?")
    stalls = np.zeros((len(pairs), 2))
    for number, pair in enumerate(pairs):
        field = f"I23.stalling[{number}]"
        _refuse_unless_numbers(path, field, pair)
        stalls[number] = series(path, field, pair, length=2, low=0.0)
    if (np.diff(stalls[:, 0]) <= 0).any() or not (
        (stalls[:, 1] > 0) & (stalls[:, 1] <= LONGEST_STALL_S)
    ).all():
        raise ValueError(
            f"{path}: I23.stalling is {stalls.tolist()}, expected rising media times and durations "
            f"above 0 and up to {LONGEST_STALL_S:g} s; are the times wall clock?"
        )
    return stalls


def _refuse_unless_numbers(path: Path, field: str, values: object) -> None:
    if not isinstance(values, list) or any(type(value) not in (int, float) for value in values):
        raise ValueError(f"{path}: {field} is {values!r:.60}, expected a list of numbers; damaged?")


def _cut(
    path: Path, played: dict[str, np.ndarray], bitrate: Float[np.ndarray, " uncut"]
) -> dict[str, Float[np.ndarray, " media"]]:
    """The series of one stimulus and its bitrate, all as long as the shortest."""
    values = {name: each for name, each in played.items() if name != "stalling"}
    values["bitrate"] = bitrate
    lengths = {name: len(each) for name, each in values.items()}
    media_s = min(lengths.values())
    if lengths["bitrate"] != lengths["o22_mode0"] or max(lengths.values()) > media_s + CUT_S:
        raise ValueError(
            f"{path}: has {lengths} seconds, expected as many of bitrate as of o22_mode0 and at "
            f"most {CUT_S} between the shortest and the longest; is an input or "
            "features_mode0.csv truncated?"
        )
    if (played["stalling"][:, 0] > media_s).any():
        raise ValueError(
            f"{path}: I23.stalling is {played['stalling'].tolist()}, expected media times up to "
            f"{media_s} s; are the times wall clock?"
        )
    return {name: each[:media_s] for name, each in values.items()}


def _session(
    folder: Path,
    row: tuple,
    files: tuple[Path, ...],
    played: dict[str, np.ndarray],
    bitrate: Float[np.ndarray, " uncut"],
    scores: Float[np.ndarray, " viewer"],
) -> Session:
    media = _cut(files[0], played, bitrate)
    shown = media.pop("bitrate")
    timeline = Timeline(np.ones(len(shown)), wall_clock_stalls(*played["stalling"].T))
    database, source, processing = STIMULUS.fullmatch(row.pvs_id).groups()
    content = f"{database}_{source}"
    return Session(
        dataset="p1203",
        name=f"{row.pvs_id}_{row.context}",
        content=SAME_SOURCE.get(content, content),
        pattern=f"{database}_{processing}",
        device=row.context,
        duration_s=timeline.duration_s,
        stalls=timeline.stalls,
        bitrate_kbps=timeline.mean(shown),
        quality={name: timeline.held(each) for name, each in media.items()},
        scale=SCALE,
        overall=row.mos,
        overall_ci=(row.mos - row.ci, row.mos + row.ci),
        ratings=scores,
        sources=(*files, folder / BITRATES, folder / MOS, folder / RATINGS),
    )
