import numpy as np
import pytest
from scipy import io

from qoe_core.datasets import live_netflix
from tests.datasets.live_netflix_files import released_lists, write_lists


def test_training_lists_hold_91_videos_of_other_content_and_pattern(tmp_path):
    write_lists(tmp_path, released_lists())
    lists = live_netflix.released_training_lists(tmp_path)
    assert list(lists)[:9] == [f"content_1_seq_{n}" for n in range(8)] + ["content_2_seq_0"]
    assert {len(trained) for trained in lists.values()} == {91}
    assert lists["content_1_seq_0"][:2] == ("content_2_seq_1", "content_2_seq_2")


@pytest.mark.parametrize("other", [1, 9])
def test_training_lists_with_exchanged_rows_are_refused(tmp_path, other):
    lists = released_lists()
    for rows in lists.values():
        rows[[0, other]] = rows[[other, 0]]
    write_lists(tmp_path, lists)
    with pytest.raises(ValueError, match="row 1 "):
        live_netflix.released_training_lists(tmp_path)


def test_shortened_training_lists_are_refused(tmp_path):
    lists = released_lists()
    lists["training_videos_set"] = lists["training_videos_set"][:, :90]
    write_lists(tmp_path, lists)
    with pytest.raises(ValueError, match="hold 90 and 20 videos"):
        live_netflix.released_training_lists(tmp_path)


def write_trials(folder, held):
    """A matrix in which each trial tests the contents of those numbers."""
    trained = np.ones((14, 8, len(held)), np.uint8)
    for trial, contents in enumerate(held):
        trained[np.array(contents) - 1, :, trial] = 0
    path = folder / live_netflix.TRIALS
    path.parent.mkdir()
    io.savemat(path, {path.stem: trained.reshape(112, len(held))})
    return path


def test_trials_leave_out_whole_contents_in_the_order_of_their_numbers(tmp_path):
    write_trials(tmp_path, [(2, 10, 14), (1, 3, 4)])
    trials = live_netflix.released_content_trials(tmp_path, 2)
    assert list(trials) == ["trial_0001", "trial_0002"]
    tested = set(live_netflix.NAMES) - set(trials["trial_0001"])
    assert tested == {f"content_{c}_seq_{pattern}" for c in (2, 10, 14) for pattern in range(8)}


def test_trials_with_the_rows_of_another_order_are_refused(tmp_path, refuses):
    path = write_trials(tmp_path, [(2, 10, 14)])
    trained = io.loadmat(path)[path.stem]
    io.savemat(path, {path.stem: np.roll(trained, 1)})
    with refuses(
        f"{path}: trial 1 trains on and tests ['content_1', 'content_10', 'content_11', "
        "'content_14', 'content_2', 'content_3'], expected every content on one side; are the rows "
        "in another order?"
    ):
        live_netflix.released_content_trials(tmp_path, 1)
