"""What a network costs: its weights, multiply-adds per second of video, time of a training step.

A module maps (inputs [batch time feat], valid [batch time]) to (continuous, overall).
"""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from qoe_core import losses

BATCH = 16  # sessions of a training step
MEASURED_S = 0.5  # at least, over repeated steps

Shape = torch.Size


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one network costs; the first two are the same everywhere, the time is not."""

    parameters: int
    multiply_adds_per_second: float  # per second of video, of one session scored as a whole
    ms_per_step: float  # median, on this machine at one thread


def cost(module: nn.Module, n_seconds: int, n_feat: int) -> Cost:
    """The cost of `module` on sessions of `n_seconds` with `n_feat` inputs; it is left as it was.

    Multiply-adds are those of matrix products, convolutions and attention as they are computed:
    attention over all pairs of seconds, masked ones included, so they grow with `n_seconds`. A
    training step is forward, loss, backward and AdamW on BATCH sessions, on the CPU.

    Raises:
        ValueError: no second or no input.
    """
    if min(n_seconds, n_feat) < 1:
        raise ValueError(
            f"n_seconds is {n_seconds} and n_feat {n_feat}, expected at least 1 each; "
            "is the session empty?"
        )
    trained = copy.deepcopy(module).cpu().train()
    with torch.random.fork_rng(devices=[]):
        return Cost(
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            multiply_adds_per_second=_multiply_adds(trained, n_seconds, n_feat) / n_seconds,
            ms_per_step=_step_ms(trained, n_seconds, n_feat),
        )


def _multiply_adds(module: nn.Module, n_seconds: int, n_feat: int) -> float:
    """Of the forward pass of one session, half of torch's count of operations.

    In training mode and double precision, because evaluation takes fused paths and single precision
    compiled loops, whose products no counter sees.
    """
    module = copy.deepcopy(module).double()
    formulas = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    inputs = torch.rand(1, n_seconds, n_feat, dtype=torch.float64)
    valid = torch.ones(1, n_seconds, dtype=torch.bool)
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        module(inputs, valid)
    return counter.get_total_flops() / 2


def _attention_flops(queries: Shape, keys: Shape, values: Shape, *_: object, **__: object):
    """Of fused attention on the CPU; the counter knows those of GPUs only."""
    return sdpa_flop_count(queries, keys, values)


def _step_ms(module: nn.Module, n_seconds: int, n_feat: int) -> float:
    optimizer = torch.optim.AdamW(module.parameters())
    inputs = torch.rand(BATCH, n_seconds, n_feat)
    valid = torch.ones(BATCH, n_seconds, dtype=torch.bool)
    rated, overall = torch.rand(BATCH, n_seconds), torch.rand(BATCH)
    config = losses.LossConfig()

    def step() -> None:
        optimizer.zero_grad()
        losses.total(*module(inputs, valid), rated, overall, config)["loss"].backward()
        optimizer.step()

    timer = Timer("step()", globals={"step": step}, num_threads=1)
    return timer.blocked_autorange(min_run_time=MEASURED_S).median * 1e3
