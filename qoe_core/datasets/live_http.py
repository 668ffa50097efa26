"""LIVE QoE database for HTTP streaming: 15 videos of 300 s, rate changes only, rated every second.

Means over viewers only; no stalls, no bitrates. Tables are seconds x videos; videos 1-5, 6-10 and
11-15 are five bitrate traces of one reference each. Every video has a pattern of its own: the n-th
videos of two references do not share a trace (their log STRRED correlates .06 on average, their
ratings .16, where ratings and log STRRED of one video correlate .72 to .85).

Two releases agree in the ratings, their intervals, PSNR and MS-SSIM, but not in STRRED (up to 142
apart), SSIM (.13) and NIQE (.09): plain metric names are LSTM-QoE's, `narx_` names are NARX-QoE's,
so a result says by its metric which release it used. NARX-QoE's VMAF is 0.0 once, in second 207 of
video 10: kept as a measurement, because STRRED has its maximum over all videos there and VMAF
cannot fall below 0. The first second, about 72 everywhere, is where the slider started.

Source: Chen et al., "Modeling the time-varying subjective quality of HTTP video streams with rate
adaptations", IEEE TIP 23(5), 2014; files from the repositories lfovia/lstm_qoe and
christosbampis/NARX_QoE_release.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from qoe_core.datasets.release import mat_variables, matrix, series
from qoe_core.datasets.released_lists import training_lists
from qoe_core.session import Session

FOLDER = "LIVE_QoE_HTTP"
SCALE = (0.0, 100.0)  # TVSQ, Chen et al. 2014
LSTM_FILE = Path("lstm_qoe", "SSCQE_result.mat")
NARX_FILE = Path("narx_qoe", "LIVE_HTTP_DB_Data.mat")
LISTS_FILE = Path("lstm_qoe", "training_videos_set.mat")
SCORES = ("TVSQ", "CI_low", "CI_high")
LSTM = {"psnr": "PSNR", "ssim": "SSIM", "msssim": "MSSSIM", "niqe": "NIQE", "strred": "STRRED"}
NARX = {"narx_ssim": "SSIM", "narx_strred": "STRRED", "narx_vmaf": "VMAF", "narx_gmsd": "GMSD"}
BOUNDS = {"VMAF": (0.0, 100.0)}  # metrics with an end of scale that the release touches
TRACES = 5  # a reference

Tables = Mapping[str, Float[np.ndarray, "time video"]]


def read(folder: Path) -> list[Session]:
    """All videos in the order of the tables' columns.

    Raises:
        ValueError: a file is missing or is the other release's, tables of different shapes, a value
            that is not a number, or ratings that differ between the releases.
    """
    released_training_lists(folder)  # tables with videos missing everywhere show only there
    paths = (folder / LSTM_FILE, folder / NARX_FILE)
    lstm, narx = _lstm_tables(paths[0]), _tables(paths[1], (*SCORES, *NARX.values()))
    for field in SCORES:
        if not np.array_equal(lstm[field], narx[field]):
            raise ValueError(
                f"{paths[1]}: {field} differs from {paths[0]}, expected the same ratings in both "
                "releases; is one of them damaged?"
            )
    return [_session(paths, lstm, narx, column) for column in range(lstm["TVSQ"].shape[1])]


def released_training_lists(folder: Path) -> dict[str, tuple[str, ...]]:
    """Names of the released training list of each video; the errors of `training_lists`."""
    n_videos = _lstm_tables(folder / LSTM_FILE)["TVSQ"].shape[1]
    return training_lists(folder / LISTS_FILE, [_name(column) for column in range(n_videos)])


def _session(paths: tuple[Path, Path], lstm: Tables, narx: Tables, column: int) -> Session:
    rated, low, high = (lstm[field][:, column] for field in SCORES)
    return Session(
        dataset="live_http",
        name=_name(column),
        content=f"reference_{column // TRACES + 1}",
        pattern=f"bitrates_of_{_name(column)}",
        device="unknown",
        duration_s=float(len(rated)),
        stalls=np.zeros((0, 2)),
        bitrate_kbps=None,
        quality={metric: lstm[field][:, column] for metric, field in LSTM.items()}
        | {metric: narx[field][:, column] for metric, field in NARX.items()},
        scale=SCALE,
        rated=rated,
        rated_ci=np.stack([low, high], axis=1),
        sources=paths,
    )


def _name(column: int) -> str:
    return f"video_{column + 1:02d}"


def _lstm_tables(path: Path) -> Tables:
    """LSTM-QoE's tables; names the trap when the file is the other one of the same name."""
    try:
        return _tables(path, (*SCORES, *LSTM.values()))
    except ValueError as error:
        raise ValueError(
            f"{error} (two different files are called {path.name}: this one must be LSTM-QoE's, "
            "with metrics; NARX-QoE's has STSQ and no metrics)"
        ) from error


def _tables(path: Path, fields: tuple[str, ...]) -> Tables:
    """The named tables, all of one shape, every number finite and inside its bounds."""
    variables = mat_variables(path, fields)
    tables = {field: matrix(path, field, variables[field]) for field in fields}
    shape = tables[fields[0]].shape
    if shape[1] % TRACES:
        raise ValueError(
            f"{path}: {fields[0]} has {shape[1]} columns, expected {TRACES} a reference; "
            "is it transposed or truncated?"
        )
    for field, table in tables.items():
        if table.shape != shape:
            raise ValueError(
                f"{path}: {field} has shape {table.shape}, expected {shape} (seconds x videos) as "
                f"{fields[0]}; is the file damaged?"
            )
        low, high = BOUNDS.get(field, (-np.inf, np.inf))
        for number, values in enumerate(table.T, start=1):
            series(path, f"{field}, video {number}, second", values, low=low, high=high)
    return tables
