"""The only training loop: any module, any examples, resumable bit for bit on a CPU.

A module maps (inputs, valid) of a batch to (continuous, overall). Epoch e draws its order, noise
and dropout from (seed, e) alone, so a run that was interrupted after any epoch and a run that was
not are the same run. A GPU is asked for numbers once an epoch and never waited for in between.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from qoe_core import losses, watching
from qoe_core.batches import Batch, Example
from qoe_core.checkpoint import Progress, restore, store
from qoe_core.loading import Loader, in_turn, of_similar_length
from qoe_core.train_config import PRECISIONS, TrainConfig, learning_rate

CHECKPOINT = "checkpoint.safetensors"
STORE_EVERY_S = 5.0  # between checkpoints: one costs as much as several steps of a small network


def fit(
    module: nn.Module,
    train: Sequence[Example],
    validation: Sequence[Example],
    config: TrainConfig,
    seed: int,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Train `module` in place and leave it with its best weights; one row per epoch comes back.

    Best is the lowest validation loss; without validation examples, the last epoch. Losses in a row
    are over all its seconds and sessions, however they were batched. With a `folder`, checkpoints
    and TensorBoard files are written there, and a checkpoint found there is continued. Examples are
    read once before the first epoch, for their lengths.

    Raises:
        FloatingPointError: loss or gradient stopped being finite; names the epoch and the batch.
            Found at the end of the epoch: the weights in `module` are then of no use, those of the
            checkpoint are.
        ValueError: the checkpoint in `folder` belongs to another configuration, or is damaged.
    """
    device = resolve_device(config.device)
    module.to(device)
    gpus = [device] if device.type == "cuda" else []
    if gpus:
        torch.cuda.reset_peak_memory_stats(device)  # after .to, which wakes the GPU up
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    settings = dataclasses.asdict(config) | {"seed": seed, "n_train": len(train)}
    fingerprint = {**config.what_matters(), "seed": seed, "n_train": len(train)}
    fingerprint["module"] = str(module)
    loaders = [Loader(part, device, config.loaders) for part in (train, validation)]
    progress = _begun(folder, module, optimizer, fingerprint)
    finished, stored = _finished(progress, config, bool(validation)), -math.inf
    quiet = finished or folder is None
    board = None if quiet else watching.opened(folder / "tensorboard", progress.epoch)
    with board or contextlib.nullcontext(), torch.random.fork_rng(gpus):
        while not finished:
            torch.manual_seed(seed * 1_000_003 + progress.epoch)
            progress.add(_epoch(module, optimizer, *loaders, config, progress.epoch), module)
            finished = _finished(progress, config, bool(validation))
            if board is None:
                continue
            watching.show(board, module, validation or train, settings, progress, finished)
            if finished or time.monotonic() - stored > STORE_EVERY_S:
                board.flush()  # before the checkpoint, which says from where to go on
                store(folder / CHECKPOINT, module, optimizer, fingerprint, progress)
                stored = time.monotonic()
    module.load_state_dict(progress.best)
    module.eval()
    return pd.DataFrame(progress.rows)


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


def _begun(
    folder: Path | None,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    fingerprint: dict[str, object],
) -> Progress:
    """Where the run in `folder` stands; makes the folder."""
    if folder is None:
        return Progress()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / CHECKPOINT).exists():
        return Progress()
    return restore(folder / CHECKPOINT, module, optimizer, fingerprint)


def _finished(progress: Progress, config: TrainConfig, has_validation: bool) -> bool:
    waited = progress.epoch - progress.best_epoch
    impatient = has_validation and config.patience is not None and waited >= config.patience
    return progress.epoch >= config.n_epochs or impatient


def _epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    train: Loader,
    validation: Loader,
    config: TrainConfig,
    epoch: int,
) -> dict[str, float]:
    """One pass over the training examples, one over the validation examples; their mean losses."""
    module.train()
    if config.bucketed:
        batches = of_similar_length(train.lengths, config.batch_size)
    else:
        batches = in_turn(torch.randperm(len(train.examples)).tolist(), config.batch_size)
    seen, norms = [], []
    for number, batch in enumerate(train.epoch(batches)):
        rate = learning_rate(config, epoch, (number + 0.5) / len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        noise = config.noise * torch.randn_like(batch.inputs)
        noisy = dataclasses.replace(batch, inputs=batch.inputs + noise)
        added = _sums(module, noisy, config)
        optimizer.zero_grad()
        losses.means(added, config.loss)["loss"].backward()
        norms.append(nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm))
        optimizer.step()
        seen.append(added.detach())
    checked = {"loss": _batch_losses(seen, config), "gradient norm": torch.stack(norms).tolist()}
    _check_finite(checked, config, epoch)
    terms, _ = _means(seen, config)
    row = {f"train/{name}": value for name, value in terms.items()}
    row |= {"learning_rate": rate, "gradient_norm": sum(checked["gradient norm"]) / len(norms)}
    return row | _validation_row(module, validation, config, epoch)


def _validation_row(
    module: nn.Module, validation: Loader, config: TrainConfig, epoch: int
) -> dict[str, float]:
    if not validation.examples:
        return {}
    module.eval()
    order = sorted(range(len(validation.examples)), key=validation.lengths.__getitem__)
    with torch.inference_mode():
        batches = validation.epoch(in_turn(order, config.batch_size))
        seen = [_sums(module, batch, config) for batch in batches]
    _check_finite({"validation loss": _batch_losses(seen, config)}, config, epoch)
    terms, counts = _means(seen, config)
    row = {f"validation/{name}": value for name, value in terms.items()}
    # a correlation or an error where nobody rated would read as perfect
    if counts["plcc"]:
        row["metrics/validation_plcc"] = 1 - terms["plcc"]
    if counts["mse"]:
        row["metrics/validation_rmse"] = math.sqrt(terms["mse"])
    return row


def _sums(module: nn.Module, batch: Batch, config: TrainConfig) -> Tensor:
    precision = PRECISIONS[config.precision]
    mixed = precision is not torch.float32
    with torch.autocast(batch.inputs.device.type, dtype=precision, enabled=mixed):
        continuous, overall = module(batch.inputs, batch.valid)
    return losses.sums(continuous.float(), overall.float(), batch.rated, batch.overall, config.loss)


def _means(
    seen: Sequence[Tensor], config: TrainConfig
) -> tuple[dict[str, float], dict[str, float]]:
    """Terms over the seconds and sessions of all batches, and how many had a label."""
    added = torch.stack(seen).double().sum(0).cpu()
    terms = losses.means(added, config.loss)
    counts = dict(zip(losses.TERMS, added[:, 1].tolist(), strict=True))
    return {name: value.item() for name, value in terms.items()}, counts


def _batch_losses(seen: Sequence[Tensor], config: TrainConfig) -> list[float]:
    return losses.means(torch.stack(seen), config.loss)["loss"].tolist()


def _check_finite(values: dict[str, list[float]], config: TrainConfig, epoch: int) -> None:
    """Name the first batch with a value that is not finite."""
    for batch, row in enumerate(zip(*values.values(), strict=True)):
        for name, value in zip(values, row, strict=True):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"{name} is {value} at epoch {epoch}, batch {batch}; "
                    f"is the learning rate {learning_rate(config, epoch, 0.5):g} too high?"
                )
