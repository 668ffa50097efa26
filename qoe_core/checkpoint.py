"""The state of a training run in one file, written whole or not at all, read without running code.

A checkpoint is a safetensors file: tensors by name, and one JSON text for everything else.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn, optim


def save(path: Path, tensors: Mapping[str, Tensor], state: object) -> None:
    """Write `path` under a temporary name, flush it to disk, then rename it.

    Args:
        path: where; its folder must exist.
        tensors: any shapes and types, by name.
        state: whatever JSON can hold; floats survive exactly.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(whole, unfinished, metadata={"state": json.dumps(state)})
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


def load(path: Path) -> tuple[dict[str, Tensor], object]:
    """The tensors and the state of a checkpoint.

    Raises:
        ValueError: the file is damaged or is not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path}: not a readable checkpoint ({error}), expected safetensors; "
            "delete it to train this model again"
        ) from error
    if "state" not in metadata:
        raise ValueError(f"{path}: weights without a training state; was another file copied here?")
    return tensors, json.loads(metadata["state"])


def load_weights(module: nn.Module, path: Path) -> None:
    """Give `module` the weights that a saved network of the same sizes has in the file.

    Raises:
        ValueError: the file is damaged, or its tensors are not those of `module`, which is then
            left as it was.
    """
    weights, _ = load(path)
    own = module.state_dict()
    for name in (*own, *weights):
        here, there = (
            f"of shape {tuple(tensors[name].shape)}" if name in tensors else "missing"
            for tensors in (own, weights)
        )
        if here != there:
            raise ValueError(
                f"{path}: {name} is {there} there and {here} in this {type(module).__name__}; was "
                "it saved with other sizes, another number of inputs or by another kind of network?"
            )
    module.load_state_dict(weights)


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` with `prefix/` before each name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix/`, without it."""
    start = f"{prefix}/"
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


@dataclass
class Progress:
    """Where a training run stands after its finished epochs."""

    rows: list[dict[str, int | float]] = field(default_factory=list)  # one an epoch
    best_epoch: int = 0  # epochs finished when the best weights were seen
    best_loss: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)  # the weights then

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return len(self.rows)

    def add(self, row: dict[str, float], module: nn.Module) -> None:
        """Note one more epoch; without a validation loss in `row` the latest is the best."""
        self.rows.append({"epoch": self.epoch, **row})
        loss = row.get("validation/loss", self.best_loss)
        if "validation/loss" not in row or loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, self.epoch
            self.best = {name: t.detach().clone() for name, t in module.state_dict().items()}


def store(
    path: Path,
    module: nn.Module,
    optimizer: optim.Optimizer,
    fingerprint: dict[str, object],
    progress: Progress,
) -> None:
    """Write everything that continuing needs; `fingerprint` says which run this is."""
    moments = {
        f"{index}/{name}": tensor
        for index, state in optimizer.state_dict()["state"].items()
        for name, tensor in state.items()
    }
    tensors = (
        prefixed("last", module.state_dict())
        | prefixed("best", progress.best)
        | prefixed("optimizer", moments)
    )
    state = {"fingerprint": fingerprint, "rows": progress.rows, "best_epoch": progress.best_epoch}
    save(path, tensors, state)


def restore(
    path: Path,
    module: nn.Module,
    optimizer: optim.Optimizer,
    fingerprint: dict[str, object],
) -> Progress:
    """Put module and optimizer back to where `store` left them.

    Raises:
        ValueError: the file is damaged, or belongs to another run than `fingerprint`.
    """
    tensors, state = load(path)
    there = state.get("fingerprint", {})
    different = [
        f"{name} is {there.get(name)!r} there and {value!r} here"
        for name, value in fingerprint.items()
        if there.get(name) != value
    ]
    if different:
        raise ValueError(
            f"{path}: belongs to another run: {'; '.join(different)}; "
            "train into another folder or delete this one"
        )
    module.load_state_dict(without_prefix("last", tensors))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in without_prefix("optimizer", tensors).items():
        index, moment = name.split("/")
        moments.setdefault(int(index), {})[moment] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    rows, best_epoch = state["rows"], state["best_epoch"]
    best_loss = rows[best_epoch - 1].get("validation/loss", math.inf)
    return Progress(rows, best_epoch, best_loss, without_prefix("best", tensors))
