"""Networks of one shape as one: their weights are the rows of a matrix, a step moves every row.

Axes: run = networks, weight = their trained parameters in order. A row's numbers do not depend on
the other rows, but for the rounding of its last digit.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from qoe_core import kernels
from qoe_core.kernels import ONE, F, compiled

BETAS = 0.9, 0.999  # AdamW's defaults in torch, as is EPSILON
EPSILON = 1e-8
NEW, LEAST_ROOT = (F(1 - BETAS[0]), F(1 - BETAS[1])), F(EPSILON)
CLIP_FLOOR = 1e-6  # as in torch.nn.utils.clip_grad_norm_


class Stack:
    """Modules that map (inputs, valid) to (continuous, overall), called at once.

    A single module is called as it is; more of them through `torch.vmap`, so their `forward` must
    not branch on values.

    Raises:
        ValueError: several modules that differ in more than the values of their weights, or that
            draw dropout, which would depend on what is trained beside them.
    """

    def __init__(
        self, modules: Sequence[nn.Module], device: torch.device, names: Sequence[str] | None = None
    ):
        """Copy the weights; `write_back` gives them to the modules again. `names` for messages."""
        _check_alike(modules)
        self.names = names or [""] * len(modules)
        self.modules = [module.to(device) for module in modules]
        self._one = copy.deepcopy(self.modules[0])
        self._shapes = {name: weights.shape for name, weights in _trained(self._one).items()}
        rows = [torch.cat([w.flatten() for w in _trained(m).values()]) for m in self.modules]
        self.weights = torch.stack(rows).detach().requires_grad_()

    def train(self, mode: bool) -> None:
        """Training mode on or off."""
        self._one.train(mode)

    def __call__(
        self,
        inputs: Float[Tensor, "run batch time feat"],
        valid: Bool[Tensor, "run batch time"],
    ) -> tuple[Float[Tensor, "run batch time"], Float[Tensor, "run batch"]]:
        """Scores of each module for its own batch."""
        return self.each(self._call, self._named(), inputs, valid)

    def each(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What `function` gives for each run, given its row of every tensor in `arguments`."""
        if len(self.modules) > 1:
            return torch.vmap(function)(*arguments)
        given = tree_map(lambda tensor: tensor[0], arguments)
        return tree_map(lambda tensor: tensor.unsqueeze(0), function(*given))

    def _named(self) -> dict[str, Tensor]:
        parts = self.weights.split([shape.numel() for shape in self._shapes.values()], dim=1)
        shapes = zip(self._shapes.items(), parts, strict=True)
        return {name: part.view(-1, *shape) for (name, shape), part in shapes}

    def _call(
        self, named: dict[str, Tensor], inputs: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        return functional_call(self._one, named, (inputs, valid))

    @torch.no_grad()
    def write_back(self) -> None:
        """Give each module the weights of its row."""
        for name, rows in self._named().items():
            for module, row in zip(self.modules, rows, strict=True):
                module.get_parameter(name).copy_(row)


class AdamW:
    """AdamW on the rows of a matrix, each with its own learning rate and number of steps.

    Source: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2,
    as torch.optim.AdamW has it.
    """

    def __init__(self, weights: Float[Tensor, "run weight"], weight_decay: float):
        """Nothing moved yet."""
        self.weights = weights
        self.weight_decay = weight_decay
        self.first = torch.zeros_like(weights, requires_grad=False)  # moment of the gradient
        self.second = torch.zeros_like(self.first)  # moment of its square
        self.n_steps = torch.zeros(len(weights), device=weights.device)

    @torch.no_grad()
    def step(
        self,
        gradient: Float[Tensor, "run weight"],
        rates: Float[Tensor, " run"],
        active: Bool[Tensor, " run"],
    ) -> None:
        """Move the rows that are active; the others stay, with their moments."""
        on = active.to(gradient.dtype)
        self.n_steps += on
        n_steps = self.n_steps.clamp(min=1)
        # 1 - beta ** n_steps, which would lose half of its digits in single precision
        first, second = (-torch.expm1(n_steps * math.log(beta)) for beta in BETAS)
        kept, lengths = 1 - on * rates * self.weight_decay, on * rates / first
        moved = self.weights, self.first, self.second
        move = _move_rows if kernels.suit(*moved, gradient) else _move
        move(*moved, gradient, on, kept, lengths, second.sqrt())


def _move(
    weights: Tensor, first: Tensor, second: Tensor, gradient: Tensor,
    on: Tensor, kept: Tensor, lengths: Tensor, scale: Tensor,
) -> None:  # fmt: skip
    """Moments, and weights times `kept` less `lengths` times their ratio, in place."""
    first.lerp_(gradient, (1 - BETAS[0]) * on[:, None])
    second.lerp_(gradient.square(), (1 - BETAS[1]) * on[:, None])
    ratio = first / (second.sqrt() / scale[:, None] + EPSILON)
    weights *= kept[:, None]
    weights -= lengths[:, None] * ratio


def _move_rows(*rows: Tensor) -> None:
    """The same on a CPU in single precision, in one pass."""
    _move_each(*kernels.arrays(*rows))


@compiled
def _move_each(weights, first, second, gradient, on, kept, lengths, scale):
    for run in range(len(weights)):
        if on[run]:
            row, m, v, g = weights[run], first[run], second[run], gradient[run]
            share, length, inverse = kept[run], lengths[run], ONE / scale[run]
            for i in range(len(row)):
                m[i] += (g[i] - m[i]) * NEW[0]
                v[i] += (g[i] * g[i] - v[i]) * NEW[1]
                row[i] = row[i] * share - length * m[i] / (np.sqrt(v[i]) * inverse + LEAST_ROOT)


def clipped(
    gradient: Float[Tensor, "run weight"], norm: float
) -> tuple[Float[Tensor, "run weight"], Float[Tensor, " run"]]:
    """Each row with at most this norm, and the norms before."""
    norms = gradient.norm(dim=1)
    return gradient * (norm / (norms + CLIP_FLOOR)).clamp(max=1)[:, None], norms


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def _check_alike(modules: Sequence[nn.Module]) -> None:
    first, *others = modules
    counting = [m for m in first.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
    drawing = [m for m in first.modules() if isinstance(m, nn.Dropout) and m.p > 0]
    if counting:
        raise ValueError(
            f"a module has {counting[0]}, whose statistics are no weights and would not be kept; "
            "expected LayerNorm, or another norm that needs none"
        )
    if others and drawing:
        raise ValueError(
            f"{len(modules)} modules with {drawing[0]}, expected no dropout or one module: what "
            "dropout draws would depend on what is trained beside a module"
        )
    if not all(_alike(first, other) for other in others):
        raise ValueError(
            f"{len(modules)} modules differ in more than their trained weights, expected the same "
            f"sizes as {first}; were they built from different configurations?"
        )


def _alike(first: nn.Module, other: nn.Module) -> bool:
    """Whether only the values of trained weights differ."""
    trained = _trained(first).keys()
    here, there = first.state_dict(), other.state_dict()
    same_names = here.keys() == there.keys() and trained == _trained(other).keys()
    if str(first) != str(other) or _settings(first) != _settings(other) or not same_names:
        return False
    return all(
        weights.shape == there[name].shape and (name in trained or weights.equal(there[name]))
        for name, weights in here.items()
    )


def _settings(module: nn.Module) -> list[str]:
    """What the parts of a module keep in attributes, which its text may leave out."""
    parts = (vars(part).items() for part in module.modules())
    return [repr([i for i in part if i[0] != "training" and i[0][0] != "_"]) for part in parts]
