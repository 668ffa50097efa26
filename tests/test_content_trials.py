"""Video ATLAS' random trials of whole contents: how they are read, and the folds they make."""

import numpy as np
import pytest
from scipy import io

from qoe_core import paths
from qoe_core.datasets.live_netflix import FOLDER
from qoe_core.datasets.released_lists import content_trials
from qoe_core.datasets.waterloo import FOLDER_I
from qoe_core.splits import folds

NAMES = ["a1", "a2", "b1", "b2", "c1", "c2"]
CONTENTS = [name[0] for name in NAMES]
TRIALS = np.array([[1, 0, 1], [1, 0, 1], [1, 1, 0], [1, 1, 0], [0, 1, 1], [0, 1, 1]], np.uint8)
STEM = "TrainingMatrix_tiny_3_trials"


@pytest.fixture
def read(tmp_path):
    """Write a matrix, read so many of its trials."""
    path = tmp_path / f"{STEM}.mat"

    def read(trials=TRIALS, n_trials=3):
        io.savemat(path, {STEM: trials})
        return content_trials(path, NAMES, CONTENTS, n_trials)

    read.path = path
    return read


def test_a_trial_names_the_videos_of_its_ones(read):
    assert read() == {
        "trial_0001": ("a1", "a2", "b1", "b2"),
        "trial_0002": ("b1", "b2", "c1", "c2"),
        "trial_0003": ("a1", "a2", "c1", "c2"),
    }


def test_the_first_trials_are_taken(read):
    assert list(read(n_trials=2)) == ["trial_0001", "trial_0002"]


def test_a_content_on_both_sides_is_refused(read, refuses):
    mixed = TRIALS.copy()
    mixed[2, 1] = 0
    with refuses(
        f"{read.path}: trial 2 trains on and tests ['b'], expected every content on one side; "
        "are the rows in another order?"
    ):
        read(mixed)


@pytest.mark.parametrize(("trials", "asked"), [(TRIALS[:5], 3), (TRIALS, 4), (TRIALS, 0)])
def test_another_number_of_videos_or_too_few_trials_are_refused(read, refuses, trials, asked):
    with refuses(
        f"{read.path}: has {len(trials)} rows and 3 trials, expected a row for each of 6 videos "
        f"and {asked} trials or more; is it of another data set?"
    ):
        read(trials, asked)


def test_an_entry_other_than_0_and_1_is_refused(read, refuses):
    with refuses(f"{read.path}: holds other than 0 and 1; is the file damaged?"):
        read(TRIALS * 2)


def test_a_fold_tests_what_its_trial_does_not_train_on(sessions):
    trained = [s.name for s in sessions if s.content not in ("content_1", "content_4")]
    (fold,) = folds("video-atlas", sessions, 0, {"trial_0001": trained})
    assert {s.content for s in fold.test} == {"content_1", "content_4"}
    assert sorted(s.name for s in (*fold.train, *fold.validation)) == sorted(trained)


def test_a_fold_with_a_content_on_both_sides_is_refused(sessions, refuses):
    trained = [session.name for session in sessions[1:]]
    with refuses(
        f"split video-atlas, fold trial_0001: content of test sessions ['{sessions[0].name}'] is "
        "also in training, expected every content on one side only"
    ):
        folds("video-atlas", sessions, 0, {"trial_0001": trained})


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None, reason="QOE_DATA is not set; set it to the folder of the released data sets"
)
@pytest.mark.parametrize(
    ("folder", "name", "n_contents", "n_patterns", "trained", "distinct"),
    [(FOLDER, "LIVENetflix", 14, 8, 88, 341), (FOLDER_I, "Waterloo", 20, 9, 144, 906)],
)
def test_no_released_trial_has_a_content_on_both_sides(
    folder, name, n_contents, n_patterns, trained, distinct
):
    path = paths.DATA / folder / "videoatlas" / f"TrainingMatrix_{name}_1000_trials.mat"
    contents = [str(row // n_patterns) for row in range(n_contents * n_patterns)]
    names = [str(row) for row in range(len(contents))]
    trials = content_trials(path, names, contents, 1000)
    assert {len(names) for names in trials.values()} == {trained}
    assert (len(trials), len(set(trials.values()))) == (1000, distinct)
