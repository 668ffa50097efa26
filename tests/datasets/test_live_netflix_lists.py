import pytest

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
