"""The frames that a viewer of a video sees, sampled at exact times, in bounded memory.

Axes: second = whole seconds since the first shown frame, the last may be partial; sample = instants
inside a second, sample i of N at (i + 0.5) / N of that part of the second which exists. At time t
the frame with the largest presentation time <= t is shown, the last one until the video ends
(`qoe_core.videos` says when).

Colours follow the stream's matrix and range; YUV that names no matrix is BT.709 from 720 lines on
and BT.601 below, as mpv and Chromium guess. Primaries are not converted. Transparency is shown over
black. Pixels that are not square need nothing, since every frame is resized to one size.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from jaxtyping import Float, UInt8
from torch import Tensor

from qoe_core import videos
from qoe_core.videos import VideoFacts

RULES = 1  # raise it when the same file and FrameConfig give other pixels
DECODER = f"frames {RULES}, pyav {av.__version__}, " + ", ".join(
    f"{name} {'.'.join(map(str, av.library_versions[name]))}"
    for name in ("libavformat", "libavcodec", "libswscale")
)
INTERPOLATIONS = {
    name: Interpolation[name.upper()]
    for name in ("area", "bilinear", "bicubic", "gauss", "lanczos", "point", "spline")
}
# Without these swscale makes YUV two levels too dark, and rounds by the type of CPU
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
_HD_LINES = 720
_UNNAMED = 2  # AVCOL_SPC_UNSPECIFIED


@dataclass(frozen=True, kw_only=True)
class FrameConfig:
    """Which frames of each second, at which size; with DECODER all that pixels depend on."""

    per_second: int = 1  # samples in each second
    height: int = 224
    width: int = 224
    interpolation: str = "bicubic"  # one of INTERPOLATIONS

    def __post_init__(self):
        """Refuse what would only fail at the first frame."""
        for name in ("per_second", "height", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation is {self.interpolation!r}, expected one of "
                f"{', '.join(INTERPOLATIONS)}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Seconds:
    """A run of whole seconds of one video; only the last second of the video may be partial."""

    first_second: int
    times_s: Float[np.ndarray, "second sample"]  # when the shown frame began, s
    frames: UInt8[Tensor, "second sample 3 height width"]  # RGB; channels are last in memory


def seconds(path: Path, config: FrameConfig, budget_bytes: int = 256_000_000) -> Iterator[Seconds]:
    """Decode a video once, and give as many whole seconds at a time as the budget holds.

    `budget_bytes` bounds one Seconds and one decoded frame. What the decoder keeps (a few frames a
    thread) comes on top, and so does an earlier Seconds that the caller still holds.

    Raises:
        OSError: no file, or one that cannot be opened.
        ValueError: what `videos.facts` and `videos.decoded` refuse, the latter when it is reached;
            one second that is larger than the budget.
    """
    video = videos.facts(path)
    n_chunk = _seconds_in_budget(path, video, config, budget_bytes)
    resized = _Resizer(video.turn, config)
    with closing(videos.decoded(path, video)) as frames:
        shown = _shown(frames, _ticks(video, config.per_second))
        for first_second in range(0, video.n_seconds, n_chunk):
            shape = min(n_chunk, video.n_seconds - first_second), config.per_second
            pixels = np.empty((*shape, config.height, config.width, 3), np.uint8)
            times_s = np.empty(shape)
            for index in np.ndindex(shape):
                frame = next(shown)
                pixels[index] = resized(frame)
                times_s[index] = (frame.pts - video.first_tick) * video.time_base
            channels_first = torch.from_numpy(pixels).permute(0, 1, 4, 2, 3)
            yield Seconds(first_second=first_second, times_s=times_s, frames=channels_first)
            del pixels, channels_first
        next(shown, None)


def _seconds_in_budget(
    path: Path, video: VideoFacts, config: FrameConfig, budget_bytes: int
) -> int:
    second_bytes = config.per_second * config.height * config.width * 3
    if second_bytes + video.frame_bytes > budget_bytes:
        raise ValueError(
            f"{path}: one second ({config.per_second} x {config.height} x {config.width} x 3) and "
            f"one decoded frame take {second_bytes + video.frame_bytes} bytes, the budget is "
            f"{budget_bytes}; raise it, or sample fewer or smaller frames"
        )
    return (budget_bytes - video.frame_bytes) // second_bytes


def _ticks(video: VideoFacts, per_second: int) -> Iterator[int]:
    """The last tick at or before each sampled instant."""
    for second in range(video.n_seconds):
        length = 1 if second < video.n_seconds - 1 else video.duration - second
        for sample in range(per_second):
            at_s = second + Fraction(2 * sample + 1, 2 * per_second) * length
            yield video.first_tick + at_s // video.time_base


def _shown(frames: Iterator[av.VideoFrame], ticks: Iterator[int]) -> Iterator[av.VideoFrame]:
    """For each of the rising ticks the last frame that begins at or before it."""
    shown, following = next(frames), next(frames, None)
    for tick in ticks:
        while following is not None and following.pts <= tick:
            shown, following = following, next(frames, None)
        yield shown
    for _ in frames:  # the end is decoded too, because damage shows only there
        pass


class _Resizer:
    """Upright RGB of a frame at the size of `config`; of a frame that stays, made once."""

    def __init__(self, turn: tuple[bool, bool, bool], config: FrameConfig):
        self.turn = turn
        self.config = config
        self.scaler = VideoReformatter()  # kept, because making one takes as long as a frame
        self.frame = None
        self.pixels = None

    def __call__(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        if frame is not self.frame:
            self.frame, self.pixels = frame, self._made(frame)
        return self.pixels

    def _made(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        transpose, flip_rows, flip_columns = self.turn
        size = self.config.height, self.config.width
        if frame.format.has_palette or any(part.is_alpha for part in frame.format.components):
            frame = self._over_black(frame)
        pixels = self._converted(frame, "rgb24", *(size[::-1] if transpose else size))
        if transpose:
            pixels = pixels.transpose(1, 0, 2)
        return pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]

    def _over_black(self, frame: av.VideoFrame) -> av.VideoFrame:
        pixels = self._converted(frame, "rgba", frame.height, frame.width).astype(np.uint16)
        black = (pixels[..., :3] * pixels[..., 3:] + 127) // 255
        return av.VideoFrame.from_ndarray(black.astype(np.uint8), "rgb24")

    def _converted(self, frame: av.VideoFrame, to: str, height: int, width: int) -> np.ndarray:
        unnamed = frame.colorspace == _UNNAMED and not frame.format.is_rgb
        return self.scaler.reformat(
            frame,
            format=to,
            width=width,
            height=height,
            src_colorspace=Colorspace.ITU709 if unnamed and frame.height >= _HD_LINES else None,
            interpolation=INTERPOLATIONS[self.config.interpolation] | _EXACT,
            threads=1,
        ).to_ndarray()
