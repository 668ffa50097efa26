"""Checkpoints come back bit for bit, and what is not one is refused without running it."""

import math
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qoe_core import checkpoint
from qoe_core.checkpoint import Progress

RUN = {"n_epochs": 3, "seed": 0}


class Marker:
    """Leaves a file behind wherever it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def trained():
    """A module and its optimiser after three steps, and the progress of three epochs."""
    module = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1)
    progress = Progress()
    for loss in (0.5, 0.25, 0.75):
        optimizer.zero_grad()
        module(torch.rand(4, 3)).square().sum().backward()
        optimizer.step()
        progress.add({"validation/loss": loss}, module)
    return module, optimizer, progress


@pytest.fixture
def stored(trained, tmp_path):
    module, optimizer, progress = trained
    checkpoint.store(tmp_path / "run.safetensors", module, optimizer, RUN, progress)
    return tmp_path / "run.safetensors"


@pytest.fixture
def untrained():
    module = nn.Linear(3, 2)
    return module, torch.optim.AdamW(module.parameters(), lr=0.1)


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
    for name, tensor in trained[0].state_dict().items():
        assert untrained[0].state_dict()[name].equal(tensor)


def test_a_run_goes_on_with_the_moments_it_had(trained, stored, untrained):
    checkpoint.restore(stored, *untrained, RUN)
    restored = untrained[1].state_dict()["state"]
    for index, moments in trained[1].state_dict()["state"].items():
        for name, tensor in moments.items():
            assert restored[index][name].equal(tensor)


def test_a_run_goes_on_with_the_progress_it_had(trained, stored, untrained):
    progress = checkpoint.restore(stored, *untrained, RUN)
    assert progress.rows == trained[2].rows
    assert (progress.epoch, progress.best_epoch, progress.best_loss) == (3, 2, 0.25)


def test_a_run_goes_on_with_the_best_weights_it_had(trained, stored, untrained):
    best = checkpoint.restore(stored, *untrained, RUN).best
    assert all(best[name].equal(tensor) for name, tensor in trained[2].best.items())


def test_the_checkpoint_of_another_run_is_refused(stored, untrained, refuses):
    other = {**RUN, "seed": 1}
    with refuses(
        f"{stored}: belongs to another run: seed is 0 there and 1 here; "
        "train into another folder or delete this one"
    ):
        checkpoint.restore(stored, *untrained, other)


def test_finished_weights_are_refused_as_a_checkpoint(tmp_path, untrained, refuses):
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, untrained[0].state_dict(), {"inputs": {}, "scaling": {}})
    with refuses(
        f"{path}: belongs to another run: n_epochs is None there and 3 here; "
        "seed is None there and 0 here; train into another folder or delete this one"
    ):
        checkpoint.restore(path, *untrained, RUN)


def test_without_validation_the_latest_weights_are_the_best():
    module, progress = nn.Linear(1, 1), Progress()
    for _ in range(3):
        progress.add({"train/loss": math.pi}, module)
    assert progress.best_epoch == 3


def test_an_equal_validation_loss_is_not_better():
    module, progress = nn.Linear(1, 1), Progress()
    for _ in range(3):
        progress.add({"validation/loss": 0.5}, module)
    assert progress.best_epoch == 1
