"""Frame features of sessions that have a video: extracted once a file, kept in the store.

Two functions of a video file, each with an entry of its own: what the backbone sees in the middle
of each second, and how much moves in it. Axes: time = seconds of the session, feat = the backbone's
features, then those of motion. Every second is computed from itself and the second before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qoe_core import backbones, frames, motion, parallel
from qoe_core.backbones import Backbone, BackboneConfig
from qoe_core.frames import FrameConfig
from qoe_core.motion import FlowEnergy, MotionConfig
from qoe_core.session import Session
from qoe_core.store import Store

VERSION = 1  # of how frames become features; raise it when the same parts give other numbers
COST_S = 3.0  # about what a session of half a minute costs on one core


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """What looks at the frames of a video, and at which size (height, width) they are shown to it.

    Raises:
        ValueError: neither a backbone nor motion.
    """

    backbone: BackboneConfig | None = BackboneConfig()
    motion: MotionConfig | None = MotionConfig()
    size: tuple[int, int] = (224, 224)  # for the backbone
    motion_size: tuple[int, int] = (90, 160)  # 3-D networks want 112x112 or 224x224
    interpolation: str = "bicubic"  # of decoded frames; one of frames.INTERPOLATIONS

    def __post_init__(self):
        """Refuse what would extract nothing."""
        if self.backbone is None and self.motion is None:
            raise ValueError("neither a backbone nor motion is asked for, expected one or both")


@dataclass(frozen=True, kw_only=True)
class FrameFunction:
    """A network, or statistics, over the sampled frames of a video file; what the store keeps."""

    model: Backbone | FlowEnergy
    sampling: FrameConfig
    clips: bool  # the model takes all samples of a second at once, and the second before

    @property
    def identity(self) -> Mapping[str, object]:
        """Everything the features depend on beside the file: model, weights, frames, decoder."""
        sampling = vars(self.sampling) | {"decoder": frames.DECODER}
        return {**self.model.identity, "frames": sampling, "extraction": VERSION}

    def __call__(self, path: Path) -> dict[str, Tensor]:
        """`features`: float32, one row a second of the video."""
        rows, before = [], None
        for part in frames.seconds(path, self.sampling):
            if self.clips:
                known = part.frames if before is None else torch.cat([before, part.frames])
                rows.append(self.model(known)[-len(part.frames) :])
                before = part.frames[-1:]
            else:
                rows.append(self.model(part.frames[:, 0]))
        return {"features": torch.cat(rows)}


@cache
def functions(config: VideoConfig, device: str = "auto") -> tuple[FrameFunction, ...]:
    """What `config` asks for, with its networks loaded; once in a process."""
    sampled = partial(FrameConfig, interpolation=config.interpolation)
    made = []
    if config.backbone is not None:
        height, width = config.size
        network = backbones.load(config.backbone, device)
        sampling = sampled(height=height, width=width)
        made.append(FrameFunction(model=network, sampling=sampling, clips=False))
    if config.motion is not None:
        height, width = config.motion_size
        sampling = sampled(per_second=config.motion.samples, height=height, width=width)
        model = motion.load(config.motion, device)
        made.append(FrameFunction(model=model, sampling=sampling, clips=True))
    return tuple(made)


def video_features(
    session: Session, config: VideoConfig, store: Store
) -> Float[np.ndarray, "time feat"]:
    """The session's features out of the store, extracted first where they are not there.

    Raises:
        ValueError: the session has no video, the video cannot be decoded, or it lasts longer or
            shorter than the session.
    """
    video = _shown(session)
    columns = [store.get(video, function)["features"].numpy() for function in functions(config)]
    for column in columns:
        if len(column) != session.n_seconds:
            raise ValueError(
                f"{session.label}: {video} has {len(column)} seconds, expected "
                f"{session.n_seconds} as in the log; is it the video of another session?"
            )
    return np.concatenate(columns, axis=1)


def entries(session: Session, config: VideoConfig, store: Store) -> tuple[str, ...]:
    """The store's keys of the session's features: they change with all that the features depend on.

    Raises:
        ValueError: the session has no video.
    """
    video = _shown(session)
    return tuple(store.key(video, function) for function in functions(config))


def _shown(session: Session) -> Path:
    if session.video is None:
        raise ValueError(f"{session.label} has no video; choose quality metrics as inputs instead")
    return session.video


@dataclass(frozen=True)
class _Extraction:
    session: Session
    config: VideoConfig
    folder: Path

    @property
    def name(self) -> str:
        return self.session.label


def extract(
    sessions: Sequence[Session], config: VideoConfig, store: Store, workers: int | None = None
) -> None:
    """Put the features of all sessions into the store, on all cores or the GPU, with progress.

    What is there already costs a look; sessions that share a video share its entry.

    Raises:
        ValueError: a session without a video.
        RuntimeError: a video failed; names it. The others are kept.
    """
    missing = []
    for session in sessions:
        if session.video is None:
            raise ValueError(f"{session.label} has no video, so there is nothing to extract")
        if not all(store.has(session.video, f) for f in functions(config)):
            missing.append(_Extraction(session, config, store.folder))
    if torch.cuda.is_available():
        workers = 1  # one process holds the GPU
    parallel.each(_extract, missing, workers=workers, title="frame features", expected_s=COST_S)


def _extract(unit: _Extraction) -> None:
    video_features(unit.session, unit.config, opened(unit.folder, 0))


@cache
def opened(folder: Path, memory_bytes: int) -> Store:
    """The store of this process in `folder`."""
    return Store(folder, memory_bytes=memory_bytes)
