"""What every row of a results table is: fitted on sessions, asked for one session at a time.

Predictions are on the data set's own rating scale. A causal model's score at second t depends on
seconds 0..t of the session only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from qoe_core.session import Session


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one session; None where it was not trained for that target."""

    continuous: Float[np.ndarray, " time"] | None
    overall: float | None


@runtime_checkable
class Fitted(Protocol):
    """A model after training; `predict_all(sessions)` where it is faster for many at once."""

    def predict(self, session: Session) -> Prediction:
        """Scores of one session, which may be longer than any seen in training."""
        ...


@runtime_checkable
class Model(Protocol):
    """A model before training."""

    stops_early: bool  # needs a validation part; otherwise that part joins training
    seeded: bool  # another seed gives another model; otherwise one run says it all

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> Fitted:
        """Train; `folder` keeps checkpoints and curves of models that have them."""
        ...


def training_ratings(
    train: Sequence[Session],
) -> tuple[list[Float[np.ndarray, " time"]] | None, list[float] | None]:
    """Continuous and overall labels of the training sessions, each None where nobody gave them.

    Raises:
        ValueError: only some of the sessions carry a label.
    """
    continuous = [s.rated for s in train if s.rated is not None]
    overall = [s.overall for s in train if s.overall is not None]
    for target, labels in (("rated", continuous), ("overall", overall)):
        if len(labels) not in (0, len(train)):
            raise ValueError(
                f"{len(labels)} of {len(train)} training sessions of {train[0].dataset} have "
                f"{target}, expected all or none; are two data sets mixed?"
            )
    return continuous or None, overall or None
