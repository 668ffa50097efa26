"""LIVE Mobile Stall Video Database-II: 174 clips with stalls only, rated by 27 viewers a second.

No bitrates, no metrics, no released training lists: LSTM-QoE draws 140 of the other 173 clips at
random for each test clip, whatever they show, and so does `drawn_training_lists`.
The key of a clip is its 1-based index, because 16 names occur twice, mostly with other stalls.

Time. Ratings come at 30 Hz and, averaged over each second, at 1 Hz; the last second is partial. The
duration of a session is the number of 30 Hz samples / 30, stalls included; `vidLengths_s` is its
floor, because it was stored as whole seconds. `fpss` is the 30 Hz of the ratings, not of the video.
Stalls are listed in media time, so the earlier stalls are added. A clip may end while it stalls:
in four of them the file ends up to 0.9 s before the listed stall does, and the stall ends there.

Ratings. `ratings` are rescaled z-scores (-287 to 375), not 0 to 100; `rated` is their mean. A row
is not one person across clips (two groups of viewers). In 6 short clips 1 to 4 rows are all NaN:
absent viewers, ignored by the mean, although `rated_ci` is still mean +- 1.96 sd / sqrt(27).

Not read: `TSL` and `Nrebuffers` (derived; 100 stands for true), `DMOS` and
`LIVEAvvasiStallVideoMetaData.mat` (an earlier study, other order and content numbers).

Source: Ghadiyaram, Pan and Bovik, "A subjective and objective study of stalling events in mobile
streaming videos", IEEE TCSVT 29(1), 2019; files from the repository lfovia/lstm_qoe.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from qoe_core.datasets.release import mat_variables, matrix, series, text
from qoe_core.datasets.released_lists import drawn_lists
from qoe_core.session import Session, n_seconds

FOLDER = "LIVE_Mobile_Stall_II"
SCALE = (0.0, 100.0)  # of rated and overall, Ghadiyaram et al. 2019
FILES = Path("LIVE_Mobile_Stall_II_matfiles")
RATING_HZ = 30
N_VIEWERS = 27
LARGEST_RATING = 1000.0  # released: -286.7 to 375.1
N_TRAINED = 140  # clips of a list of LSTM-QoE; the other 33 are its validation
STALLED = 100  # in the waveforms, where other releases write 1
NO_STALL = [-1, -1]  # media time and length
CLOSING = [1000, 20]  # the entry that closes a list of stalls: not a stall
MEAN_TOLERANCE = 1e-6  # released means agree with their viewers to 3e-14
CELLS = (
    "continuousQoE_s",
    "continuousQoE_s_CIlow",
    "continuousQoE_s_CIhigh",
    "continuousQoE",
    "names",
    "stallLengths_s",
    "stallLocs_s",
    "stallWaveforms",
    "stallWaveforms_s",
)
COLUMNS = ("overallQoE", "noStalls", "vidLengths_s")

Clips = Mapping[str, Sequence[object]]  # one number or array a clip, by field


def read(folder: Path) -> list[Session]:
    """All clips in the order of the release.

    Raises:
        ValueError: a missing or damaged file or field, lists of different lengths, stalls that do
            not reproduce the released waveforms, ratings whose mean is not the released one.
    """
    names = ("vidStallData.mat", "Stall_DB_more_EXOG.mat", "contentMap.mat")
    paths = tuple(folder / FILES / name for name in names)
    variables = mat_variables(paths[0], (*CELLS, *COLUMNS))
    n_clips = series(paths[0], "overallQoE", variables["overallQoE"]).size
    clips = (
        {name: series(paths[0], name, variables[name], length=n_clips).tolist() for name in COLUMNS}
        | {name: _cells(paths[0], name, variables[name], n_clips) for name in CELLS}
        | mat_variables(paths[1], ("input_subj_ALL",))
    )
    clips["input_subj_ALL"] = _cells(paths[1], "input_subj_ALL", clips["input_subj_ALL"], n_clips)
    clips["content"] = _contents(paths[2], n_clips)
    return [_session(paths, clips, index) for index in range(n_clips)]


def drawn_training_lists(folder: Path) -> dict[str, tuple[str, ...]]:
    """Names of a drawn training list for each clip; errors as in `read`."""
    return drawn_lists([session.name for session in read(folder)], N_TRAINED)


def _session(paths: tuple[Path, ...], clips: Clips, index: int) -> Session:
    path, viewers, _ = paths
    duration_s = _numbers(path, clips, "continuousQoE", index).size / RATING_HZ
    if int(duration_s) != clips["vidLengths_s"][index]:
        raise ValueError(
            f"{path}: vidLengths_s[{index}] is {clips['vidLengths_s'][index]:g}, expected the "
            f"whole seconds of {duration_s:.3f} s (30 Hz samples); do both belong to one clip?"
        )
    stem, content = _identity(paths, clips, index)
    layout = _layout(path, clips, index)
    rated, low, high = (
        _numbers(path, clips, field, index, length=n_seconds(duration_s)) for field in CELLS[:3]
    )
    return Session(
        dataset="stall2",
        name=f"{index + 1:03d}_{stem}",
        content=content,
        pattern="+".join(f"{length:g}s_at_{media:g}s" for media, length in layout) or "no_stall",
        device="mobile",
        duration_s=duration_s,
        stalls=_wall_clock(path, clips, index, layout, duration_s),
        bitrate_kbps=None,
        quality={},
        scale=SCALE,
        rated=rated,
        rated_ci=np.stack([low, high], axis=1),
        overall=float(clips["overallQoE"][index]),
        ratings=_ratings(viewers, clips, index, rated),
        sources=paths,
    )


def _cells(path: Path, field: str, values: np.ndarray, n_cells: int | None = None) -> list[object]:
    """The contents of a cell array of one row or column, in order."""
    if values.dtype != object or not values.size or values.size != max(values.shape):
        raise ValueError(
            f"{path}: {field} has type {values.dtype} and shape {values.shape}, expected one row "
            "or column of cells; was the file re-saved?"
        )
    if n_cells is not None and values.size != n_cells:
        raise ValueError(
            f"{path}: {field} has {values.size} cells, expected {n_cells}, one a clip; "
            "is the file truncated or from another release?"
        )
    return list(values.ravel())


def _numbers(
    path: Path, clips: Clips, field: str, index: int, length: int | None = None
) -> Float[np.ndarray, " sample"]:
    """One cell as a series; messages count cells from 1, as MATLAB does."""
    return series(path, f"{field}{{{index + 1}}}", clips[field][index], length=length)


def _contents(path: Path, n_clips: int) -> list[str]:
    """The content of each clip."""
    variables = mat_variables(path, ("content_ind", "content_Vids"))
    contents = [
        text(path, f"content_Vids{{{number}}}", cell)
        for number, cell in enumerate(_cells(path, "content_Vids", variables["content_Vids"]), 1)
    ]
    numbers = series(path, "content_ind", variables["content_ind"], length=n_clips)
    wrong = np.flatnonzero(~np.isin(numbers, np.arange(1, len(contents) + 1)))
    if wrong.size:
        raise ValueError(
            f"{path}: content_ind[{wrong[0]}] is {numbers[wrong[0]]:g}, expected a whole number "
            f"from 1 to {len(contents)}; is it the index of the earlier study (1 to 32)?"
        )
    return [contents[int(number) - 1] for number in numbers]


def _identity(paths: tuple[Path, ...], clips: Clips, index: int) -> tuple[str, str]:
    """Name without suffix, and content, which must be how the name starts."""
    name = text(paths[0], f"names{{{index + 1}}}", clips["names"][index])
    content = str(clips["content"][index])
    if not re.fullmatch(r"[A-Za-z0-9_.-]+\.xgl", name) or not name.startswith(content):
        raise ValueError(
            f"{paths[0]}: names{{{index + 1}}} is {name!r}, expected letters, digits and '_.-' "
            f"that start with {content!r} (from {paths[2].name}) and end in .xgl; "
            "are the two files from one release?"
        )
    return name.removesuffix(".xgl"), content


def _layout(path: Path, clips: Clips, index: int) -> Float[np.ndarray, "stall 2"]:
    """Media time and length (s) of each listed stall, without the closing entry."""
    media_s = _numbers(path, clips, "stallLocs_s", index)
    lengths_s = _numbers(path, clips, "stallLengths_s", index, length=len(media_s))
    listed = np.stack([media_s, lengths_s], axis=1)
    none = listed.tolist() == [NO_STALL]
    if none != bool(clips["noStalls"][index]):
        raise ValueError(
            f"{path}: noStalls[{index}] is {clips['noStalls'][index]:g} but stallLocs_s is "
            f"{media_s.tolist()}, expected 1 exactly where it is [-1]; are the lists shifted?"
        )
    if none:
        return listed[:0]
    stalls = listed[:-1]
    if listed[-1].tolist() != CLOSING or (stalls[:, 0] < 0).any() or (stalls[:, 1] <= 0).any():
        raise ValueError(
            f"{path}: stallLocs_s{{{index + 1}}} is {media_s.tolist()} with lengths "
            f"{lengths_s.tolist()}, expected times from 0 with positive lengths and {CLOSING} at "
            "the end; is the list cut off?"
        )
    return stalls


def _wall_clock(
    path: Path,
    clips: Clips,
    index: int,
    layout: Float[np.ndarray, "stall 2"],
    duration_s: float,
) -> Float[np.ndarray, "stall 2"]:
    """Start and duration (s) of each stall on the clock of the viewer; they end with the file."""
    starts = layout[:, 0] + layout[:, 1].cumsum() - layout[:, 1]
    ends = starts + layout[:, 1]
    for field, hz, length in (
        ("stallWaveforms", RATING_HZ, round(duration_s * RATING_HZ)),
        ("stallWaveforms_s", 1, n_seconds(duration_s)),
    ):
        flags = _numbers(path, clips, field, index, length=length)
        middle = (np.arange(flags.size)[:, None] + 0.5) / hz
        wrong = np.flatnonzero(
            flags != STALLED * ((starts <= middle) & (middle < ends)).any(axis=1)
        )
        if wrong.size or (ends > n_seconds(duration_s)).any():
            at = f"{field}{{{index + 1}}}" + (f"[{wrong[0]}]" if wrong.size else "")
            raise ValueError(
                f"{path}: {at} contradicts stalls at {starts.tolist()} s to {ends.tolist()} s in "
                f"{duration_s:.3f} s, expected {STALLED} while stalled and 0 elsewhere; are the "
                "times wall clock instead of media time, or the flags 0 and 1?"
            )
    return np.stack([starts, np.minimum(ends, duration_s) - starts], axis=1)


def _ratings(
    path: Path, clips: Clips, index: int, rated: Float[np.ndarray, " time"]
) -> Float[np.ndarray, "viewer time"]:
    """Scores of each viewer; a row of NaN is an absent one."""
    field = f"input_subj_ALL{{{index + 1}}}"
    ratings = matrix(path, field, clips["input_subj_ALL"][index])
    if ratings.shape != (N_VIEWERS, len(rated)):
        raise ValueError(
            f"{path}: {field} has shape {ratings.shape}, expected {(N_VIEWERS, len(rated))} "
            "(viewers x seconds); does it belong to another clip?"
        )
    present = ratings[~np.isnan(ratings).all(axis=1)]
    wrong = np.argwhere(~(np.abs(present) <= LARGEST_RATING))
    if not present.size or wrong.size:
        raise ValueError(
            f"{path}: {field} has {len(present)} viewers and {len(wrong)} of their scores are not "
            f"numbers within +-{LARGEST_RATING:g}, expected whole rows of numbers or of NaN; "
            "is it damaged?"
        )
    far = np.flatnonzero(np.abs(present.mean(axis=0) - rated) > MEAN_TOLERANCE)
    if far.size:
        raise ValueError(
            f"{path}: {field} has mean {present.mean(axis=0)[far[0]]:.6g} in second {far[0]}, "
            f"expected continuousQoE_s, {rated[far[0]]:.6g}; are the two files in one order?"
        )
    return ratings
