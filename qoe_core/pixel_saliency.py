"""Which pixels of a shown frame move the score, through the frozen network that looks at frames.

Axes: second = chosen seconds, height and width = the size at which the backbone sees a frame. Only
the backbone is looked through: what the motion features say of the same pixels is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from qoe_core import extraction, frames
from qoe_core.attribution import Subject, explaining
from qoe_core.models.network import FittedNetwork
from qoe_core.qos import Scaling
from qoe_core.session import Session

TOLERANCE = 0.05  # of a scaled feature, between what was stored and what is computed here


@dataclass(frozen=True, eq=False, kw_only=True)
class Saliency:
    """Frames of the chosen seconds, and how strongly each pixel moves the score."""

    seconds: tuple[int, ...]
    frames: UInt8[np.ndarray, "second height width 3"]
    strength: Float[np.ndarray, "second height width"]  # L2 over red, green, blue; labels per level


def sees_frames(network: FittedNetwork, session: Session) -> bool:
    """Whether there are pixels: the row sees frames by a backbone, and the session has a video."""
    video = network.inputs.frames
    return video is not None and video.backbone is not None and session.video is not None


def saliency(
    network: FittedNetwork,
    session: Session,
    subject: Subject,
    seconds: Sequence[int],
    frames_shown: UInt8[Tensor, "time 3 height width"] | None = None,
) -> Saliency:
    """Gradient of the subject's score in the pixels (0 to 255) of the chosen seconds.

    Whoever asks again and again gives what `shown` gave, so that the video is decoded once.

    Raises:
        ValueError: nothing to look at, a second that the session has not, or features that are not
            those that the network was given.
    """
    if not sees_frames(network, session):
        raise ValueError(
            f"{session.label}: no pixels to look at, expected a row that sees frames by a backbone "
            "and a session with a video; input attributions explain every network"
        )
    outside = [second for second in seconds if second not in range(session.n_seconds)]
    if outside:
        raise ValueError(
            f"{session.label}: second {outside[0]} is asked for, expected 0 to "
            f"{session.n_seconds - 1}"
        )
    function = extraction.functions(network.inputs.frames)[0]
    every = shown(network, session) if frames_shown is None else frames_shown
    chosen = every[list(seconds)]
    normalise, stages = function.model.module
    pixels = chosen.to(function.model.device).float().requires_grad_()
    with explaining(stages), explaining(subject.module):
        seen = stages((pixels / 255 - normalise.mean) / normalise.std).to(subject.inputs)
        first = network.inputs.n_qos
        columns = slice(first, first + seen.shape[1])
        scaled = _scaled(network.scaling, seen, columns)
        _check(session, subject.inputs[list(seconds), columns], scaled, seconds)
        inputs = subject.inputs.clone()
        inputs[list(seconds), columns] = scaled
        (slopes,) = torch.autograd.grad(subject.score(inputs[None])[0], pixels)
    return Saliency(
        seconds=tuple(seconds),
        frames=chosen.permute(0, 2, 3, 1).numpy(),
        strength=slopes.norm(dim=1).double().cpu().numpy(),
    )


def shown(network: FittedNetwork, session: Session) -> UInt8[Tensor, "time 3 height width"]:
    """The frame of every second, in the size at which the backbone sees it."""
    sampling = extraction.functions(network.inputs.frames)[0].sampling
    return torch.cat([part.frames[:, 0] for part in frames.seconds(session.video, sampling)])


def _scaled(
    scaling: Scaling, seen: Float[Tensor, "second feat"], columns: slice
) -> Float[Tensor, "second feat"]:
    """As `Scaling` does it, but with a gradient."""
    low, high = (torch.tensor(bound[columns]).to(seen) for bound in (scaling.low, scaling.high))
    varies = high > low
    return torch.where(varies, (seen - low) / torch.where(varies, high - low, 1.0), 0.0)


def _check(
    session: Session,
    stored: Float[Tensor, "second feat"],
    computed: Float[Tensor, "second feat"],
    seconds: Sequence[int],
) -> None:
    apart = (stored - computed).abs().amax(1)
    worst = int(apart.argmax())
    if apart[worst] > TOLERANCE:
        raise ValueError(
            f"{session.label}, second {seconds[worst]}: a scaled frame feature is off by "
            f"{apart[worst]:.3f} from the one in the store, expected at most {TOLERANCE}; was the "
            "video replaced?"
        )
