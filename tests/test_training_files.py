"""What a training run leaves in its folder, and how it goes on from there."""

import subprocess
import sys
import time

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from qoe_core import checkpoint, training
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.train_config import TrainConfig
from qoe_core.training import CHECKPOINT, fit

SHORT = TrainConfig(n_epochs=4, batch_size=4, device="cpu")


def trained(examples, folder, config=SHORT):
    torch.manual_seed(0)
    module = Recurrent(3, RecurrentConfig(hidden=8))
    return module, fit(module, examples[:7], examples[7:], config, 0, folder)


def test_the_event_files_hold_the_history(examples, tmp_path):
    _, history = trained(examples, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    curves = {name for name in events.Tags()["scalars"] if not name.startswith("best/")}
    assert curves == set(history.columns) - {"epoch"}
    for name in curves:
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [1, 2, 3, 4]
        # event files hold single precision
        assert [s.value for s in scalars] == pytest.approx(history[name].tolist(), rel=1e-6)


def test_the_checkpoint_of_another_configuration_is_refused(examples, tmp_path, refuses):
    trained(examples, tmp_path)
    with refuses(
        f"{tmp_path / CHECKPOINT}: belongs to another run: n_epochs is 4 there and 9 here; "
        "train into another folder or delete this one"
    ):
        trained(examples, tmp_path, TrainConfig(n_epochs=9, batch_size=4, device="cpu"))


def test_a_finished_run_is_not_trained_again(examples, tmp_path):
    _, history = trained(examples, tmp_path)
    written = (tmp_path / CHECKPOINT).stat().st_mtime_ns
    again = trained(examples, tmp_path)[1]
    assert again.equals(history)
    assert (tmp_path / CHECKPOINT).stat().st_mtime_ns == written


def test_a_finished_run_gives_its_best_weights_again(examples, tmp_path):
    module, _ = trained(examples, tmp_path)
    again = trained(examples, tmp_path)[0].state_dict()
    assert all(again[name].equal(tensor) for name, tensor in module.state_dict().items())


# Trains into each folder named on the command line, pausing in every batch for the seconds given.
# Checkpoints are seconds apart in life; here a few epochs.
SCRIPT = """
import sys, time
from pathlib import Path
import torch
from qoe_core import training
from qoe_core.batches import Example
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.train_config import TrainConfig
from qoe_core.training import fit

class Slow(Recurrent):
    def attention(self, inputs, valid):
        return {"inputs": inputs}

    def forward(self, inputs, valid):
        time.sleep(float(sys.argv[1]))
        return super().forward(inputs, valid)

training.STORE_EVERY_S = 0.5
torch.set_num_threads(1)
for folder in sys.argv[2:]:
    torch.manual_seed(0)
    inputs = [torch.rand(n, 3) for n in range(6, 16)]
    examples = [Example(x, x[:, 0].cumsum(0) / len(x), x.mean()) for x in inputs]
    config = TrainConfig(n_epochs=30, batch_size=4, device="cpu")
    module = Slow(3, RecurrentConfig(hidden=8))
    fit(module, examples[:7], examples[7:], config, 0, Path(folder))
"""


def epochs(folder):
    path = folder / CHECKPOINT
    return len(checkpoint.load(path)[1]["rows"][0]) if path.exists() else 0


@pytest.fixture(scope="module")
def killed_and_not(tmp_path_factory):
    """Folders of a run that was killed and resumed, and of one that was not; epochs at the kill."""
    killed, whole = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("whole")
    python = [sys.executable, "-c", SCRIPT]
    running = subprocess.Popen([*python, "0.05", killed])
    while epochs(killed) < 5 and running.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)  # into epochs that TensorBoard has and no checkpoint
    running.kill()
    running.wait()
    at_kill = epochs(killed)
    subprocess.run([*python, "0", killed, whole], check=True)
    return killed, whole, at_kill


def test_a_killed_run_had_begun_and_had_not_finished(killed_and_not):
    assert 5 <= killed_and_not[2] < 30


def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(killed_and_not):
    """The checkpoint holds last and best weights, the optimiser's moments and the history."""
    killed, whole, _ = killed_and_not
    assert (killed / CHECKPOINT).read_bytes() == (whole / CHECKPOINT).read_bytes()


def test_a_killed_run_ends_with_the_curves_of_one_that_was_not(killed_and_not):
    killed, whole = (
        EventAccumulator(str(folder / "tensorboard")).Reload() for folder in killed_and_not[:2]
    )
    assert killed.Tags() == whole.Tags()
    for name in whole.Tags()["scalars"]:
        first, second = ([(s.step, s.value) for s in e.Scalars(name)] for e in (killed, whole))
        assert first == second


def test_a_killed_run_ends_with_the_pictures_of_one_that_was_not(killed_and_not):
    for folder in killed_and_not[:2]:
        events = EventAccumulator(str(folder / "tensorboard")).Reload()
        assert [image.step for image in events.Images("attention/inputs")] == [10, 20, 30]
        assert len(events.PluginTagToContent("hparams")) == 3  # table, begin and end of the run


def test_checkpoints_are_some_time_apart(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "STORE_EVERY_S", 3600.0)

    class Counting(Recurrent):
        there = []

        def forward(self, inputs, valid):
            self.there.append(epochs(tmp_path))
            return super().forward(inputs, valid)

    fit(Counting(3, RecurrentConfig(hidden=8)), examples, [], SHORT, 0, tmp_path)
    # three batches in each of four epochs: only the first and the last one are stored
    assert Counting.there == [0] * 3 + [1] * 9
    assert epochs(tmp_path) == 4


def test_a_run_whose_loss_overflows_keeps_an_earlier_checkpoint(examples, tmp_path):
    config = TrainConfig(n_epochs=3, batch_size=16, learning_rate=1e30, device="cpu")
    with pytest.raises(FloatingPointError, match="at epoch 1, batch 0"):
        fit(Recurrent(3, RecurrentConfig(hidden=8)), examples, [], config, 0, tmp_path)
    weights, state = checkpoint.load(tmp_path / CHECKPOINT)
    assert len(state["rows"][0]) == 1
    assert all(tensor.isfinite().all() for tensor in weights.values())
