import numpy as np
import pytest
from scipy import io

from qoe_core.datasets.released_lists import training_lists

NAMES = ["a", "b", "c"]
TRAIN = np.array([[3], [1], [2]], np.uint8)
LEFT_OUT = np.array([[2], [3], [1]], np.uint8)


def lists(tmp_path, train=TRAIN, left_out=LEFT_OUT):
    path = tmp_path / "training_videos_set.mat"
    io.savemat(path, {"training_videos_set": train, "validation_videos_set": left_out})
    return training_lists(path, NAMES)


def test_indices_count_from_one(tmp_path):
    assert lists(tmp_path) == {"a": ("c",), "b": ("a",), "c": ("b",)}


def test_released_order_is_kept(tmp_path):
    path = tmp_path / "training_videos_set.mat"
    train, left_out = [[3, 2], [3, 1], [2, 1], [3, 1]], [[4], [4], [4], [2]]
    io.savemat(path, {"training_videos_set": train, "validation_videos_set": left_out})
    assert training_lists(path, [*NAMES, "d"])["a"] == ("c", "b")


@pytest.mark.parametrize(
    ("train", "left_out", "message"),
    [
        (np.array([[0], [1], [2]]), LEFT_OUT, "holds 0, expected whole numbers from 1 to 3"),
        (TRAIN + 0.5, LEFT_OUT, "holds 3.5, expected whole numbers"),
        (np.array([[2, 2], [1, 3], [1, 2]]), LEFT_OUT, "row 1 .a. .* a video twice"),
        (np.array([[3], [2], [1]]), LEFT_OUT, "row 2 .b. .* its own test video"),
        (TRAIN, np.array([[3], [3], [1]]), "expected all other 2 between them"),
        (TRAIN[:2], LEFT_OUT, "2 rows of training_videos_set and 3 of .* for 3 videos"),
        (TRAIN, LEFT_OUT[:2], "3 rows of training_videos_set and 2 of"),
    ],
)
def test_an_impossible_list_is_refused(tmp_path, train, left_out, message):
    with pytest.raises(ValueError, match=message):
        lists(tmp_path, train, left_out)
