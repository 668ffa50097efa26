"""The training lists that peers released: which videos a model was trained on.

LSTM-QoE has one list for each test video: `training_videos_set.mat` holds one row a test video,
1-based. The `validation_videos_set` beside it is every other video, left out of training for being
close to the test video: whoever stops early on it has looked at the test. It is read only to check
that no list lost a video. Video ATLAS has 1000 trials of whole contents: a column of its matrix is
1 where a video is trained on and 0 where it is tested. Both number the videos content by content.
"""

import itertools
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


def drawn_lists(names: Sequence[str], n_trained: int) -> dict[str, tuple[str, ...]]:
    """A random training list for each test name, out of all others; the same at each call.

    LSTM-QoE draws those of LIVE Mobile Stall Video Database-II, from a generator that also made its
    network's first weights, so its own draws are lost.
    """
    draws = np.random.default_rng(0)
    others = {test: [name for name in names if name != test] for test in names}
    return {t: tuple(draws.permutation(o)[:n_trained].tolist()) for t, o in others.items()}


def content_trials(
    path: Path, names: Sequence[str], contents: Sequence[str], n_trials: int
) -> dict[str, tuple[str, ...]]:
    """Training names of the first trials of Video ATLAS, by trial: "trial_0001" and on.

    Args:
        path: a `TrainingMatrix_<data set>_1000_trials.mat`.
        names: of the videos, in the order of the rows.
        contents: what each of them shows.
        n_trials: how many are wanted, from the first on. Trials repeat each other: LIVE-Netflix
            has 364 ways to leave out 3 of 14 contents, and 341 of them among the 1000.

    Raises:
        ValueError: not one row a video, fewer trials than asked for, an entry other than 0 and 1,
            or a content that is trained on and tested in one trial.

    Source: Bampis and Bovik, arXiv 1703.00633, and its repository VideoATLAS_release.
    """
    trained = matrix(path, path.stem, mat_variables(path, (path.stem,))[path.stem])
    if len(trained) != len(names) or not 1 <= n_trials <= trained.shape[1]:
        raise ValueError(
            f"{path}: has {len(trained)} rows and {trained.shape[1]} trials, expected a row for "
            f"each of {len(names)} videos and {n_trials} trials or more; is it of another data set?"
        )
    if not np.isin(trained, (0, 1)).all():
        raise ValueError(f"{path}: holds other than 0 and 1; is the file damaged?")
    trials = {}
    for number, column in enumerate(trained[:, :n_trials].T.astype(bool), start=1):
        sides = set(zip(contents, column.tolist(), strict=True))
        both = {content for content, is_trained in sides if (content, not is_trained) in sides}
        if both:
            raise ValueError(
                f"{path}: trial {number} trains on and tests {sorted(both)}, expected every "
                "content on one side; are the rows in another order?"
            )
        trials[f"trial_{number:04d}"] = tuple(itertools.compress(names, column))
    return trials
