"""Why a network says what it says of one session, and of a chosen second of it.

Axes: time = seconds, key = the seconds that are looked at. The network is that of the fold which
tested the session. Scores and effects are labels on [0, 1]; the true effect of an input is the
score minus the score with that input at its training mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from qoe_core import attribution, frames
from qoe_core.attention_maps import AttentionMaps, attention_maps
from qoe_core.attribution import Subject, subject
from qoe_core.frames import FrameConfig
from qoe_core.models.dual_attention import DualAttention
from qoe_core.models.network import FittedNetwork
from qoe_core.pixel_saliency import saliency, sees_frames, shown
from qoe_core.session import Session
from qoe_core.trained import Trained

PLAIN = FrameConfig(height=180, width=320)  # of a frame that the network does not see


@dataclass(frozen=True, eq=False, kw_only=True)
class Second:
    """What is known of one second; a network without a part has an empty mapping, or None."""

    attention: Mapping[str, Float[np.ndarray, " key"]]  # by branch and layer
    effects: Mapping[str, float]  # of each input throughout the session on this second's score
    frame: UInt8[np.ndarray, "height width 3"] | None  # of the session's video
    strength: Float[np.ndarray, "height width"] | None  # of each pixel, if the network sees them


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """One network on one session that it has not seen; made by `explain`."""

    network: FittedNetwork
    session: Session
    baseline: Float[np.ndarray, " feat"]

    @cached_property
    def curves(self) -> dict[str, Float[np.ndarray, " time"]]:
        """What every second contributes to the mean score, by method of attribution.

        The gradient's norm is no contribution and is left to 06_attention.
        """
        found = attribution.per_second(self._subject())
        return {name: values.numpy() for name, values in found.items() if name != "gradient"}

    @cached_property
    def maps(self) -> AttentionMaps | None:
        """Attention of all seconds; None for a network without attention."""
        whole = self._subject()
        return attention_maps(whole) if isinstance(whole.module, DualAttention) else None

    @cached_property
    def _effects(self) -> list[dict[str, float]]:
        """Of each input throughout the session on the score of each second."""
        whole = self._subject(attribution.SECONDS)
        of_seconds = attribution.group_effects(whole).T.tolist()
        return [dict(zip(whole.groups, values, strict=True)) for values in of_seconds]

    @cached_property
    def _shown(self) -> UInt8[Tensor, "time 3 height width"]:
        if self.has_pixels:
            return shown(self.network, self.session)
        parts = frames.seconds(self.session.video, PLAIN)
        return torch.cat([part.frames[:, 0] for part in parts])

    @property
    def has_pixels(self) -> bool:
        """Whether the network sees the frames of the session."""
        return sees_frames(self.network, self.session)

    def second(self, second: int) -> Second:
        """Attention, effects and pixels of one second.

        Raises:
            ValueError: the session has no such second, or an effect is not a number.
        """
        of_second = self._subject(second)
        looked = {} if self.maps is None else self.maps.long_time
        frame = strength = None
        if self.has_pixels:
            seen = saliency(self.network, self.session, of_second, [second], self._shown)
            frame, strength = seen.frames[0], seen.strength[0]
        elif self.session.video is not None:
            frame = self._shown[second].permute(1, 2, 0).numpy()
        return Second(
            attention={name: weights[second].numpy() for name, weights in looked.items()},
            effects=self._effects[second],
            frame=frame,
            strength=strength,
        )

    def _subject(self, target: attribution.Target = attribution.MEAN) -> Subject:
        return subject(self.network, self.session, self.baseline, target)


def explain(trained: Trained, session: Session, sessions: Sequence[Session]) -> Explanation:
    """The network that tested `session`, and its training mean over `sessions` of the data set.

    Raises:
        ValueError: the session was not tested, or several folds tested it.
    """
    fold = trained.fold(session.name)
    return Explanation(
        network=trained.network(fold), session=session, baseline=trained.baseline(fold, sessions)
    )
