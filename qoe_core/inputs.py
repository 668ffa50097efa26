"""What a model sees of a session: QoS features, then quality metrics or frame features.

Axes: time = seconds, feat = QoS features, then those of the video. Every input at second t uses
seconds 0..t only. Values are in their own units; `qos.Scaling` maps them to [0, 1].
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from qoe_core import extraction, paths
from qoe_core.backbones import BackboneConfig
from qoe_core.extraction import VideoConfig
from qoe_core.motion import MotionConfig
from qoe_core.qos import QOS
from qoe_core.session import Session
from qoe_core.store import GB, Store

OWN_WEIGHTS = (None, "pip")  # need nothing from outside of the installed packages


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Which inputs a model sees: QoS features by name, then quality metrics by name or frames.

    Raises:
        ValueError: no input at all, a name twice, an unknown QoS feature, or both kinds of video.
    """

    qos: tuple[str, ...]
    quality: tuple[str, ...] = ()
    frames: VideoConfig | None = None  # what looks at the frames of the session's video

    def __post_init__(self):
        """Refuse what would only fail in the middle of a run."""
        names = (*self.qos, *self.quality)
        unknown = [name for name in self.qos if name not in QOS]
        nothing = not names and self.frames is None
        if nothing or len(set(names)) < len(names) or unknown:
            raise ValueError(
                f"features are qos={self.qos}, quality={self.quality}; expected at least one, each "
                f"once, and QoS names out of {list(QOS)}"
            )
        if self.quality and self.frames is not None:
            raise ValueError(
                f"features are quality={self.quality} and frames, expected one of the two: "
                "full-reference metrics and no-reference frame features are different classes of "
                "model, which tables keep apart"
            )

    @property
    def n_qos(self) -> int:
        """Columns of `features` that are QoS, the first ones; all others are video."""
        return len(self.qos)


def features(
    session: Session, config: FeatureConfig, folder: Path | None = None
) -> Float[np.ndarray, "time feat"]:
    """The configured inputs in their own units; NaN only before the first shown second.

    ST-RRED spans four orders of magnitude (scene cuts reach 13,000), so it enters as
    log10(1 + STRRED); every other metric enters as released. Frame features come from the store in
    `folder` (None for paths.STORE), extracted first where they are not there.

    Raises:
        ValueError: the session lacks a metric that is asked for, or its video.
    """
    columns = [_released(session, config.qos, config.quality)]
    if config.frames is not None:
        columns.append(extraction.video_features(session, config.frames, _store(folder)))
    return np.column_stack(columns).astype(float, copy=False)


@lru_cache(1024)  # every fold and seed asks again
def _released(
    session: Session, qos: tuple[str, ...], quality: tuple[str, ...]
) -> Float[np.ndarray, "time feat"]:
    """What needs no video."""
    missing = [name for name in quality if name not in session.quality]
    if missing:
        raise ValueError(
            f"{session.label} has no quality {missing}, it has {sorted(session.quality)}; "
            "choose metrics that this data set was released with"
        )
    columns = [QOS[name](session) for name in qos]
    for name in quality:
        values = session.quality[name]
        columns.append(np.log10(1 + values) if name == "strred" else values)
    return np.column_stack([np.empty((session.n_seconds, 0)), *columns])


def prepare(sessions: Sequence[Session], config: FeatureConfig, workers: int | None = None) -> None:
    """Extract the frame features that the store lacks, with progress; nothing without frames.

    Raises:
        ValueError, RuntimeError: see `extraction.extract`.
    """
    if config.frames is not None:
        extraction.extract(sessions, config.frames, _store(), workers)


def identity(session: Session, config: FeatureConfig) -> tuple[str, ...]:
    """What the session's frame features depend on, as digests; empty without frames.

    They change with the content of the video and with networks, weights, decoder and settings.

    Raises:
        ValueError: frames are asked for and the session has no video.
    """
    if config.frames is None:
        return ()
    return extraction.entries(session, config.frames, _store())


def frame_weights(config: FeatureConfig) -> list[str | None]:
    """SHA-256 of the weights of each network behind the frame features, None where it has none."""
    if config.frames is None:
        return []
    asked = extraction.functions(config.frames)
    return [function.identity.get("weights_sha256") for function in asked]


def restored(fields: Mapping[str, object], video: VideoConfig | None = None) -> FeatureConfig:
    """The config whose `dataclasses.asdict` a file holds.

    A file never decides what is opened or downloaded: where it names weights that are not among
    OWN_WEIGHTS, the caller's `video` takes the place of the file's, with which it must agree in
    everything but the weights.

    Raises:
        ValueError: `fields` are not those of a FeatureConfig, `video` is needed or does not agree.
    """
    try:
        config = _built(fields)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"inputs are {fields}, expected the fields of a FeatureConfig; were they written by "
            "another version?"
        ) from error
    if config.frames is None:
        return config
    parts = (config.frames.backbone, config.frames.motion)
    foreign = [p.weights for p in parts if p is not None and p.weights not in OWN_WEIGHTS]
    if video is None and foreign:
        raise ValueError(
            f"inputs name the weights {foreign}, which are not opened because a file says so; "
            "give the VideoConfig whose weights you trust as `video`"
        )
    if video is None:
        return config
    if _without_weights(video) != _without_weights(config.frames):
        raise ValueError(
            f"inputs are frame features by {_without_weights(config.frames)}, but `video` is "
            f"{_without_weights(video)}, expected them to differ in nothing but the weights"
        )
    return dataclasses.replace(config, frames=video)


def _store(folder: Path | None = None) -> Store:
    """The only one of this process, unless another `folder` is asked for."""
    return extraction.opened(folder or paths.STORE, GB)


def _built(fields: Mapping[str, object]) -> FeatureConfig:
    frames = fields.get("frames")
    if frames is not None:
        kinds = {"backbone": BackboneConfig, "motion": MotionConfig}
        parts = {name: _made(kind, frames[name]) for name, kind in kinds.items()}
        frames = _made(VideoConfig, {**frames, **parts})
    return _made(FeatureConfig, {**fields, "frames": frames})


def _made(kind: type, fields: Mapping[str, object] | None) -> object:
    """A config out of what JSON makes of its fields: lists for tuples."""
    if fields is None:
        return None
    return kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()})


def _without_weights(video: VideoConfig) -> dict[str, object]:
    fields = dataclasses.asdict(video)
    for part in ("backbone", "motion"):
        if fields[part] is not None:
            del fields[part]["weights"]
    return fields
