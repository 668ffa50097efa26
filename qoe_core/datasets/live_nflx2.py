"""LIVE-NFLX-II: 420 sessions of 25 to 36 s from real ABR runs over real traces, rated every frame.

Means over viewers only, as z-scores: no confidence intervals and no per-subject scores. Frames are
on the wall clock, stalls included; metrics exist for the played frames only. Initial loading was
not shown. The first second of each score is flat: the slider had not moved yet. A segment is a
shot: `scene_cuts` are the played frames at which the next one begins.

1 Hz: scores are the mean of the frames in a second, bitrate, encoded height and metrics of the
played ones; the last second may be partial.

Source: Bampis et al., "Towards perceptually optimized adaptive video streaming - a realistic
quality of experience database", IEEE TIP 30, 2021 (arXiv 1808.03898).
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from qoe_core.datasets.release import (
    MAX_HEIGHT_PX,
    agree,
    mat_variables,
    scalar,
    series,
    text,
)
from qoe_core.datasets.timeline import Timeline
from qoe_core.session import Session, stalls_from_flags

FOLDER = "LIVE_NFLX_II"
SCALE = (-3.0, 3.0)  # z-scores have no declared ends: three standard deviations, scores reach 2
MAX_FPS = 240.0
METRICS = {  # released name and the ends that the metric's definition gives it
    "vmaf": ("VMAF", 0.0, 100.0),
    "psnr": ("PSNR", 0.0, np.inf),
    "ssim": ("SSIM", -1.0, 1.0),
    "msssim": ("MSSIM", -1.0, 1.0),
    "strred": ("STRRED", 0.0, np.inf),
}
FIELDS = (
    *("content_name", "adaptation_algorithm", "frame_rate", "is_rebuffered_bool"),
    *("playout_bitrate", "continuous_zscored_mos", "retrospective_zscored_mos"),
    *("N_total_frames", "N_playback_frames", "N_rebuffer_frames", "rebuffer_number"),
    *("video_duration_sec", "playback_duration_sec", "rebuffer_duration_sec"),
    *("scene_cuts", "per_segment_encoding_height"),
    *(field for field, _, _ in METRICS.values()),
)


def read(folder: Path) -> list[Session]:
    """All sessions, by content, algorithm and trace number; any number of contents.

    Raises:
        ValueError: no sessions, or a file that `read_session` refuses.
    """
    files = folder / "matFiles"
    paths = sorted(files.glob("*.mat"), key=_identity)
    if not paths:
        raise ValueError(
            f"{files}: holds no .mat file, expected <content>_<algorithm>_Trace_<number>.mat; "
            "is this the data set's own folder?"
        )
    return [read_session(path) for path in paths]


def read_session(path: Path) -> Session:
    """One `<content>_<algorithm>_Trace_<number>.mat`; the viewing device is not in the release.

    Raises:
        ValueError: a damaged or missing field, or one that contradicts the file name or the stall
            flags.
    """
    content, algorithm, trace = _identity(path)
    variables = mat_variables(path, FIELDS)
    for field, expected in (("content_name", content), ("adaptation_algorithm", algorithm)):
        found = text(path, field, variables[field])
        if found != expected:
            raise ValueError(
                f"{path}: {field} is {found!r}, expected {expected!r} from the file name; "
                "was the file renamed?"
            )
    hz = scalar(path, "frame_rate", variables["frame_rate"], low=1.0, high=MAX_FPS)
    played, bitrate_kbps = _played(path, variables, hz)
    stalls = stalls_from_flags((~played).astype(float), hz)
    shown = Timeline(np.full(played.sum(), 1 / hz), stalls)
    wall = Timeline(np.full(len(played), 1 / hz), np.zeros((0, 2)))
    scores = series(
        path, "continuous_zscored_mos", variables["continuous_zscored_mos"], length=len(played)
    )
    return Session(
        dataset="live_nflx2",
        name=path.stem,
        content=content,
        pattern=f"{algorithm}/trace_{trace}",
        device="",
        duration_s=len(played) / hz,
        stalls=stalls,
        bitrate_kbps=shown.mean(bitrate_kbps[played]),
        quality={
            metric: shown.held(
                series(path, field, variables[field], length=len(shown.chunk_s), low=low, high=high)
            )
            for metric, (field, low, high) in METRICS.items()
        },
        height_px=shown.held(_height_px(path, variables, bitrate_kbps[played])),
        scale=SCALE,
        rated=wall.mean(scores),
        overall=scalar(path, "retrospective_zscored_mos", variables["retrospective_zscored_mos"]),
        sources=(path,),
    )


def _identity(path: Path) -> tuple[str, str, int]:
    """Content, algorithm and trace number of a file name; sorts naturally."""
    found = re.fullmatch(r"([A-Za-z0-9]+)_([A-Za-z0-9]+)_Trace_([0-9]{1,4})", path.stem)
    if not found:
        raise ValueError(
            f"{path}: expected a name like AirShow_HuangBufferBasedAdaptor_Trace_0.mat; "
            "was the file renamed?"
        )
    return found[1], found[2], int(found[3])


def _played(
    path: Path, variables: Mapping[str, np.ndarray], hz: float
) -> tuple[np.ndarray, Float[np.ndarray, " frame"]]:
    """Which frames are played, and the bitrate of each; refuses flags that anything contradicts."""
    flags = series(path, "is_rebuffered_bool", variables["is_rebuffered_bool"], low=0.0, high=1.0)
    n_frames, n_stalled = len(flags), int(np.count_nonzero(flags))
    if not set(flags) <= {0.0, 1.0} or n_stalled == n_frames:
        raise ValueError(
            f"{path}: is_rebuffered_bool holds {sorted(set(flags))[:4]}, expected 0 and 1 with a "
            "played frame (0); is it a fraction, or inverted?"
        )
    derived = {
        "N_total_frames": n_frames,
        "N_playback_frames": n_frames - n_stalled,
        "N_rebuffer_frames": n_stalled,
        "rebuffer_number": len(stalls_from_flags(flags, hz)),
        "video_duration_sec": n_frames / hz,
        "playback_duration_sec": (n_frames - n_stalled) / hz,
        "rebuffer_duration_sec": n_stalled / hz,
    }
    agree(path, variables, derived, source="is_rebuffered_bool and frame_rate")
    bitrate_kbps = series(
        path, "playout_bitrate", variables["playout_bitrate"], length=n_frames, low=0.0
    )
    wrong = np.flatnonzero((bitrate_kbps == 0) != (flags == 1))
    if wrong.size:
        raise ValueError(
            f"{path}: playout_bitrate[{wrong[0]}] is {bitrate_kbps[wrong[0]]:g} where "
            f"is_rebuffered_bool is {flags[wrong[0]]:g}, expected 0 exactly while stalled; "
            "do the two belong to different videos?"
        )
    return flags == 0, bitrate_kbps


def _height_px(
    path: Path, variables: Mapping[str, np.ndarray], bitrate_kbps: Float[np.ndarray, " played"]
) -> Float[np.ndarray, " played"]:
    """Encoded height of each played frame; refuses segments that the bitrate contradicts."""
    field = "per_segment_encoding_height"
    heights = series(path, field, variables[field], low=1.0, high=MAX_HEIGHT_PX)
    cuts = np.zeros(0)
    if len(heights) > 1:
        cuts = series(path, "scene_cuts", variables["scene_cuts"], length=len(heights) - 1)
    ends = [0, *cuts, len(bitrate_kbps)]
    changes = np.flatnonzero(np.diff(bitrate_kbps)) + 1
    if (np.diff(ends) <= 0).any() or not set(changes) <= set(cuts):
        raise ValueError(
            f"{path}: scene_cuts are {cuts.tolist()}, expected played frames in order, from 1 to "
            f"{len(bitrate_kbps) - 1}, at all of which {changes.tolist()} playout_bitrate changes; "
            "do they count stalled frames, or from 1?"
        )
    return heights[np.searchsorted(cuts, np.arange(len(bitrate_kbps)), side="right")]
