"""The state of a training run in one file, written whole or not at all, read without running code.

A checkpoint is a safetensors file: tensors by name, and one JSON text for everything else.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from qoe_core.stack import AdamW


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


@dataclass
class Progress:
    """Where training stands after its finished epochs; one entry, or row, for each network."""

    rows: list[list[dict[str, int | float]]]  # one an epoch
    best_epoch: list[int]  # epochs finished when the best weights were seen
    best: Float[Tensor, "run weight"]  # the weights then

    @classmethod
    def start(cls, weights: Float[Tensor, "run weight"]) -> "Progress":
        """No epoch finished."""
        return cls([[] for _ in weights], [0] * len(weights), weights.detach().clone())

    def epoch(self, run: int) -> int:
        """Epochs that a network has finished."""
        return len(self.rows[run])

    def best_loss(self, run: int) -> float:
        """The lowest validation loss so far; without validation, none is lower."""
        kept = self.rows[run][: self.best_epoch[run]]
        return kept[-1].get("validation/loss", math.inf) if kept else math.inf

    def add(
        self,
        run: int,
        row: dict[str, float],
        weights: Float[Tensor, " weight"],
        kept_from: int = 1,
    ) -> None:
        """Note one more epoch; the latest is the best without a validation loss in `row`.

        It also is up to epoch `kept_from`, counted from 1.
        """
        better = row.get("validation/loss", -math.inf) < self.best_loss(run)
        self.rows[run].append({"epoch": self.epoch(run), **row})
        if better or self.epoch(run) <= kept_from:
            self.best_epoch[run] = self.epoch(run)
            self.best[run] = weights.detach()


def store(
    path: Path,
    weights: Tensor,
    optimizer: AdamW,
    fingerprint: dict[str, object],
    progress: Progress,
) -> None:
    """Write everything that continuing needs; `fingerprint` says which run this is."""
    tensors = {
        "weights": weights,
        "best": progress.best,
        "first": optimizer.first,
        "second": optimizer.second,
        "n_steps": optimizer.n_steps,
    }
    state = {"fingerprint": fingerprint, "rows": progress.rows, "best_epoch": progress.best_epoch}
    save(path, tensors, state)


def restore(
    path: Path, weights: Tensor, optimizer: AdamW, fingerprint: dict[str, object]
) -> Progress:
    """Put weights and optimizer back to where `store` left them.

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
    with torch.no_grad():
        weights.copy_(tensors["weights"])
    for name in ("first", "second", "n_steps"):
        getattr(optimizer, name).copy_(tensors[name])
    return Progress(state["rows"], state["best_epoch"], tensors["best"].to(weights.device))
