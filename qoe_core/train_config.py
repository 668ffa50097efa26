"""How a network is trained: the recipe, and the learning rate that follows from it."""

import dataclasses
import math
from dataclasses import dataclass, field

import torch

from qoe_core.losses import LossConfig

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WARM_UP = 0.1  # of the epochs


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained; nothing here changes the shape of its weights."""

    n_epochs: int = 10
    batch_size: int = 4  # sessions
    bucketed: bool = True  # batches of similar length, which need little padding; else random ones
    learning_rate: float = 3e-3  # AdamW; the highest
    decay: float | None = None  # of the learning rate, per epoch; None: warm-up, then half a cosine
    weight_decay: float = 1e-2
    noise: float = 0.1  # SD of what is added to the scaled inputs in training
    clip_norm: float = 1.0  # of the gradient
    patience: int | None = None  # epochs without a better validation loss; None: all are trained
    kept_from: int = 1  # the first epoch that validation may find the best
    device: str = "auto"  # cuda where there is one, else cpu; or either by name
    precision: str = "float32"  # or bfloat16: mixed precision
    loaders: int = 0  # processes that load batches ahead; 0 where examples lie in memory
    sessions_at_once: int = 512  # in a step of all networks that are trained together
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self):
        """Refuse settings that would fail, or train nothing, after hours."""
        decay = 1.0 if self.decay is None else self.decay
        patience = 1 if self.patience is None else self.patience
        sizes = (self.n_epochs, self.batch_size, self.sessions_at_once, patience, self.kept_from)
        positive = min(sizes) >= 1 and min(self.learning_rate, self.clip_norm) > 0
        others = min(self.weight_decay, self.loaders, self.noise)
        if not positive or others < 0 or not 0 < decay <= 1:
            raise ValueError(f"{self}: expected counts of at least 1, positive rates, decay <= 1")
        if self.precision not in PRECISIONS or self.device not in ("auto", "cpu", "cuda"):
            raise ValueError(
                f"precision {self.precision!r} on device {self.device!r}: expected one of "
                f"{list(PRECISIONS)} on auto, cpu or cuda"
            )

    def what_matters(self) -> dict[str, object]:
        """The fields that change the numbers: not who loads batches and how many are computed."""
        facts = dataclasses.asdict(self)
        del facts["loaders"], facts["sessions_at_once"]
        return facts


def learning_rate(config: TrainConfig, epoch: int, done: float = 0.0) -> float:
    """The rate in an epoch of which the share `done` is over.

    Exponential in the epoch with `decay`; without, it rises from 0 over WARM_UP of all epochs and
    falls to 0 along half a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5).
    """
    if config.decay is not None:
        return config.learning_rate * config.decay**epoch
    share = (epoch + done) / config.n_epochs
    if share < WARM_UP:
        return config.learning_rate * share / WARM_UP
    return config.learning_rate * (1 + math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))) / 2
