"""A playback as the video that a viewer saw: one frame per display refresh, frozen while stalled.

The file is H.264 High, yuv420p, at a constant frame rate, with its index first: any browser plays
it. The same playback gives the same bytes with the same PyAV.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import PictureType

from qoe_core.simulate.contents import Display
from qoe_core.simulate.ladder import Encodes
from qoe_core.simulate.player import PlaybackLog, shown

VERSION = 2  # of the pixels that a playback becomes; raise it with every change of them
ENCODER = {  # our choice: the render adds little to the artefacts of the rungs
    "preset": "veryfast",
    "crf": "12",
    "profile": "high",
    "threads": "1",  # more would change the bytes
    "x264-params": "mbtree=0",  # with it about one encode in ten comes out otherwise
}
KEYFRAME_S = 2


def render(log: PlaybackLog, encodes: Encodes, path: Path, startup: bool = False) -> None:
    """Write the mp4 that shows what `shown(log, startup)` says, at the size of the display.

    Rungs are scaled bicubic; the picture is black before anything was shown. The file appears under
    its name when it is complete.

    Raises:
        ValueError: a log of other encodes, or encodes that are damaged or too short.
        OSError: an encode that cannot be opened, or a full disk.
    """
    n_rungs, n_segments = encodes.size_bits.shape
    if len(log.rung) != n_segments or len(encodes.files) != n_rungs:
        raise ValueError(
            f"{path.name}: the log has {len(log.rung)} segments, the encodes {n_segments} in "
            f"{len(encodes.files)} files of {n_rungs} rungs; does the log belong to other encodes?"
        )
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(unfinished, log, encodes, startup)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write(path: Path, log: PlaybackLog, encodes: Encodes, startup: bool) -> None:
    display = encodes.display
    options = ENCODER | {"g": str(KEYFRAME_S * display.fps)}
    with av.open(path, "w", format="mp4", options={"movflags": "faststart"}) as video:
        stream = video.add_stream("libx264", rate=display.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = display.width, display.height, "yuv420p"
        media = _media_frames(log, encodes)
        picture = _black(display)
        for refresh, stalled in enumerate(shown(log, startup).stalled):
            if not stalled:
                picture = next(media)
            picture.pts = refresh
            picture.time_base = Fraction(1, display.fps)
            video.mux(stream.encode(picture))
        video.mux(stream.encode())


def _black(display: Display) -> av.VideoFrame:
    pixels = np.zeros((display.height, display.width, 3), dtype=np.uint8)
    return av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")


def _media_frames(log: PlaybackLog, encodes: Encodes) -> Iterator[av.VideoFrame]:
    """Each media frame once, in order, at the rung that is shown and the size of the display."""
    display = encodes.display
    n_frames = log.segment_us // log.tick_us
    with ExitStack() as stack:
        rungs = {
            rung: stack.enter_context(av.open(encodes.files[rung])) for rung in np.unique(log.rung)
        }
        for segment, rung in enumerate(log.rung):
            for frame in _segment(rungs[rung], segment * n_frames, n_frames, log.tick_us):
                scaled = frame.reformat(
                    display.width, display.height, "yuv420p", interpolation="BICUBIC"
                )
                scaled.pict_type = PictureType.NONE  # else x264 repeats the rung's frame types
                yield scaled


def _segment(
    encode: InputContainer, first: int, n_frames: int, tick_us: int
) -> Iterator[av.VideoFrame]:
    """`n_frames` decoded frames from media frame `first` on, which is a keyframe."""
    encode.seek(first * tick_us)
    decoded = encode.decode(video=0)
    for number in range(first, first + n_frames):
        try:
            frame = next(decoded, None)
        except av.FFmpegError as error:
            raise _unreadable(encode, number, str(error)) from error
        if frame is None:
            raise _unreadable(encode, number, "the file ends before it")
        if frame.is_corrupt or round(frame.time * 1e6 / tick_us) != number:
            raise _unreadable(encode, number, f"the frame of {frame.time} s is there instead")
        yield frame


def _unreadable(encode: InputContainer, number: int, problem: str) -> ValueError:
    return ValueError(
        f"{encode.name}, media frame {number}: {problem}, expected whole segments that begin with "
        "a keyframe; is the encode damaged? Delete it to encode it again"
    )
