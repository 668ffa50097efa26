"""The only training loop: many modules at once or one, resumable bit for bit on a CPU.

A module maps (inputs, valid) of a batch to (continuous, overall). Epoch e of a run draws its order
and noise from (its seed, e) alone, so a run that was interrupted after any epoch and a run that was
not are the same run, and so are one that was trained alone and one that was trained beside others.
A GPU is asked for numbers once an epoch and never waited for in between.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from qoe_core import epoch, watching
from qoe_core.batches import Example
from qoe_core.checkpoint import Progress, restore, store
from qoe_core.loading import Loader
from qoe_core.stack import AdamW, Stack
from qoe_core.train_config import TrainConfig

CHECKPOINT = "checkpoint.safetensors"
STORE_EVERY_S = 5.0  # between checkpoints: one costs as much as several steps of a small network


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One module to train, and on what."""

    module: nn.Module
    train: Sequence[Example]
    validation: Sequence[Example]
    seed: int
    name: str = ""  # for messages
    board: Path | None = None  # folder for TensorBoard


def fit(
    module: nn.Module,
    train: Sequence[Example],
    validation: Sequence[Example],
    config: TrainConfig,
    seed: int,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Train one module, see `fit_all`; its checkpoint and TensorBoard files lie in `folder`."""
    board = folder and folder / "tensorboard"
    run = Run(module=module, train=train, validation=validation, seed=seed, board=board)
    return fit_all([run], config, folder and folder / CHECKPOINT)[0]


def fit_all(
    runs: Sequence[Run], config: TrainConfig, checkpoint: Path | None = None
) -> list[pd.DataFrame]:
    """Train the modules in place, leave them with their best weights; one row per epoch comes back.

    Best is the lowest validation loss; without validation examples, the last epoch. Losses in a row
    are over all its seconds and sessions, however they were batched; those of training as they were
    batched, where the loss forgives a share of a batch's mean error. A checkpoint that is there is
    continued. Examples are read once before the first epoch, for their lengths and contents.

    Raises:
        FloatingPointError: loss or gradient stopped being finite; names run, epoch and batch. Found
            at the end of the epoch: the weights in the modules are then of no use, those of the
            checkpoint are.
        ValueError: modules that cannot be trained at once, see `stack.Stack`, or the checkpoint
            belongs to another configuration or is damaged.
    """
    device = resolve_device(config.device)
    gpus = [device] if device.type == "cuda" else []
    networks = Stack([run.module for run in runs], device, [run.name for run in runs])
    if gpus:
        torch.cuda.reset_peak_memory_stats(device)  # after the modules woke the GPU up
    training = _Training(runs, networks, config, checkpoint)
    with contextlib.ExitStack() as boards, torch.random.fork_rng(gpus):
        training.watch(boards)
        while any(training.active):
            training.epoch()
    training.finish()
    return [pd.DataFrame(rows) for rows in training.progress.rows]


class _Training:
    """Where all runs stand, and how to go on by an epoch."""

    def __init__(
        self, runs: Sequence[Run], networks: Stack, config: TrainConfig, checkpoint: Path | None
    ):
        self.runs, self.networks, self.config, self.checkpoint = runs, networks, config, checkpoint
        self.optimizer = AdamW(networks.weights, config.weight_decay)
        self.train = Loader([run.train for run in runs], config.loaders)
        self.validation = Loader([run.validation for run in runs], config.loaders)
        self.progress = Progress.start(networks.weights)
        self.stored = -math.inf
        self.boards: dict[int, SummaryWriter] = {}
        sizes = {"seed": [r.seed for r in runs], "n_train": [len(r.train) for r in runs]}
        self.fingerprint = config.what_matters() | sizes | {"module": str(runs[0].module)}
        if checkpoint is not None:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
        if checkpoint is not None and checkpoint.exists():
            written = checkpoint, networks.weights, self.optimizer, self.fingerprint
            self.progress = restore(*written)

    @property
    def active(self) -> list[bool]:
        """Which runs have epochs left."""
        patience = math.inf if self.config.patience is None else self.config.patience
        waited = [
            self.progress.epoch(i) - best if run.validation else 0
            for i, (run, best) in enumerate(zip(self.runs, self.progress.best_epoch, strict=True))
        ]
        return [
            self.progress.epoch(i) < self.config.n_epochs and n < patience
            for i, n in enumerate(waited)
        ]

    def watch(self, boards: contextlib.ExitStack) -> None:
        """Open TensorBoard files for the runs that go on."""
        for i, (run, on) in enumerate(zip(self.runs, self.active, strict=True)):
            if on and run.board is not None:
                board = watching.opened(run.board, self.progress.epoch(i))
                self.boards[i] = boards.enter_context(board)

    def epoch(self) -> None:
        """Train and validate once, note it, and store it when it is time."""
        active = self.active
        number = max(self.progress.epoch(i) for i in range(len(self.runs)))
        seeds = [run.seed for run in self.runs]
        moved = self.networks, self.optimizer, self.train, self.config
        rows = epoch.train(*moved, number, seeds, active)
        checked = epoch.validate(self.networks, self.validation, self.config, number)
        for i, on in enumerate(active):
            if on:
                row, weights = rows[i] | checked[i], self.networks.weights[i]
                self.progress.add(i, row, weights, self.config.kept_from)
        self._show(active)
        done = not any(self.active)
        if self.checkpoint and (done or time.monotonic() - self.stored > STORE_EVERY_S):
            for board in self.boards.values():
                board.flush()  # before the checkpoint, which says from where to go on
            store(
                self.checkpoint,
                self.networks.weights,
                self.optimizer,
                self.fingerprint,
                self.progress,
            )
            self.stored = time.monotonic()

    def _show(self, active: Sequence[bool]) -> None:
        goes_on, config = self.active, dataclasses.asdict(self.config)
        shown = [i for i in self.boards if active[i]]
        rows = {i: self.progress.rows[i] for i in shown}
        best = {i: None if goes_on[i] else rows[i][self.progress.best_epoch[i] - 1] for i in shown}
        if any(watching.looks(len(rows[i]), best[i]) for i in shown):
            self.networks.write_back()
        for i in shown:
            run = self.runs[i]
            settings = config | {"seed": run.seed, "n_train": len(run.train)}
            looked = run.module, run.validation or run.train
            watching.show(self.boards[i], *looked, settings, rows[i], best[i])

    def finish(self) -> None:
        """Leave the modules with their best weights."""
        with torch.no_grad():
            self.networks.weights.copy_(self.progress.best)
        self.networks.write_back()
        for run in self.runs:
            run.module.eval()


def resolve_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one.

    Raises:
        ValueError: cuda is asked for by name and torch sees no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device is 'cuda', but torch sees no GPU; use 'auto' or 'cpu'")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
