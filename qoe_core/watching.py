"""What a training run shows in TensorBoard: curves, attention maps, the table of its settings.

A step is the number of finished epochs. Looking draws no random number and leaves the module as it
was, so a run that is watched and one that is not end with the same bits.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import pandas as pd
import torch
from jaxtyping import Bool, Float
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from qoe_core.batches import Example, collate

WATCH_EVERY = 10  # epochs between two pictures of the attention
PICTURE = 360  # pixels along the longer side of a map, about


@runtime_checkable
class Attentive(Protocol):
    """A module that can say what it looks at."""

    def attention(
        self, inputs: Float[Tensor, "batch time feat"], valid: Bool[Tensor, "batch time"]
    ) -> dict[str, Float[Tensor, "batch row column"]]:
        """Maps by name: how much each row looks at each column, in [0, 1]."""


def opened(folder: Path, epoch: int) -> SummaryWriter:
    """A writer into `folder` that drops what an interrupted run wrote there after `epoch`."""
    return SummaryWriter(folder, purge_step=epoch + 1)


def looks(step: int, kept: Mapping[str, int | float] | None) -> bool:
    """Whether `show` draws what the module looks at, with the weights that it then has."""
    return kept is not None or step % WATCH_EVERY == 0


def show(
    board: SummaryWriter,
    module: nn.Module,
    examples: Sequence[Example],
    settings: Mapping[str, object],
    rows: Sequence[Mapping[str, int | float]],
    kept: Mapping[str, int | float] | None,
) -> None:
    """Add the latest epoch to every curve, and pictures and the table's line when it is time.

    `rows` has one an epoch; `kept` is that of the weights that a finished run keeps. On a GPU its
    peak memory (MB) since training began is a curve too.
    """
    step = len(rows)
    curves = {name: value for name, value in rows[-1].items() if name != "epoch"}
    if next(module.parameters()).is_cuda:
        curves["peak_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
    # in one event: SummaryWriter.add_scalar makes one of each, which takes five times as long
    points = [Summary.Value(tag=name, simple_value=value) for name, value in curves.items()]
    board.file_writer.add_summary(Summary(value=points), step)
    if looks(step, kept):
        show_attention(board, module, examples, step)
    if kept is not None:
        show_settings(board, module, settings, kept, step)


def show_attention(
    board: SummaryWriter, module: nn.Module, examples: Sequence[Example], step: int
) -> None:
    """Draw what the module looks at in the first example, where it can say so.

    Brightness is the square root of the weight: a look spread over 100 seconds is still visible.
    """
    if not issubclass(type(module), Attentive):  # an instance may hold a block of that name
        return
    device = next(module.parameters()).device
    batch = collate([examples[0]]).to(device)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    with torch.inference_mode(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        maps = module.attention(batch.inputs, batch.valid)
    for part, mode in modes:
        part.training = mode
    for name, weights in maps.items():
        zoom = max(1, round(PICTURE / max(weights[0].shape)))
        picture = torch.kron(weights[0].cpu().sqrt(), torch.ones(zoom, zoom))
        board.add_image(f"attention/{name}", picture, step, dataformats="HW")


def show_settings(
    board: SummaryWriter,
    module: nn.Module,
    settings: Mapping[str, object],
    row: Mapping[str, int | float],
    step: int,
) -> None:
    """Write the finished run's line of the hyper-parameters table: settings, and what was kept.

    Settings inside of settings are named loss.mse, ...; one that is None stays empty. The kept
    epoch's values are curves of one point named best/..., those of validation where there is one.
    """
    flat = pd.json_normalize(dict(settings)).to_dict("records")[0]
    flat["n_parameters"] = sum(parameter.numel() for parameter in module.parameters())
    names = [name for name in row if name.startswith(("validation/", "metrics/"))]
    kept = {f"best/{name}": row[name] for name in names or ["train/loss"]}
    # SummaryWriter.add_hparams would write another file, whose place among the run's is chance
    for summary in hparams(flat, kept):
        board.file_writer.add_summary(summary, step)
    for name, value in kept.items():
        board.add_scalar(name, value, step)
