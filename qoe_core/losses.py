"""What training minimises: masked errors of the continuous and of the overall score.

Labels are on [0, 1]; a NaN label contributes nothing, so padding and targets nobody rated drop out.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

VARIANCE_FLOOR = 1e-8  # of a [0, 1] label; below it a session's labels count as constant


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms; all are 0 or more and at least one of mse and overall is positive."""

    mse: float = 1.0
    plcc: float = 0.1
    overall: float = 1.0

    def __post_init__(self):
        """Refuse weights that train nothing or push the wrong way."""
        if min(self.mse, self.plcc, self.overall) < 0 or self.mse + self.overall == 0:
            raise ValueError(f"{self}: expected weights of at least 0, mse or overall above it")


def masked_mse(
    predicted: Float[Tensor, "*axes"], rated: Float[Tensor, "*axes"]
) -> Float[Tensor, ""]:
    """Mean squared error over the labels that exist; 0 where none exists."""
    known = torch.isfinite(rated)
    error = torch.where(known, predicted - torch.where(known, rated, 0.0), 0.0)
    return error.square().sum() / known.sum().clamp(min=1)


def plcc_distance(
    predicted: Float[Tensor, "batch time"], rated: Float[Tensor, "batch time"]
) -> Float[Tensor, ""]:
    """Mean over sessions of 1 - PLCC; a session with constant labels or one second counts as 0.

    The denominator carries VARIANCE_FLOOR, so a constant prediction has PLCC 0 and no NaN gradient.
    """
    known = torch.isfinite(rated)
    count = known.sum(1, keepdim=True).clamp(min=1)
    labels = torch.where(known, rated, 0.0)
    x = torch.where(known, predicted - (predicted * known).sum(1, keepdim=True) / count, 0.0)
    y = torch.where(known, labels - labels.sum(1, keepdim=True) / count, 0.0)
    variance_x, variance_y = x.square().sum(1) / count[:, 0], y.square().sum(1) / count[:, 0]
    covariance = (x * y).sum(1) / count[:, 0]
    plcc = covariance / ((variance_x + VARIANCE_FLOOR) * (variance_y + VARIANCE_FLOOR)).sqrt()
    counted = variance_y > VARIANCE_FLOOR
    return torch.where(counted, 1 - plcc, 0.0).sum() / counted.sum().clamp(min=1)


def total(
    continuous: Float[Tensor, "batch time"],
    overall: Float[Tensor, " batch"],
    rated: Float[Tensor, "batch time"],
    rated_overall: Float[Tensor, " batch"],
    config: LossConfig,
) -> dict[str, Float[Tensor, ""]]:
    """The terms by name, and their weighted sum as "loss".

    Source: MSE + w (1 - PLCC) for continuous QoE, MSE for overall; Jia et al., IEEE TCSVT 2024.
    """
    terms = {
        "mse": masked_mse(continuous, rated),
        "plcc": plcc_distance(continuous, rated),
        "overall": masked_mse(overall, rated_overall),
    }
    weighted = (
        config.mse * terms["mse"] + config.plcc * terms["plcc"] + config.overall * terms["overall"]
    )
    return {"loss": weighted, **terms}
