"""The only training loop: any module, any examples, resumable bit for bit on a CPU.

A module maps (inputs, valid) of a batch to (continuous, overall). Epoch e draws its order and its
dropout from (seed, e) alone, so a run that was interrupted after any epoch and a run that was not
are the same run.
"""

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from qoe_core import losses
from qoe_core.batches import Batch, Example
from qoe_core.checkpoint import Progress, restore, store
from qoe_core.loading import Loader, in_turn
from qoe_core.losses import LossConfig

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained; nothing here changes the shape of its weights."""

    n_epochs: int = 60
    batch_size: int = 16  # sessions
    learning_rate: float = 3e-3  # AdamW
    decay: float = 0.97  # of the learning rate, per epoch
    weight_decay: float = 1e-2
    clip_norm: float = 1.0  # of the gradient
    patience: int = 15  # epochs without a better validation loss before stopping
    device: str = "auto"  # cuda where there is one, else cpu; or either by name
    precision: str = "float32"  # or bfloat16: mixed precision
    loaders: int = 0  # processes that load batches ahead; 0 where examples lie in memory
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self):
        """Refuse settings that would fail, or train nothing, after hours."""
        sizes = (self.n_epochs, self.batch_size, self.patience)
        rates = (self.learning_rate, self.decay, self.clip_norm)
        positive = min(sizes) >= 1 and min(rates) > 0
        if not positive or self.decay > 1 or min(self.weight_decay, self.loaders) < 0:
            raise ValueError(f"{self}: expected counts of at least 1, positive rates, decay <= 1")
        if self.precision not in PRECISIONS or self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(
                f"precision {self.precision!r} on device {self.device!r}: expected one of "
                f"{list(PRECISIONS)} on auto, cpu or cuda"
            )

    def what_matters(self) -> dict[str, object]:
        """The fields that change the numbers; who loads the batches does not."""
        facts = dataclasses.asdict(self)
        del facts["loaders"]
        return facts


def fit(
    module: nn.Module,
    train: Sequence[Example],
    validation: Sequence[Example],
    config: TrainConfig,
    seed: int,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Train `module` in place and leave it with its best weights; one row per epoch comes back.

    Best is the lowest validation loss; without validation examples, the last epoch. With a
    `folder`, each epoch writes a checkpoint and TensorBoard scalars there, and a checkpoint found
    there is continued.

    Raises:
        FloatingPointError: the loss stopped being finite; names the epoch and the batch.
        ValueError: the checkpoint in `folder` belongs to another configuration, or is damaged.
    """
    device = resolve_device(config.device)
    module.to(device)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    fingerprint = {
        **config.what_matters(),
        "seed": seed,
        "n_train": len(train),
        "module": str(module),
    }
    loaders = [Loader(part, device, config.loaders) for part in (train, validation)]
    progress = Progress()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).exists():
            progress = restore(folder / CHECKPOINT, module, optimizer, fingerprint)
    with _scalars(folder, progress.epoch) as writer, torch.random.fork_rng():
        while not _finished(progress, config, bool(validation)):
            torch.manual_seed(seed * 1_000_003 + progress.epoch)
            row = _epoch(module, optimizer, *loaders, config, progress.epoch)
            progress.add(row, module)
            if folder is not None:
                for name, value in row.items():
                    writer.add_scalar(name, value, progress.epoch)
                store(folder / CHECKPOINT, module, optimizer, fingerprint, progress)
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


def _scalars(
    folder: Path | None, epoch: int
) -> contextlib.AbstractContextManager[SummaryWriter | None]:
    """A TensorBoard writer that drops what an interrupted run wrote after `epoch`."""
    if folder is None:
        return contextlib.nullcontext()
    return SummaryWriter(folder / "tensorboard", purge_step=epoch + 1)


def _finished(progress: Progress, config: TrainConfig, has_validation: bool) -> bool:
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= config.n_epochs or (has_validation and waited >= config.patience)


def _epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    train: Loader,
    validation: Loader,
    config: TrainConfig,
    epoch: int,
) -> dict[str, float]:
    """One pass over the training examples, one over the validation examples; their mean losses."""
    rate = config.learning_rate * config.decay**epoch
    for group in optimizer.param_groups:
        group["lr"] = rate
    module.train()
    order = torch.randperm(train.n_examples).tolist()
    sums: dict[str, float] = {}
    norms = []
    for number, batch in enumerate(train.epoch(in_turn(order, config.batch_size))):
        terms = _terms(module, batch, config)
        _check_finite("loss", terms["loss"], config, epoch, number)
        optimizer.zero_grad()
        terms["loss"].backward()
        norm = nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm)
        optimizer.step()
        norms.append(norm.item())
        _add(sums, terms, len(batch.inputs))
    row = {f"train/{name}": value / train.n_examples for name, value in sums.items()}
    row |= {"learning_rate": rate, "gradient_norm": sum(norms) / len(norms)}
    return row | _validation_row(module, validation, config, epoch)


def _validation_row(
    module: nn.Module, validation: Loader, config: TrainConfig, epoch: int
) -> dict[str, float]:
    if not validation.n_examples:
        return {}
    module.eval()
    sums: dict[str, float] = {}
    rated = False
    order = range(validation.n_examples)
    with torch.inference_mode():
        for number, batch in enumerate(validation.epoch(in_turn(order, config.batch_size))):
            rated |= bool(batch.rated.isfinite().any())
            terms = _terms(module, batch, config)
            _check_finite("validation loss", terms["loss"], config, epoch, number)
            _add(sums, terms, len(batch.inputs))
    row = {f"validation/{name}": value / len(order) for name, value in sums.items()}
    if not rated:
        return row  # a correlation with labels that nobody gave would read as perfect
    metrics = {
        "metrics/validation_plcc": 1 - row["validation/plcc"],
        "metrics/validation_rmse": math.sqrt(row["validation/mse"]),
    }
    return row | metrics


def _check_finite(name: str, loss: Tensor, config: TrainConfig, epoch: int, batch: int) -> None:
    if not torch.isfinite(loss):
        raise FloatingPointError(
            f"{name} is {loss.item()} at epoch {epoch}, batch {batch}; "
            f"is the learning rate {config.learning_rate * config.decay**epoch:g} too high?"
        )


def _terms(module: nn.Module, batch: Batch, config: TrainConfig) -> dict[str, Tensor]:
    precision = PRECISIONS[config.precision]
    mixed = precision is not torch.float32
    with torch.autocast(batch.inputs.device.type, dtype=precision, enabled=mixed):
        continuous, overall = module(batch.inputs, batch.valid)
    return losses.total(
        continuous.float(), overall.float(), batch.rated, batch.overall, config.loss
    )


def _add(sums: dict[str, float], terms: dict[str, Tensor], weight: int) -> None:
    for name, value in terms.items():
        sums[name] = sums.get(name, 0.0) + value.item() * weight
