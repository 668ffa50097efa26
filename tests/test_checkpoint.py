"""Checkpoints come back bit for bit, and what is not one is refused without running it."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from qoe_core import checkpoint
from qoe_core.checkpoint import Progress
from qoe_core.stack import AdamW

RUN = {"n_epochs": 3, "seed": 0}


class Marker:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def trained():
    """Weights of two networks, their optimiser and their progress; one stopped after two epochs."""
    weights = torch.rand(2, 5)
    optimizer, progress = AdamW(weights, 0.1), Progress.start(weights)
    for losses in ((0.5, 0.5), (0.25, 0.75), (0.75, None)):
        active = torch.tensor([loss is not None for loss in losses])
        optimizer.step(torch.randn(2, 5), torch.full((2,), 0.1), active)
        for run, loss in enumerate(losses):
            if loss is not None:
                progress.add(run, {"validation/loss": loss}, weights[run])
    return weights, optimizer, progress


@pytest.fixture
def stored(trained, tmp_path):
    weights, optimizer, progress = trained
    checkpoint.store(tmp_path / "run.safetensors", weights, optimizer, RUN, progress)
    return tmp_path / "run.safetensors"


@pytest.fixture
def untrained():
    weights = torch.zeros(2, 5)
    return weights, AdamW(weights, 0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_a_tensor_comes_back_bit_for_bit(tmp_path, dtype):
    tensor = (torch.randn(3, 4) * 3).to(dtype)
    checkpoint.save(tmp_path / "a", {"x": tensor.T}, {})
    loaded = checkpoint.load(tmp_path / "a")[0]["x"]
    assert (loaded.dtype, loaded.equal(tensor.T)) == (dtype, True)


def test_the_state_comes_back_with_every_digit(tmp_path):
    state = {"third": 1 / 3, "tiny": 5e-324, "rows": [{"epoch": 0}, {}], "name": "ü", "none": None}
    checkpoint.save(tmp_path / "a", {"x": torch.zeros(1)}, state)
    assert checkpoint.load(tmp_path / "a")[1] == state


def test_a_save_that_fails_leaves_the_file_before(tmp_path):
    checkpoint.save(tmp_path / "a", {"x": torch.ones(2)}, {"epoch": 1})
    with pytest.raises(TypeError, match="not JSON serializable"):
        checkpoint.save(tmp_path / "a", {"x": torch.zeros(2)}, {"epoch": object()})
    assert checkpoint.load(tmp_path / "a")[1] == {"epoch": 1}


def test_nothing_but_the_checkpoint_is_left_in_its_folder(stored):
    assert list(stored.parent.iterdir()) == [stored]


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_file_that_was_cut_is_refused(stored, kept):
    stored.write_bytes(stored.read_bytes()[:kept])
    with pytest.raises(ValueError, match="expected safetensors; delete it to train") as caught:
        checkpoint.load(stored)
    assert str(caught.value).startswith(f"{stored}: not a readable checkpoint (")


def test_a_file_with_a_broken_header_is_refused(stored):
    stored.write_bytes(b"\xff" * 16 + stored.read_bytes()[16:])
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        checkpoint.load(stored)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        checkpoint.load(tmp_path / "nothing.safetensors")


def test_a_pickle_with_the_name_of_a_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(pickle.dumps(Marker(tmp_path / "executed")))
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        checkpoint.load(path)


def test_a_pickle_with_the_name_of_a_checkpoint_is_not_executed(tmp_path):
    path = tmp_path / "run.safetensors"
    torch.save({"x": Marker(tmp_path / "executed")}, path)
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        checkpoint.load(path)
    assert not (tmp_path / "executed").exists()


def test_weights_without_a_state_are_refused(tmp_path, refuses):
    save_file({"x": torch.zeros(1)}, tmp_path / "a")
    with refuses(
        f"{tmp_path / 'a'}: weights without a training state; was another file copied here?"
    ):
        checkpoint.load(tmp_path / "a")


def test_a_run_goes_on_with_the_weights_it_had(trained, stored, untrained):
    checkpoint.restore(stored, *untrained, RUN)
    assert untrained[0].equal(trained[0])


def test_a_run_goes_on_with_the_moments_it_had(trained, stored, untrained):
    checkpoint.restore(stored, *untrained, RUN)
    for name in ("first", "second", "n_steps"):
        assert getattr(untrained[1], name).equal(getattr(trained[1], name))
    assert untrained[1].n_steps.tolist() == [3, 2]


def test_a_run_goes_on_with_the_progress_it_had(trained, stored, untrained):
    progress = checkpoint.restore(stored, *untrained, RUN)
    assert progress.rows == trained[2].rows
    assert [progress.epoch(run) for run in range(2)] == [3, 2]
    assert progress.best_epoch == [2, 1]
    assert [progress.best_loss(run) for run in range(2)] == [0.25, 0.5]


def test_a_run_goes_on_with_the_best_weights_it_had(trained, stored, untrained):
    best = checkpoint.restore(stored, *untrained, RUN).best
    assert best.equal(trained[2].best)
    assert not best.equal(trained[0])


def test_the_checkpoint_of_another_run_is_refused(stored, untrained, refuses):
    other = {**RUN, "seed": 1}
    with refuses(
        f"{stored}: belongs to another run: seed is 0 there and 1 here; "
        "train into another folder or delete this one"
    ):
        checkpoint.restore(stored, *untrained, other)


def test_finished_weights_are_refused_as_a_checkpoint(tmp_path, untrained, refuses):
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, {"weights": untrained[0]}, {"inputs": {}, "scaling": {}})
    with refuses(
        f"{path}: belongs to another run: n_epochs is None there and 3 here; "
        "seed is None there and 0 here; train into another folder or delete this one"
    ):
        checkpoint.restore(path, *untrained, RUN)


def after(rows, kept_from=1):
    """The progress of one network with one weight, which is the number of its epochs."""
    progress = Progress.start(torch.zeros(1, 1))
    for epoch, row in enumerate(rows, start=1):
        progress.add(0, row, torch.tensor([float(epoch)]), kept_from)
    return progress


def test_without_validation_the_latest_weights_are_the_best():
    progress = after([{"train/loss": 3.0}] * 3)
    assert (progress.best_epoch, progress.best.item()) == ([3], 3)


def test_an_equal_validation_loss_is_not_better():
    progress = after([{"validation/loss": 0.5}] * 3)
    assert (progress.best_epoch, progress.best.item()) == ([1], 1)


@pytest.mark.parametrize(
    ("kept_from", "best"), [(1, 2), (2, 2), (3, 5), (4, 5), (5, 5), (6, 6), (9, 6)]
)
def test_validation_finds_the_best_epoch_from_one_on(kept_from, best):
    """Before it the latest is kept, as it is where nothing was better since."""
    losses = (5.0, 1.0, 4.0, 3.0, 2.0, 6.0)
    progress = after([{"validation/loss": loss} for loss in losses], kept_from)
    assert (progress.best_epoch, progress.best.item()) == ([best], best)


def test_what_is_kept_does_not_move_with_the_weights():
    weights = torch.zeros(1, 1)
    progress = Progress.start(weights)
    progress.add(0, {"validation/loss": 0.5}, weights[0])
    weights += 7
    assert progress.best.item() == 0


def test_networks_keep_epochs_of_their_own():
    progress = Progress.start(torch.zeros(2, 1))
    for epoch, losses in enumerate(((0.5, 0.5), (0.7, 0.3)), start=1):
        for run, loss in enumerate(losses):
            progress.add(run, {"validation/loss": loss}, torch.tensor([float(epoch)]))
    assert (progress.best_epoch, progress.best.tolist()) == ([1, 2], [[1], [2]])
    assert progress.rows[1] == [
        {"epoch": 0, "validation/loss": 0.5},
        {"epoch": 1, "validation/loss": 0.3},
    ]
