"""The training lists that LSTM-QoE released: for each test video, which videos it was trained on.

`training_videos_set.mat` holds one row a test video, 1-based. The `validation_videos_set` beside it
is every other video, left out of training for being close to the test video: whoever stops early
on it has looked at the test. It is read only to check that no list lost a video.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from qoe_core.datasets.release import mat_variables, matrix

TRAINING, VALIDATION = "training_videos_set", "validation_videos_set"


def training_lists(path: Path, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Training names by test name, in the released order; `names` in the order of the rows.

    Raises:
        ValueError: a row too many or too few, an index that is no video, a video twice in a list,
            a test video in its own list, or a video that neither list has.

    Source: Eswara et al., arXiv 1807.07126, and its repository lfovia/lstm_qoe.
    """
    variables = mat_variables(path, (TRAINING, VALIDATION))
    train, left_out = (matrix(path, field, variables[field]) for field in (TRAINING, VALIDATION))
    if not len(train) == len(left_out) == len(names):
        raise ValueError(
            f"{path}: {len(train)} rows of {TRAINING} and {len(left_out)} of {VALIDATION} for "
            f"{len(names)} videos, expected one row each a video; is the copy complete?"
        )
    for test in range(len(names)):
        _check_row(f"{path}: row {test + 1} ({names[test]})", test + 1, train, left_out)
    return {
        name: tuple(names[int(number) - 1] for number in row)
        for name, row in zip(names, train, strict=True)
    }


def _check_row(
    where: str,
    test: int,
    train: Float[np.ndarray, "video trained"],
    left_out: Float[np.ndarray, "video excluded"],
) -> None:
    row, rest, n_videos = train[test - 1], left_out[test - 1], len(train)
    wrong = row[~np.isin(row, np.arange(1, n_videos + 1))]
    if wrong.size:
        raise ValueError(
            f"{where} of {TRAINING} holds {wrong[0]:g}, expected whole numbers from 1 to "
            f"{n_videos}; do the indices start at 0?"
        )
    if len(set(row)) != len(row):
        raise ValueError(f"{where} of {TRAINING} holds a video twice; is it damaged?")
    if test in row:
        raise ValueError(
            f"{where} of {TRAINING} holds its own test video; are the rows in another order?"
        )
    if sorted([*row, *rest, test]) != list(range(1, n_videos + 1)):
        raise ValueError(
            f"{where}: {TRAINING} and {VALIDATION} hold {len(row)} and {len(rest)} videos, "
            f"expected all other {n_videos - 1} between them; is one cut off?"
        )
