"""The bitrates on offer, and what x264 makes of a content at each of them.

Axes: rung = encodes from the lowest bitrate to the highest, segment = pieces of equal duration,
frame = media frames at the display's rate. A segment begins with the only keyframe that it has.
"""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType
from jaxtyping import Float, Int

from qoe_core.simulate.contents import Content, Display
from qoe_core.simulate.quality import measured, tools

VERSION = 3  # of the encodes that this module makes; raise it when they change
PEAK, BUFFER_S = 1.5, 2.0  # rate control: maximum over mean bitrate, length of the buffer
LOSSLESS = {"preset": "ultrafast", "qp": "0", "threads": "1"}


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Mean bitrate (kbit/s) and height (lines) of each rung, ascending; segments of one duration.

    Raises:
        ValueError: no rung, unequal lengths, bitrates that do not rise, or an empty segment.
    """

    bitrate_kbps: tuple[int, ...]
    height: tuple[int, ...]
    segment_us: int = 2_000_000

    def __post_init__(self):
        """Refuse what no player could choose from."""
        rising = all(low < high for low, high in itertools.pairwise((0, *self.bitrate_kbps)))
        if not self.bitrate_kbps or len(self.bitrate_kbps) != len(self.height) or not rising:
            raise ValueError(
                f"ladder has bitrates {self.bitrate_kbps} and heights {self.height}, expected as "
                "many of each and positive bitrates from low to high; is a rung missing?"
            )
        if self.segment_us < 1:
            raise ValueError(f"segment_us is {self.segment_us}, expected a positive number of us")

    @property
    def segment_s(self) -> float:
        """Media time of a segment (s)."""
        return self.segment_us / 1e6

    def check(self, display: Display) -> None:
        """Refuse a ladder that cannot be encoded for this display.

        Raises:
            ValueError: a height odd or outside 16 to the display's, or segments with part frames.
        """
        wrong = [high for high in self.height if high % 2 or not 16 <= high <= display.height]
        if wrong:
            raise ValueError(
                f"ladder has a height of {wrong[0]}, expected even numbers from 16 to "
                f"{display.height}; is it meant for another display?"
            )
        if self.segment_us * display.fps % 1_000_000:
            raise ValueError(
                f"segment_us is {self.segment_us}, expected a whole number of frames at "
                f"{display.fps} frames per second"
            )


# Our choice for 640x360: VMAF from about 20 to 60 at the lowest rung, 91 to 99 at the highest
DEFAULT_LADDER = Ladder(bitrate_kbps=(40, 75, 150, 320, 700), height=(90, 144, 180, 240, 360))


@dataclass(frozen=True, kw_only=True, eq=False)
class Encodes:
    """One content at every rung: bits of each segment, quality of each frame, and the videos.

    `quality` has the measures of `quality.measured`. `files` are mp4, lowest rung first, and
    `digest` says what is in them; encodes that were never made have neither.
    """

    ladder: Ladder
    display: Display
    size_bits: Int[np.ndarray, "rung segment"]
    quality: Mapping[str, Float[np.ndarray, "rung frame"]]
    files: tuple[Path, ...] = ()
    digest: str = ""


def encode(
    content: Content, display: Display, ladder: Ladder, n_frames: int, folder: Path
) -> Encodes:
    """Encode and measure what `folder`, which is this content's alone, does not hold yet.

    One pass of constrained variable bitrate, so a short clip comes only near its mean bitrate. Bits
    are those of the video packets, without the container.

    Raises:
        ValueError: `n_frames` are no whole segments, or what `check` and `Content.frames` refuse.
        RuntimeError: measuring failed.
    """
    ladder.check(display)
    per_segment = ladder.segment_us * display.fps // 1_000_000  # frames
    if n_frames < 1 or n_frames % per_segment:
        raise ValueError(f"n_frames is {n_frames}, expected whole segments of {per_segment} frames")
    folder.mkdir(parents=True, exist_ok=True)
    made_from = {
        "content": content.identity,
        "display": asdict(display),
        "n_frames": n_frames,
        "versions": [VERSION, av.__version__, _x264(), *tools()],
    }
    source = _Video(folder / "source.mp4", made_from)
    rungs = [
        _Video(
            folder / f"{height}p_{kbps}k.mp4",
            {**made_from, "height": height, "options": _vbr(kbps, per_segment)},
        )
        for kbps, height in zip(ladder.bitrate_kbps, ladder.height, strict=True)
    ]
    for rung in rungs:
        if not rung.finished():
            if not source.finished():
                _write(source.path, _filmed(content, display, n_frames), display, LOSSLESS)
                source.finish({})
            _make(rung, source.path, display, per_segment)
    for suffix in (".json", ".mp4"):
        source.path.with_suffix(suffix).unlink(missing_ok=True)
    facts = [rung.finished() for rung in rungs]
    metrics = facts[0]["quality"]
    return Encodes(
        ladder=ladder,
        display=display,
        size_bits=np.array([each["size_bits"] for each in facts]),
        quality={name: np.array([each["quality"][name] for each in facts]) for name in metrics},
        files=tuple(rung.path for rung in rungs),
        digest=_digest([each["sha256"] for each in facts]),
    )


@dataclass(frozen=True)
class _Video:
    """A video and the JSON beside it, written last, that says from what the video was made."""

    path: Path
    made_from: Mapping[str, object]

    def finished(self) -> dict[str, object]:
        """What `finish` was told; empty where the video is not there, damaged or another one."""
        try:
            facts = json.loads(self.path.with_suffix(".json").read_text())
            whole = facts["sha256"] == _sha256(self.path)
            return facts if whole and facts["made_from"] == _digest(self.made_from) else {}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}

    def finish(self, facts: Mapping[str, object]) -> None:
        facts = {**facts, "made_from": _digest(self.made_from), "sha256": _sha256(self.path)}
        with _appearing(self.path.with_suffix(".json")) as unfinished:
            unfinished.write_text(json.dumps(facts, allow_nan=False) + "\n")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _x264() -> str:
    """Build of x264, which it writes into every stream; PyAV's version may come with another."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 16, 16, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    packets = [*encoder.encode(av.VideoFrame(16, 16, "yuv420p")), *encoder.encode()]
    return re.search(rb"x264 - core (\d+ r?\w*)", b"".join(map(bytes, packets)))[1].decode()


def _vbr(kbps: int, per_segment: int) -> dict[str, str]:
    """Options of libx264 for one rung; the bytes depend on the number of threads."""
    return {
        "preset": "veryfast",
        "b": f"{kbps}k",
        "maxrate": f"{PEAK * kbps:.0f}k",
        "bufsize": f"{BUFFER_S * kbps:.0f}k",
        "g": str(per_segment),
        "x264-params": "scenecut=0:open-gop=0:mbtree=0",
        "threads": "1",
    }


def _filmed(content: Content, display: Display, n_frames: int) -> Iterator[av.VideoFrame]:
    for pixels in content.frames(display, n_frames):
        yield av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format="yuv420p")


def _make(rung: _Video, source: Path, display: Display, per_segment: int) -> None:
    """Encode and measure one rung."""
    height = rung.made_from["height"]
    size = 2 * round(height * display.width / display.height / 2), height
    with av.open(source) as film:
        scaled = (frame.reformat(*size, interpolation="BICUBIC") for frame in film.decode(video=0))
        _write(rung.path, scaled, display, rung.made_from["options"])
    size_bits = [0] * (rung.made_from["n_frames"] // per_segment)
    with av.open(rung.path) as video:
        for packet in video.demux(video=0):
            if packet.size:  # the last has none, it flushes the decoder
                number = packet.pts * packet.time_base * display.fps
                size_bits[int(number) // per_segment] += 8 * packet.size
    quality = measured(rung.path, source, display)
    of_frames = {name: values.tolist() for name, values in quality.items()}
    rung.finish({"size_bits": size_bits, "quality": of_frames})


def _write(
    path: Path, frames: Iterator[av.VideoFrame], display: Display, options: dict[str, str]
) -> None:
    """H.264 in an mp4; the same frames give the same bytes."""
    first = next(frames)
    with _appearing(path) as unfinished, av.open(unfinished, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=display.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        for number, frame in enumerate(itertools.chain([first], frames)):
            frame.pts, frame.time_base = number, Fraction(1, display.fps)
            frame.pict_type = PictureType.NONE  # else x264 repeats the types of the source
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A temporary name that becomes `path` when all is written."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
