"""Speed of training every fold of the released lists at once, against one network at a time.

The plain loop is the one that a tutorial has: torch's own layers, one session a step, one network
after the other on one core, with the tables of each. It is timed on the first fold of each data set
for one epoch and counted up, since all of it would take hours; what is trained at once is timed
whole, on all cores, from starting the workers to the last table.
"""

import dataclasses
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from qoe_core import bench_training, library, parallel, paths
from qoe_core.batches import Example
from qoe_core.bench_video import Row
from qoe_core.experiment import Experiment, plan
from qoe_core.models.recurrent import Heads
from qoe_core.models.table_rows import build
from qoe_core.models.tcn import TCN, TCNConfig
from qoe_core.units import Unit, bundles, run_bundle

DATASETS = ("live_netflix", "lfovia", "live_http", "stall2")
PEERS = ("rnn", "lstm", "gru", "tcn")
LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Plain(nn.Module):
    """A recurrent network of torch's own layers."""

    def __init__(self, n_feat: int, hidden: int, cell: str):
        """One layer and two heads, as in `models.recurrent`."""
        super().__init__()
        self.states = LAYERS[cell](n_feat, hidden, batch_first=True)
        self.heads = Heads(hidden)

    def forward(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """Continuous and overall scores."""
        return self.heads(self.states(inputs)[0], valid)


class PlainTCN(TCN):
    """`models.tcn.TCN` with torch's own convolutions."""

    def forward(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> tuple[Float[Tensor, "batch time"], Float[Tensor, " batch"]]:
        """Continuous and overall scores."""
        states = self.lift(inputs).transpose(1, 2)
        for convolution in self.convolutions:
            past = (convolution.kernel_size[0] - 1) * convolution.dilation[0]
            states = states + functional.selu(convolution(functional.pad(states, (past, 0))))
        return self.heads(states.transpose(1, 2), valid)


def rows(found: Sequence[str], folder: Path) -> Iterable[Row]:
    """A row for each peer, over those of DATASETS that are found."""
    there = [name for name in DATASETS if name in found]
    for peer in PEERS if there else ():
        units = [_units(dataset, peer, folder) for dataset in there]
        one_by_one = sum(len(of_one) * _plain_fold(of_one[0]) for of_one in units)
        todo = [bundle for of_one in units for bundle in bundles(of_one)]
        todo.sort(key=lambda bundle: bundle.expected_s, reverse=True)  # so that no core waits long
        started = time.perf_counter()
        parallel.each(run_bundle, todo, workers=None, title=peer, expected_s=todo[0].expected_s)
        at_once = time.perf_counter() - started
        n_networks = sum(map(len, units))
        what = f"released folds of {len(there)} data sets, {n_networks} networks, {peer}"
        yield what, at_once, "s", "plain loop on one core", one_by_one, one_by_one / at_once


def _units(dataset: str, peer: str, folder: Path) -> list[Unit]:
    params = yaml.safe_load((paths.PARAMS / f"02_train--{dataset}--released.yaml").read_text())
    experiment = Experiment(
        dataset=dataset,
        split="released",
        model=bench_training.row_config(params, peer),
        seeds=(0,),
    )
    lists = library.training_lists(dataset, "released")
    planned = plan(experiment, library.sessions(dataset), lists)
    return [dataclasses.replace(u, folder=folder / dataset / u.folder.name) for u in planned]


def _plain_fold(unit: Unit) -> float:
    """Seconds of the plain loop for all epochs of one fold, from one epoch, and of its tables."""
    config = unit.model.trained
    module, examples = _plain(unit)
    bench_training.one_by_one(module, examples[:2], config, n_epochs=1)
    started = time.perf_counter()
    bench_training.one_by_one(module, examples, config, n_epochs=1)
    trained = time.perf_counter()
    fitted = build(unit.model).begin(unit.split.train, unit.seed)
    with tempfile.TemporaryDirectory() as folder:
        dataclasses.replace(unit, folder=Path(folder)).write(fitted, {})
    return (trained - started) * config.n_epochs + time.perf_counter() - trained


def _plain(unit: Unit) -> tuple[nn.Module, Sequence[Example]]:
    fitted = build(unit.model).begin(unit.split.train, unit.seed)
    examples = fitted.examples(unit.split.train)
    n_feat = len(fitted.scaling.low)
    if unit.model.base not in LAYERS:
        return PlainTCN(n_feat, TCNConfig(filters=unit.model.hidden)), examples
    return Plain(n_feat, unit.model.hidden, unit.model.base), examples
