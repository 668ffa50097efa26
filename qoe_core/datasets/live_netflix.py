"""LIVE-Netflix: 14 contents x 8 playout patterns on a phone, 59 to 88 s, rated every frame.

Means over viewers only, as z-scores. Frames are on the wall clock, stalls included; metrics exist
for the played frames only. Scores come from the public release, stalls and low-rate frames from its
list of impairments (frames counted from 1) after checking both against each other.

1 Hz: scores are the mean of the frames in a second, bitrate and metrics of the played ones; the
last second may be partial. ST-RRED was computed on every second frame. The first 5 to 8 s of every
score are the slider leaving its start.

Confidence: LSTM-QoE's files hold bounds per second, but around the score of the second's last
frame, up to 0.6 away from the mean of the second. `rated_ci` keeps their width and moves it to
the mean: rated +- half of (high - low) at the last frame. Where the bounds are known for every
frame (contents 1 and 4), half-widths inside one second differ from it by .003 on average, .06 at
most. Twelve files were never released: `rated_ci` is None there.

Bitrate: no file states it for all videos, and LSTM-QoE's `bitrate_levels_avg1sec` (500 kbit/s = 1)
has the two levels of pattern 6 swapped (frame by frame, VMAF of its normal frames is that of the
250 kbit/s in pattern 1, of its low ones below). Apart from that, every played second of its files
has the level of its pattern and rate class in `RATES_KBPS`, whatever the content; so rates are that
table applied to the frames in the list of impairments.

Source: Bampis et al., "Study of temporal effects on subjective video quality of experience", IEEE
TIP 26(11), 2017; LSTM-QoE: Eswara et al., arXiv 1807.07126.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from qoe_core.datasets.release import agree, mat_variables, scalar, series, text
from qoe_core.datasets.released_lists import content_trials, training_lists
from qoe_core.datasets.timeline import Timeline
from qoe_core.session import Session, stalls_from_flags

FOLDER = "LIVE_Netflix"
SCALE = (-2.6, 1.9)  # z-scores have no declared ends: LSTM-QoE scales with these (its run.py)
MAX_FPS = 240.0
LSTM_QOE, PUBLIC = Path("lstm_qoe"), Path("public_release")
TRIALS = Path("videoatlas", "TrainingMatrix_LIVENetflix_1000_trials.mat")
IMPAIRMENTS = "LIVE_NFLX_Network_Impairments"
NAMES = tuple(f"content_{content}_seq_{seq}" for content in range(1, 15) for seq in range(8))
CI = ("continuous_subj_score_CIlow_avg1sec", "continuous_subj_score_CIhigh_avg1sec")
WITHOUT_CI = frozenset(
    [(10, f"seq_{pattern}") for pattern in (0, 1, 2, 3, 5, 6, 7)]
    + [(11, f"seq_{pattern}") for pattern in (0, 1, 3, 4, 5)]
)
RATES_KBPS = {  # normal and low rate of each pattern, NaN where it never occurs
    "seq_0": (500.0, np.nan),
    "seq_1": (250.0, np.nan),
    "seq_2": (np.nan, 160.0),
    "seq_3": (np.nan, 195.0),
    "seq_4": (250.0, 66.0),
    "seq_5": (250.0, np.nan),
    "seq_6": (250.0, 160.0),
    "seq_7": (250.0, 100.0),
}
METRICS = {  # released name and the ends that the metric's definition gives it
    "vmaf": ("VMAF_vec", 0.0, 100.0),
    "psnr": ("PSNR_vec", 0.0, np.inf),
    "psnrhvs": ("PSNRhvs_oss_vec", 0.0, np.inf),
    "ssim": ("SSIM_vec", -1.0, 1.0),
    "msssim": ("MSSIM_vec", -1.0, 1.0),  # spelt MSSSIM in other files only
    "strred": ("STRRED_vec", 0.0, np.inf),
    "gmsd": ("GMSD_vec", 0.0, np.inf),
    "niqe": ("NIQE_vec", 0.0, np.inf),
}
FIELDS = (
    *("Nframes", "vid_fps", "ns", "ds", "lt", "continuous_subj_score", "final_subj_score"),
    *(field for field, _, _ in METRICS.values()),
)


def read(folder: Path) -> list[Session]:
    """All sessions, by content and pattern number.

    Raises:
        ValueError: no sessions, or a file that `read_session` refuses.
    """
    files = folder / PUBLIC / "VideoData"
    paths = sorted(files.glob("*.mat"), key=_identity)
    if not paths:
        raise ValueError(
            f"{files}: holds no .mat file, expected content_<1 to 14>_seq_<0 to 7>.mat; "
            "is this the data set's own folder?"
        )
    impairments = folder / PUBLIC / f"{IMPAIRMENTS}.mat"
    return [
        read_session(path, impairments, folder / LSTM_QOE / "LIVE_Netflix_matfiles" / path.name)
        for path in paths
    ]


def released_training_lists(folder: Path) -> dict[str, tuple[str, ...]]:
    """Names of the 91 videos that LSTM-QoE trained on, by the name of the test video.

    Row and index i (from 1) are pattern (i - 1) % 8 of content (i - 1) // 8 + 1, as in the scripts
    beside the lists: every row holds exactly the videos that share neither content nor pattern, and
    the list of impairments has the same order. Errors as in `training_lists`.
    """
    return training_lists(folder / LSTM_QOE / "training_videos_set.mat", NAMES)


def released_content_trials(folder: Path, n_trials: int) -> dict[str, tuple[str, ...]]:
    """Names of the 88 videos of 11 contents trained on in the first trials of Video ATLAS.

    Its VideoATLAS.py sorts by content, then pattern, both by number. Errors as `content_trials`.
    """
    contents = [name.partition("_seq_")[0] for name in NAMES]
    return content_trials(folder / TRIALS, NAMES, contents, n_trials)


def read_session(path: Path, impairments: Path, bounds: Path) -> Session:
    """One `content_<c>_seq_<s>.mat`, with the list of impairments and LSTM-QoE's file of that name.

    Raises:
        ValueError: a damaged or missing field, files that contradict each other, or no `bounds`
            although they were released.
    """
    content, pattern = _identity(path)
    variables = mat_variables(path, FIELDS)
    hz = scalar(path, "vid_fps", variables["vid_fps"], low=1.0, high=MAX_FPS)
    scores = series(path, "continuous_subj_score", variables["continuous_subj_score"])
    low, stalled = _impaired(impairments, path.stem, len(scores))
    stalls = stalls_from_flags(stalled.astype(float), hz)
    derived = {"Nframes": len(scores), "ns": len(stalls)}
    derived |= {"ds": stalled.sum() / hz, "lt": low.sum() / hz}  # seconds
    agree(path, variables, derived, source=f"{impairments} and the number of scores")
    shown = Timeline(np.full((~stalled).sum(), 1 / hz), stalls)
    rated = Timeline(np.full(len(scores), 1 / hz), np.zeros((0, 2))).mean(scores)
    has_bounds = bounds.is_file() or (content, pattern) not in WITHOUT_CI
    return Session(
        dataset="live_netflix",
        name=path.stem,
        content=f"content_{content:02d}",
        pattern=pattern,
        device="mobile",
        duration_s=len(scores) / hz,
        stalls=stalls,
        bitrate_kbps=shown.mean(_rates_kbps(path, pattern, low[~stalled])),
        quality=_quality(path, variables, shown),
        scale=SCALE,
        rated=rated,
        rated_ci=_rated_ci(bounds, rated, scores, hz) if has_bounds else None,
        overall=scalar(path, "final_subj_score", variables["final_subj_score"]),
        sources=(path, impairments, bounds) if has_bounds else (path, impairments),
    )


def _identity(path: Path) -> tuple[int, str]:
    """Content number and pattern of a file name; sorts naturally."""
    found = re.fullmatch(r"content_([1-9]|1[0-4])_(seq_[0-7])", path.stem)
    if not found:
        raise ValueError(
            f"{path}: expected content_<1 to 14>_seq_<0 to 7>.mat; was the file renamed?"
        )
    return int(found[1]), found[2]


def _impaired(
    path: Path, name: str, n_frames: int
) -> tuple[Bool[np.ndarray, " frame"], Bool[np.ndarray, " frame"]]:
    """Which frames of the video `name` are shown at the low rate, and which are stalled."""
    table = np.asarray(mat_variables(path, (IMPAIRMENTS,))[IMPAIRMENTS])
    if table.dtype != object or table.ndim != 2 or table.shape[1] != 3:
        raise ValueError(
            f"{path}: {IMPAIRMENTS} has type {table.dtype} and shape {table.shape}, expected cells "
            "in 3 columns (name, low-rate frames, stalled frames); was the file re-saved?"
        )
    rows = [
        row
        for number, row in enumerate(table)
        if text(path, f"{IMPAIRMENTS}, row {number + 1}, name", row[0]) == f"{name}.yuv"
    ]
    if len(rows) != 1:
        raise ValueError(
            f"{path}: {len(rows)} rows are called {name}.yuv, expected 1; was a row lost?"
        )
    low, stalled = (
        _flags(path, f"{kind} frames of {name}", cell, n_frames)
        for kind, cell in zip(("low-rate", "stalled"), rows[0][1:], strict=True)
    )
    if (low & stalled).any():
        raise ValueError(
            f"{path}: frame {np.flatnonzero(low & stalled)[0] + 1} of {name} is both low-rate and "
            "stalled, expected one of them; is the file damaged?"
        )
    return low, stalled


def _flags(path: Path, field: str, cell: object, n_frames: int) -> Bool[np.ndarray, " frame"]:
    """True at the listed frames, which count from 1; an empty cell lists none."""
    flags = np.zeros(n_frames, dtype=bool)
    if np.size(cell) == 0:
        return flags
    frames = series(path, field, cell, low=1.0, high=float(n_frames))
    if (frames % 1 != 0).any() or (np.diff(frames) <= 0).any():
        raise ValueError(
            f"{path}: {field} are not whole numbers in rising order, expected frame numbers "
            "from 1; is the file damaged?"
        )
    flags[frames.astype(int) - 1] = True
    return flags


def _rates_kbps(
    path: Path, pattern: str, low: Bool[np.ndarray, " played"]
) -> Float[np.ndarray, " played"]:
    """Bitrate of each played frame: the pattern's normal or low rate."""
    rates = np.where(low, *reversed(RATES_KBPS[pattern]))
    if np.isnan(rates).any():
        kind = "low-rate" if low[np.isnan(rates)][0] else "normal"
        raise ValueError(
            f"{path}: has {np.isnan(rates).sum()} {kind} frames, expected none in pattern "
            f"{pattern}; do the impairments belong to another video?"
        )
    return rates


def _quality(
    path: Path, variables: Mapping[str, np.ndarray], shown: Timeline
) -> dict[str, Float[np.ndarray, " time"]]:
    return {
        metric: shown.held(
            series(path, field, variables[field], length=len(shown.chunk_s), low=low, high=high)
        )
        for metric, (field, low, high) in METRICS.items()
    }


def _rated_ci(
    path: Path, rated: Float[np.ndarray, " time"], scores: Float[np.ndarray, " frame"], hz: float
) -> Float[np.ndarray, "time 2"]:
    """Bounds around `rated` with the width that the last frame of each second has."""
    variables = mat_variables(path, CI)
    low, high = (series(path, field, variables[field], length=len(rated)) for field in CI)
    ends = np.minimum((np.arange(len(rated)) + 1) * hz, len(scores)).astype(int)
    wrong = np.flatnonzero(np.abs((low + high) / 2 - scores[ends - 1]) > 1e-6)
    if wrong.size:
        raise ValueError(
            f"{path}: {CI[0]} and {CI[1]}, second {wrong[0]}: their middle is not the score of its "
            f"last frame, expected {scores[ends[wrong[0]] - 1]:.6f}; is it another video?"
        )
    half = (high - low) / 2
    return np.stack([rated - half, rated + half], axis=1)
