"""Speed of training and of streaming, the dual-stage attention network first; `qoe_core.bench`.

Everything is measured on the CPU and on fold 0 of a data set, with features in memory, and with one
numerical thread where nothing else is said. Ways that are compared train the same network on the
same sessions for EPOCHS.
"""

import contextlib
import dataclasses
import math
import os
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import yaml
from jaxtyping import Bool
from torch import Tensor, nn

from qoe_core import library, losses, paths, training
from qoe_core.batches import Example
from qoe_core.bench_video import Row, medians
from qoe_core.inputs import FeatureConfig, features
from qoe_core.models.examples import Examples
from qoe_core.models.interface import training_ratings
from qoe_core.models.table_rows import ModelConfig
from qoe_core.models.variants import OURS
from qoe_core.qos import LabelScale, Scaling
from qoe_core.splits import folds
from qoe_core.train_config import TrainConfig

EPOCHS, ROUNDS = 2, 3  # of each way that is compared
LENGTHS_DIFFER = ("p1203", "stall2")  # most in the first; the first that is found is measured
FULL = {OURS: 90.0, "gru": None}  # trained in full; seconds on two cores
STREAMED_S = 90  # seconds of the session that is streamed


def rows(dataset: str, found: Sequence[str], folder: Path) -> Iterable[Row]:
    """Everything, one after another; `folder` holds what a full training writes."""
    others = [name for name in LENGTHS_DIFFER if name in found][:1]
    with _threads(1):
        yield from batching(dataset)
        for name in (dataset, *others):
            yield from buckets(name)
        yield threads(dataset)
        for name, bar_s in FULL.items():
            yield full(dataset, name, bar_s, folder / "full" / name)
        yield streaming(dataset)


def parameters(dataset: str) -> dict:
    """The chapter's parameters of training on a data set."""
    path = paths.PARAMS / f"02_train--{dataset}--leave-content-out.yaml"
    return yaml.safe_load(path.read_text())


def row_config(params: dict, name: str) -> ModelConfig:
    """A row of the results table with the chapter's parameters."""
    return ModelConfig(
        name=name,
        inputs=FeatureConfig(qos=tuple(params["qos"]), quality=tuple(params["quality"])),
        training=TrainConfig(n_epochs=params["n_epochs"], batch_size=params["batch_size"]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Fold:
    """What a network is trained on in fold 0, in memory."""

    model: ModelConfig
    examples: Sequence[Example]

    @classmethod
    def first(cls, dataset: str, name: str) -> "Fold":
        """Of a data set, for the row of this name."""
        params = parameters(dataset)
        model = row_config(params, name)
        split = folds(params["split"], library.sessions(dataset), seed=0)[0]
        sessions = split.without_validation().train
        scaling = Scaling.fit(features(session, model.seen) for session in sessions)
        scales = (LabelScale.fit(ratings) for ratings in training_ratings(sessions))
        made = Examples(sessions, model.seen, scaling, *scales, paths.STORE)
        return cls(model=model, examples=list(made))

    def module(self) -> nn.Module:
        """The untrained network, the same each time."""
        n_qos = self.model.seen.n_qos
        torch.manual_seed(0)
        return self.model.module(n_qos, self.examples[0].inputs.shape[1] - n_qos)

    def train(self, module: nn.Module, folder: Path | None = None, **changes: object) -> None:
        """The ordinary loop with the row's settings, but for `changes`."""
        config = dataclasses.replace(self.model.trained, device="cpu", **changes)
        training.fit(module, self.examples, [], config, seed=0, folder=folder)


def batching(dataset: str) -> Iterable[Row]:
    """Sessions and steps per second of the ordinary loop, against one session at a time."""
    fold = Fold.first(dataset, OURS)
    size = fold.model.trained.batch_size
    ways = {
        "ours": lambda: fold.train(fold.module(), n_epochs=EPOCHS),
        "plain": lambda: one_by_one(fold.module(), fold.examples, fold.model.trained, EPOCHS),
    }
    spent = medians(ways, ROUNDS)
    n_sessions = EPOCHS * len(fold.examples)
    n_steps = {"ours": EPOCHS * math.ceil(len(fold.examples) / size), "plain": n_sessions}
    for unit, counts in (("sessions/s", dict.fromkeys(ways, n_sessions)), ("steps/s", n_steps)):
        ours, plain = (counts[way] / spent[way] for way in ways)
        what = f"train {OURS} on {dataset}, batches of {size}"
        yield what, ours, unit, "plain loop, one session at a time", plain, ours / plain


def one_by_one(
    module: nn.Module, examples: Sequence[Example], config: TrainConfig, n_epochs: int
) -> None:
    """The loop that a tutorial has: nothing is padded, every session is a step."""
    module.train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=config.learning_rate)
    for _ in range(n_epochs):
        for place in torch.randperm(len(examples)).tolist():
            example = examples[place]
            valid = torch.ones(1, len(example.rated), dtype=torch.bool)
            continuous, overall = module(example.inputs[None], valid)
            rated = example.rated[None], example.overall[None]
            optimizer.zero_grad()
            losses.total(continuous, overall, *rated, config.loss)["loss"].backward()
            optimizer.step()


def buckets(dataset: str) -> Iterable[Row]:
    """Speed and padding of batches of similar length, against random batches."""
    fold = Fold.first(dataset, OURS)
    given: dict[bool, list[Tensor]] = {True: [], False: []}

    def train(bucketed: bool) -> None:
        module = fold.module()
        module.register_forward_pre_hook(lambda _, batch: given[bucketed].append(batch[1]))
        fold.train(module, n_epochs=EPOCHS, bucketed=bucketed)

    spent = medians({bucketed: partial(train, bucketed) for bucketed in given}, ROUNDS)
    ours, drawn = (EPOCHS * len(fold.examples) / spent[way] for way in given)
    what = f"train {OURS} on {dataset}, batches of similar length"
    yield what, ours, "sessions/s", "random batches", drawn, ours / drawn
    ours, drawn = (100 * _padding(masks) for masks in given.values())
    what = f"padding of {dataset}, batches of similar length"
    yield what, ours, "%", "random batches", drawn, None


def _padding(masks: Sequence[Bool[Tensor, "batch time"]]) -> float:
    """Share of the seconds in all batches that no session has."""
    n_valid = sum(valid.sum().item() for valid in masks)
    return 1 - n_valid / sum(valid.numel() for valid in masks)


def threads(dataset: str) -> Row:
    """Speed of one training on a thread for each core, against one thread."""
    fold = Fold.first(dataset, OURS)
    n_cores = len(os.sched_getaffinity(0))

    def train(n_threads: int) -> None:
        with _threads(n_threads):
            fold.train(fold.module(), n_epochs=EPOCHS)

    ways = {"all": partial(train, n_cores), "one": partial(train, 1)}
    spent = medians(ways, ROUNDS)
    every, one = (EPOCHS * len(fold.examples) / spent[way] for way in ways)
    what = f"train {OURS} on {dataset}, threads: {n_cores}"
    return what, every, "sessions/s", "threads: 1", one, every / one


def full(dataset: str, name: str, bar_s: float | None, folder: Path) -> Row:
    """Seconds of a whole training with its checkpoints and TensorBoard files, against a bar."""
    fold = Fold.first(dataset, name)
    module = fold.module()
    started = time.perf_counter()
    fold.train(module, folder)
    spent = time.perf_counter() - started
    what = f"full training on one fold of {dataset}, {name}, threads: 1"
    if bar_s is None:
        return what, spent, "s", "", None, None
    return what, spent, "s", "bar on two cores", bar_s, bar_s / spent


def streaming(dataset: str) -> Row:
    """Milliseconds for the next second of a session with memory, against all seconds again."""
    fold = Fold.first(dataset, OURS)
    module = fold.module().eval()
    inputs = torch.rand(1, STREAMED_S, fold.examples[0].inputs.shape[1])
    valid = torch.ones(1, STREAMED_S, dtype=torch.bool)
    kept, again, memory = [], [], None
    with torch.inference_mode():
        module(inputs, valid)
        for second in range(STREAMED_S):
            now = slice(second, second + 1)
            started = time.perf_counter()
            memory = module.run(inputs[:, now], valid[:, now], memory).memory
            between = time.perf_counter()
            module(inputs[:, : now.stop], valid[:, : now.stop])
            kept.append(1e3 * (between - started))
            again.append(1e3 * (time.perf_counter() - between))
    ours, whole = statistics.median(kept), statistics.median(again)
    what = f"stream {STREAMED_S} s to {OURS}, with memory"
    return what, ours, "ms per s", "all seconds so far again", whole, whole / ours


@contextlib.contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
