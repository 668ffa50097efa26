"""One pass over the sessions of many networks at once, for training or for validation.

Rows, seeds and examples have one entry for each network, in the order of the stack. A network that
is not active neither moves nor gets a row.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from qoe_core import losses
from qoe_core.batches import Batch, Example, stack
from qoe_core.loading import Loader, in_turn, of_one_content, of_similar_length, together
from qoe_core.stack import AdamW, Stack, clipped
from qoe_core.train_config import PRECISIONS, TrainConfig, learning_rate

Row = dict[str, float]


def train(
    networks: Stack,
    optimizer: AdamW,
    loader: Loader,
    config: TrainConfig,
    epoch: int,
    seeds: Sequence[int],
    active: Sequence[bool],
) -> list[Row]:
    """Move the active networks along all their batches; their mean losses before each step.

    Raises:
        FloatingPointError: a loss or gradient is not finite; names network, epoch and batch.
    """
    draws = [torch.Generator().manual_seed(seed * 1_000_003 + epoch) for seed in seeds]
    torch.manual_seed(draws[0].initial_seed())  # for the dropout of a module that is trained alone
    batches = [
        _batches(*facts, config, drawn) if on else []
        for *facts, drawn, on in zip(loader.lengths, loader.contents, draws, active, strict=True)
    ]
    steps = together(batches, epoch)
    n_done = [0] * len(seeds)
    seen, norms = [], []
    networks.train(True)
    for step, examples in zip(steps, loader.epoch(steps), strict=True):
        batch = stack(examples)
        if config.noise:
            batch.inputs.add_(_drawn(batch, examples, draws), alpha=config.noise)
        added = _sums(networks, batch.to(networks.weights.device), config)
        loss = losses.means(added, config.loss)["loss"].sum()
        (gradient,) = torch.autograd.grad(loss, networks.weights)
        gradient, norm = clipped(gradient, config.clip_norm)
        moved = [bool(places) for places in step]
        rates = [_rate(config, epoch, *n) for n in zip(n_done, map(len, batches), strict=True)]
        optimizer.step(gradient, *(torch.tensor(v).to(gradient.device) for v in (rates, moved)))
        n_done = [n + on for n, on in zip(n_done, moved, strict=True)]
        seen.append(added.detach())
        norms.append(norm)
    checked = {"loss": _losses(seen, config), "gradient norm": torch.stack(norms)}
    _check_finite(checked, networks.names, config, epoch)
    rows = _means(seen, config, "train/")
    totals = torch.stack(norms).sum(0).tolist()
    for row, total, n, rate in zip(rows, totals, n_done, rates, strict=True):
        row |= {"learning_rate": rate, "gradient_norm": total / max(n, 1)}
    return rows


@torch.inference_mode()
def validate(networks: Stack, loader: Loader, config: TrainConfig, epoch: int) -> list[Row]:
    """Mean losses of each network on its sessions, with PLCC and RMSE; empty where it has none.

    No share of an error is forgiven here, so what stops early by it sees a level that is learnt
    slowly and set only after training.

    Raises:
        FloatingPointError: a loss is not finite; names network, epoch and batch.
    """
    if not any(loader.parts):
        return [{} for _ in loader.parts]
    config = replace(config, loss=replace(config.loss, forgiven=0.0))
    networks.train(False)
    batches = [
        in_turn(sorted(range(len(of_one)), key=of_one.__getitem__, reverse=True), config.batch_size)
        for of_one in loader.lengths
    ]
    seen = [
        _sums(networks, stack(examples).to(networks.weights.device), config)
        for examples in loader.epoch(together(batches, epoch))
    ]
    _check_finite({"validation loss": _losses(seen, config)}, networks.names, config, epoch)
    rows = _means(seen, config, "validation/")
    counts = torch.stack(seen).sum(0)[..., 1].tolist()
    for row, n in zip(rows, counts, strict=True):
        # a correlation or an error where nobody rated would read as perfect
        if n[losses.TERMS.index("plcc")]:
            row["metrics/validation_plcc"] = 1 - row["validation/plcc"]
        if n[losses.TERMS.index("mse")]:
            row["metrics/validation_rmse"] = math.sqrt(row["validation/mse"])
    return [row if part else {} for row, part in zip(rows, loader.parts, strict=True)]


def _batches(
    lengths: Sequence[int], contents: Sequence[str], config: TrainConfig, drawn: torch.Generator
) -> list[Sequence[int]]:
    if config.loss.forgiven:
        return of_one_content(lengths, contents, config.batch_size, drawn)
    if config.bucketed:
        return of_similar_length(lengths, config.batch_size, drawn)
    return in_turn(torch.randperm(len(lengths), generator=drawn).tolist(), config.batch_size)


def _drawn(
    batch: Batch, examples: Sequence[Sequence[Example]], draws: Sequence[torch.Generator]
) -> Float[Tensor, "run batch time feat"]:
    """Normal noise on every second of the examples; what fills up a smaller batch draws none."""
    n_feat = batch.inputs.shape[-1]
    drawn = [
        torch.randn(sum(len(e.rated) for e in of_one), n_feat, generator=generator)
        for of_one, generator in zip(examples, draws, strict=True)
    ]
    counts = torch.tensor([len(of_one) for of_one in examples])
    given = torch.arange(batch.valid.shape[1]) < counts[:, None]
    places = batch.valid & given.unsqueeze(-1)
    return torch.zeros_like(batch.inputs).masked_scatter_(places.unsqueeze(-1), torch.cat(drawn))


def _rate(config: TrainConfig, epoch: int, n_done: int, n_steps: int) -> float:
    """The learning rate of a network's next step, or of its last one; 0 if it has no step."""
    last = min(n_done, n_steps - 1)
    return learning_rate(config, epoch, (last + 0.5) / n_steps) if n_steps else 0.0


def _sums(networks: Stack, batch: Batch, config: TrainConfig) -> Float[Tensor, "run 4 2"]:
    precision = PRECISIONS[config.precision]
    mixed = precision is not torch.float32
    with torch.autocast(batch.inputs.device.type, dtype=precision, enabled=mixed):
        continuous, overall = networks(batch.inputs, batch.valid)
    of_one = partial(losses.sums, config=config.loss)
    return networks.each(of_one, continuous.float(), overall.float(), batch.rated, batch.overall)


def _losses(seen: Sequence[Tensor], config: TrainConfig) -> Float[Tensor, "batch run"]:
    return losses.means(torch.stack(seen), config.loss)["loss"]


def _means(seen: Sequence[Tensor], config: TrainConfig, prefix: str) -> list[Row]:
    """Terms over the seconds and sessions of all batches, for each network."""
    terms = losses.means(torch.stack(seen).double().sum(0).cpu(), config.loss)
    names = [f"{prefix}{name}" for name in terms]
    return [
        dict(zip(names, row, strict=True)) for row in torch.stack([*terms.values()], 1).tolist()
    ]


def _check_finite(
    values: dict[str, Float[Tensor, "batch run"]],
    names: Sequence[str],
    config: TrainConfig,
    epoch: int,
) -> None:
    """Raise FloatingPointError at the first batch with a value that is not finite."""
    by_batch = zip(*(table.tolist() for table in values.values()), strict=True)
    for batch, tables in enumerate(by_batch):
        for what, table in zip(values, tables, strict=True):
            for name, value in zip(names, table, strict=True):
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"{name and name + ': '}{what} is {value} at epoch {epoch}, batch {batch}; "
                        f"is the learning rate {learning_rate(config, epoch, 0.5):g} too high?"
                    )
