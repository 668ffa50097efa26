"""LFOVIA QoE Database: 36 streams of 120 s with rate changes and stalls, rated every second.

Means over viewers only. One file a video; seconds are wall clock, stalls included (121 to 210 s).
`TSL` is a fraction of the session here, not seconds: it is not read.

Content. The release names no references. Videos 2k-1 and 2k are the same one, and no other two are:
each pair has bit-equal metrics in 26 to 111 of the 120 played seconds (where the same encoded
segment was shown) in all five metrics, and none of the 612 other pairs is equal in a single second.
This is as certain as an inference gets; which programme a reference is stays unknown.

Pattern. The stalls are a 6 x 6 design: `rebuf_duration` x `rebuf_frequency`, each of the 36 cells
once. Released training lists leave out the videos that share either of the two with the test
video; they keep the other video of the same reference.

Metrics are raw. STRRED reaches 13000 in videos 9 and 10 (scene cuts): take its logarithm. PSNR
reaches 500 there (identical frames).

Source: Eswara et al., "A continuous QoE evaluation framework for video streaming over HTTP", IEEE
TCSVT 28(11), 2018; files from the repository lfovia/lstm_qoe.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from qoe_core.datasets.release import mat_variables, scalar, series
from qoe_core.datasets.released_lists import training_lists
from qoe_core.session import Session, hold_through_stalls, stalls_from_flags

FOLDER = "LFOVIA_QoE"
SCALE = (0.0, 100.0)  # continuous scores, Eswara et al. 2018
PLAYED_S = 120.0
METRICS = {"niqe": "NIQE", "psnr": "PSNR", "ssim": "SSIM", "msssim": "MSSSIM", "strred": "STRRED"}
SCORES = ("score_continuous", "score_continuous_CIlow", "score_continuous_CIhigh")
DESIGN = ("rebuf_duration", "rebuf_frequency")  # s an event, events a minute of playback
EXTENDED = tuple(f"{field}_ext" for field in METRICS.values())


def read(folder: Path) -> list[Session]:
    """All videos, in the order of their numbers.

    Raises:
        ValueError: no videos, a number missing, more or fewer videos than released training lists,
            or a file that `read_session` refuses.
    """
    released_training_lists(folder)  # a last video that is missing shows only there
    return [read_session(path) for path in _paths(folder)]


def released_training_lists(folder: Path) -> dict[str, tuple[str, ...]]:
    """Names of the released training list of each video; the errors of `training_lists`."""
    names = [_name(_number(path)) for path in _paths(folder)]
    return training_lists(folder / "training_videos_set.mat", names)


def read_session(path: Path) -> Session:
    """One `video_<number>.mat`; quality is NaN before the first shown second (initial loading).

    Raises:
        ValueError: a damaged or missing field, stall flags that contradict the design, or metrics
            that do not stretch to their `_ext` version.
    """
    number = _number(path)
    variables = mat_variables(path, (*METRICS.values(), *EXTENDED, *SCORES, *DESIGN, "Nrebuffers"))
    duration, frequency = (
        scalar(path, field, variables[field], low=0.1, high=PLAYED_S) for field in DESIGN
    )
    flags = _stall_flags(path, variables, duration, frequency)
    rated, low, high = (
        series(path, field, variables[field], length=len(flags)) for field in SCORES
    )
    return Session(
        dataset="lfovia",
        name=_name(number),
        content=f"reference_{(number + 1) // 2:02d}",
        pattern=f"{duration:g}s/{frequency:g}permin",
        device="unknown",
        duration_s=float(len(flags)),
        stalls=stalls_from_flags(flags, hz=1.0),
        bitrate_kbps=None,
        quality={metric: _held(path, field, variables, flags) for metric, field in METRICS.items()},
        scale=SCALE,
        rated=rated,
        rated_ci=np.stack([low, high], axis=1),
        sources=(path,),
    )


def _paths(folder: Path) -> list[Path]:
    files = folder / "QoE_matfiles"
    paths = sorted(files.glob("video_*.mat"), key=_number)
    numbers = [_number(path) for path in paths]
    if not paths or numbers != list(range(1, len(paths) + 1)):
        raise ValueError(
            f"{files}: holds videos {numbers}, expected video_1.mat, video_2.mat and so on without "
            "a gap; is the copy complete, and is this the data set's own folder?"
        )
    return paths


def _number(path: Path) -> int:
    found = re.fullmatch(r"video_([0-9]{1,4})", path.stem)
    if not found:
        raise ValueError(f"{path}: expected a name like video_7.mat; was the file renamed?")
    return int(found[1])


def _name(number: int) -> str:
    return f"video_{number:02d}"


def _stall_flags(
    path: Path, variables: Mapping[str, np.ndarray], duration: float, frequency: float
) -> Float[np.ndarray, " time"]:
    """1 in each stalled second; a run is one event, or several that touch."""
    flags = series(path, "Nrebuffers", variables["Nrebuffers"], low=0.0, high=1.0)
    lengths = stalls_from_flags(flags, hz=1.0)[:, 1]
    expected = frequency * PLAYED_S / 60 * duration
    if (
        not np.isin(flags, (0, 1)).all()
        or flags.sum() != expected
        or len(flags) - flags.sum() != PLAYED_S
        or (lengths % duration).any()
    ):
        raise ValueError(
            f"{path}: Nrebuffers flags {flags.sum():g} of {len(flags)} seconds in runs of "
            f"{lengths.tolist()} s, expected {expected:g} beside {PLAYED_S:g} played seconds in "
            f"multiples of {duration:g} s (rebuf_duration {duration:g} s, rebuf_frequency "
            f"{frequency:g} a minute); do the fields belong to one video?"
        )
    return flags


def _held(
    path: Path,
    field: str,
    variables: Mapping[str, np.ndarray],
    flags: Float[np.ndarray, " time"],
) -> Float[np.ndarray, " time"]:
    """A metric of the played seconds at wall-clock seconds, held while stalled."""
    played = series(path, field, variables[field], length=int(PLAYED_S))
    released = series(path, f"{field}_ext", variables[f"{field}_ext"], length=len(flags))
    placed = np.zeros(len(flags))
    placed[flags == 0] = played
    held = hold_through_stalls(placed, flags)
    # the release repeats the first played value during initial loading, when nothing is shown
    wrong = np.flatnonzero(released != np.where(np.isnan(held), played[0], held))
    if wrong.size:
        raise ValueError(
            f"{path}: {field}_ext[{wrong[0]}] is {released[wrong[0]]:g}, expected {field} held "
            f"through the stalls, {held[wrong[0]]:g}; do the stall flags belong to this video?"
        )
    return held
