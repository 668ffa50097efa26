"""An experiment that is killed leaves no process behind, and goes on as if it had not been.

Run as a script, this file is the experiment that the tests kill.
"""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from qoe_core import experiment, parallel, runs
from qoe_core.experiment import Experiment
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig
from qoe_core.train_config import TrainConfig

N_CONTENTS = 6  # and as many units, in three bundles of two
N_EPOCHS = 80  # so many that one bundle takes long beside the time between two looks at it
REQUEST = Experiment(
    dataset="tiny",
    split="leave-content-out",
    model=ModelConfig(
        name="gru",
        inputs=FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",)),
        training=TrainConfig(
            n_epochs=N_EPOCHS, batch_size=4, patience=N_EPOCHS, sessions_at_once=8, device="cpu"
        ),
    ),
    seeds=(0,),
)


def watched(make_session):
    return [make_session(c, p, seconds=12 + p) for c in range(N_CONTENTS) for p in range(2)]


def finished(folder):
    return {path.parent for path in folder.rglob("units/*/scores.parquet")}


def begun(folder):
    """Checkpoints of bundles that have one and are not finished."""
    return set(folder.rglob("units/*.safetensors"))


def gone(process):
    """Whether a process has ended, reaped by its parent or not."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def stopped_amid(running, folder):
    """Stop all processes where a bundle of two is finished and another one begun; else go on."""
    if not (finished(folder) and begun(folder)):
        return False
    os.killpg(running.pid, signal.SIGSTOP)
    if len(finished(folder)) in range(2, N_CONTENTS, 2) and begun(folder):
        return True
    os.killpg(running.pid, signal.SIGCONT)
    return False


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Runs folder of an experiment killed amid two workers, its children, finished and begun."""
    folder = tmp_path_factory.mktemp("killed")
    environment = {**os.environ, "QOE_RUNS": str(folder)}
    running = subprocess.Popen([sys.executable, __file__], env=environment, process_group=0)
    while not stopped_amid(running, folder):
        assert running.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)
    children = psutil.Process(running.pid).children(recursive=True)
    state = finished(folder), begun(folder)
    running.kill()
    running.wait()
    for child in children:
        child.resume()  # to see that its parent is gone
    return folder, children, *state


@pytest.fixture(scope="module")
def resumed_and_whole(killed, make_session, tmp_path_factory):
    """Folders of the experiment that was killed, after it went on, and of one that was not."""
    folders = []
    for folder in (killed[0], tmp_path_factory.mktemp("whole")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runs, "RUNS", folder)
            folders.append(experiment.run(REQUEST, watched(make_session), workers=1))
    return folders


def test_the_experiment_was_killed_in_the_middle(killed):
    _, children, whole, checkpoints = killed
    assert len(children) >= 2
    assert 1 <= len(whole) < N_CONTENTS
    assert checkpoints


def test_workers_do_not_outlive_their_parent(killed):
    deadline = time.monotonic() + 10
    while not all(gone(child) for child in killed[1]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [child for child in killed[1] if not gone(child)] == []


@pytest.mark.parametrize("name", ["predictions", "overall", "scores"])
def test_a_killed_experiment_ends_with_the_bytes_of_one_that_was_not(resumed_and_whole, name):
    resumed, whole = ((folder / f"{name}.parquet").read_bytes() for folder in resumed_and_whole)
    assert resumed == whole


def test_no_checkpoint_of_a_bundle_is_left(resumed_and_whole):
    assert [begun(folder) for folder in resumed_and_whole] == [set(), set()]


if __name__ == "__main__":
    from conftest import make_session

    parallel.POOL_START_S = 0.0
    experiment.run(REQUEST, watched(make_session), workers=2)
