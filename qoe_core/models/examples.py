"""Sessions as what a network is trained on: scaled inputs and labels, made when asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from qoe_core.batches import Example
from qoe_core.inputs import FeatureConfig, features
from qoe_core.qos import LabelScale, Rating, Scaling
from qoe_core.session import Session


@dataclass(frozen=True, eq=False)
class Examples(Sequence[Example]):
    """One example a session, made when it is asked for: scaled inputs, and scaled labels.

    A label is NaN where the session has none or its scale is None. May be sent to other processes,
    each of which opens the store in `folder` for itself.
    """

    sessions: Sequence[Session]
    inputs: FeatureConfig
    scaling: Scaling
    continuous: LabelScale | None
    overall: LabelScale | None
    folder: Path  # of the store with the frame features

    def __len__(self) -> int:
        """As many as sessions."""
        return len(self.sessions)

    def __getitem__(self, place: int) -> Example:
        """The example of the session at this place."""
        return self._made([self.sessions[place]])[0]

    def at_once(self) -> list[Example]:
        """All of them, parts of one table: several times as fast as one by one."""
        return self._made(self.sessions) if self.sessions else []

    def _made(self, sessions: Sequence[Session]) -> list[Example]:
        lengths = [session.n_seconds for session in sessions]
        seen = [features(session, self.inputs, self.folder) for session in sessions]
        rated = [_label(self.continuous, s.rated, np.full(s.n_seconds, np.nan)) for s in sessions]
        overall = [_label(self.overall, session.overall, np.nan) for session in sessions]
        tables = self.scaling(np.concatenate(seen)), np.concatenate(rated), np.array(overall)
        inputs, labels, scores = (torch.tensor(table, dtype=torch.float32) for table in tables)
        contents = [session.content for session in sessions]
        parts = inputs.split(lengths), labels.split(lengths), scores, contents
        return [Example(*part) for part in zip(*parts, strict=True)]


def _label(scale: LabelScale | None, rating: Rating | None, nothing: Rating) -> Rating:
    return nothing if scale is None or rating is None else scale.scale(rating)
