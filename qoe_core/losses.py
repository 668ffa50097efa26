"""What training minimises: masked errors of the continuous and of the overall score.

Labels are on [0, 1]; a NaN label contributes nothing, so padding and targets nobody rated drop out.
Every term is a mean, handed on as its sum and its count, so that those of batches add up to the
term of all their sessions. How they were batched matters only where a share of a batch's mean error
is forgiven.
"""

import dataclasses
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

VARIANCE_FLOOR = 1e-8  # of a [0, 1] label; below it a session's labels count as constant
TERMS = ("mse", "plcc", "change", "overall")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms, all 0 or more and mse or overall positive, and the kind of two.

    How much people like a content is nothing that a playback shows; a network that is trained on
    few contents fits it by recognising them. `forgiven` is the share of a batch's mean error that
    mse and overall do not see. With batches of one content each, differences between contents then
    count (1 - forgiven)^2 as much as those inside of one, as they count less in a mixed model with
    a random intercept for each content. The level of all of them is set after training.
    """

    mse: float = 1.0
    plcc: float = 0.1
    change: float = 3.0  # of the squared error of the change from second to second
    overall: float = 1.0
    huber: float | None = None  # error of an overall score from which it counts linearly, or never
    forgiven: float = 0.0  # of a batch's mean error; above 0 each batch is of one content

    def __post_init__(self):
        """Refuse weights that train nothing or push the wrong way."""
        weights = (self.mse, self.plcc, self.change, self.overall)
        if min(weights) < 0 or self.mse + self.overall == 0:
            raise ValueError(f"{self}: expected weights of at least 0, mse or overall above it")
        if self.huber is not None and not self.huber > 0:
            raise ValueError(f"{self}: expected huber above 0, or None for the squared error")
        if not 0 <= self.forgiven < 1:
            raise ValueError(f"{self}: expected forgiven from 0 to below 1")


def squared_error(
    predicted: Float[Tensor, "*axes"],
    rated: Float[Tensor, "*axes"],
    huber: float | None = None,
    forgiven: float = 0.0,
) -> Float[Tensor, "2"]:
    """Sum of squared errors less the `forgiven` share of their mean, and how many labels exist.

    With `huber` torch's Huber loss takes the place of the square.
    """
    known = torch.isfinite(rated)
    error = torch.where(known, predicted - torch.where(known, rated, 0.0), 0.0)
    if forgiven:
        mean = error.sum() / known.sum().clamp(min=1)
        error = torch.where(known, error - forgiven * mean, 0.0)
    if huber is None:
        penalty = error.square()
    else:
        nothing = torch.zeros_like(error)
        penalty = torch.nn.functional.huber_loss(error, nothing, reduction="none", delta=huber)
    return torch.stack([penalty.sum(), known.sum(dtype=error.dtype)])


def plcc_distance(
    predicted: Float[Tensor, "batch time"], rated: Float[Tensor, "batch time"]
) -> Float[Tensor, "2"]:
    """Sum over sessions of 1 - PLCC, and how many have labels that vary; the others add nothing.

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
    varies = variance_y > VARIANCE_FLOOR
    return torch.stack([torch.where(varies, 1 - plcc, 0.0).sum(), varies.sum(dtype=plcc.dtype)])


def sums(
    continuous: Float[Tensor, "batch time"],
    overall: Float[Tensor, " batch"],
    rated: Float[Tensor, "batch time"],
    rated_overall: Float[Tensor, " batch"],
    config: LossConfig,
) -> Float[Tensor, "4 2"]:
    """Sum and count of each of TERMS: over seconds, sessions, pairs of seconds, sessions."""
    terms = (
        squared_error(continuous, rated, forgiven=config.forgiven),
        plcc_distance(continuous, rated),
        squared_error(continuous.diff(), rated.diff()),
        squared_error(overall, rated_overall, config.huber, config.forgiven),
    )
    return torch.stack(terms)


def means(
    added: Float[Tensor, "*batches 4 2"], config: LossConfig
) -> dict[str, Float[Tensor, "*batches"]]:
    """The terms by name, 0 where nothing was rated, and their weighted sum as "loss".

    Source: MSE + w (1 - PLCC) for continuous QoE, MSE for overall; Jia et al., IEEE TCSVT 2024.
    Deviation: the error of the change, since ratings are smoother than what networks make of
    frames that jump.
    """
    values = added[..., 0] / added[..., 1].clamp(min=1)
    terms = dict(zip(TERMS, values.unbind(-1), strict=True))
    weights = dataclasses.asdict(config)
    return {"loss": sum(weights[name] * terms[name] for name in TERMS), **terms}


def total(
    continuous: Float[Tensor, "batch time"],
    overall: Float[Tensor, " batch"],
    rated: Float[Tensor, "batch time"],
    rated_overall: Float[Tensor, " batch"],
    config: LossConfig,
) -> dict[str, Float[Tensor, ""]]:
    """The loss of one batch and its terms by name."""
    return means(sums(continuous, overall, rated, rated_overall, config), config)
