"""Modules whose attributions are known by hand, and sessions of them."""

import torch
from torch import nn

from qoe_core.attribution import Subject


class Linear(nn.Module):
    """Score t is the weighted sum of second t's inputs; the overall score their sum."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))
        self.dropout = nn.Dropout(0.5)

    def forward(self, inputs, valid):
        continuous = self.dropout(inputs) @ self.weights
        return continuous, continuous.sum(1)


class Running(nn.Module):
    """Score t is the product of the running sums of both inputs: causal, and not linear."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, inputs, valid):
        sums = inputs.cumsum(1)
        continuous = self.scale * sums[..., 0] * sums[..., 1]
        return continuous, continuous.mean(1)


def subject(module, inputs, baseline=(0.5, 0.25), target="overall"):
    """A session of two inputs, a and b."""
    return Subject(
        module=module,
        inputs=inputs,
        baseline=torch.tensor(baseline),
        groups={"a": slice(0, 1), "b": slice(1, 2)},
        target=target,
        name="tiny/one",
    )
