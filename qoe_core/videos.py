"""What a video file holds, and its frames in the order of their presentation times.

Times are integers, ticks of the stream's own `time_base` in seconds; the frame rate is never used.
A video begins with its first shown frame and ends with its last: the presentation time plus the
duration of that frame, or the interval before it where the container names no duration. The header
is not believed: all packets are read (not decoded) to find the end, and a header that declares a
second more is refused. Matroska and Flash Video count their duration from 0, MP4 from its first
frame; a file that does not start at 0 is measured by the kinder of the two.

Damage is refused where demuxer or decoder report it; wrong bits that still decode, and frames that
a damaged container hides, pass unseen, as in a player. Interlaced fields come woven, and the alpha
of VP8 and VP9 is not decoded.
"""

import math
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import ColorTrc
from av.video.stream import VideoStream

from qoe_core import session

# Playlists are left out: their pixels are in other files, which a file's content must not choose
CONTAINERS = "mov,matroska,webm,mpegts,mpeg,avi,flv,ogg,asf,mxf,nut,gif,yuv4mpegpipe,h264,hevc"
SHORT_S = 1  # a file that ends this much before its declared duration is cut off; our choice


@dataclass(frozen=True, kw_only=True)
class VideoFacts:
    """What the packets and the first frame say; sizes and times of the picture as shown."""

    width: int  # after rotation
    height: int
    rotation: int  # degrees that the stored picture is turned counter-clockwise, before a mirror
    turn: tuple[bool, bool, bool]  # what makes it upright: transpose, flip the rows, the columns
    codec: str
    pixel_format: str
    frame_bytes: int  # one decoded frame in memory
    n_frames: int  # packets: one a frame, but for VP8 with hidden frames and for single fields
    time_base: Fraction  # seconds in a tick
    first_tick: int  # when the first frame begins
    last_tick: int  # when the last frame begins
    end_tick: int  # when it ends

    @property
    def duration(self) -> Fraction:
        """Exact seconds from the beginning of the first frame to the end of the last."""
        return (self.end_tick - self.first_tick) * self.time_base

    @property
    def fps(self) -> float:
        """Mean frames per second."""
        return float(self.n_frames / self.duration)

    @property
    def n_seconds(self) -> int:
        """Seconds that the video touches, as a Session of this duration counts them."""
        return session.n_seconds(float(self.duration))


def facts(path: Path) -> VideoFacts:
    """Size, codec and times of a video, from all its packets and its first frame.

    Raises:
        OSError: no file, or one that cannot be opened.
        ValueError: empty, not a video, no or several video streams, no frame, a frame without a
            time or incomplete, a declared duration that is not reached, HDR, no quarter turn.
    """
    with _opened(path) as (container, stream):
        n_frames, last, end = _read_to_the_end(path, container, stream)
        time_base, codec = stream.time_base, stream.codec.canonical_name
    with closing(_checked(path)) as frames:
        first = next(frames, None)
    if first is None:
        raise ValueError(f"{path}: none of its {n_frames} frames is shown; is it damaged?")
    if end <= first.pts:
        raise ValueError(f"{path}: lasts 0 s, expected more; is it a single picture?")
    turn = _turn(path, first)
    return VideoFacts(
        width=first.height if turn[0] else first.width,
        height=first.width if turn[0] else first.height,
        rotation=round(first.rotation / 90) * 90 % 360,
        turn=turn,
        codec=codec,
        pixel_format=first.format.name,
        frame_bytes=sum(plane.buffer_size for plane in first.planes),
        n_frames=n_frames,
        time_base=time_base,
        first_tick=first.pts,
        last_tick=last,
        end_tick=end,
    )


def decoded(path: Path, video: VideoFacts) -> Iterator[av.VideoFrame]:
    """All frames of `path`, whose facts are `video`, as stored and with rising `pts`.

    Raises:
        ValueError: a frame that is damaged or out of order, or a last frame that does not decode;
            raised when it is reached.
    """
    last = None
    for frame in _checked(path):
        last = frame.pts
        yield frame
    if last != video.last_tick:
        raise ValueError(
            f"{path}: the last frame that decodes begins at tick {last}, the last in the file at "
            f"tick {video.last_tick} ({video.time_base} s each); is the end damaged?"
        )


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise ValueError(f"{path}: is empty (0 bytes); was a download or a copy interrupted?")
        try:
            container = av.open(file, options={"format_whitelist": CONTAINERS})
        except av.FFmpegError as error:
            raise ValueError(
                f"{path}: cannot be opened as a video, expected one of {CONTAINERS}; is it "
                "cut off, a picture, sound, or a playlist of other files?"
            ) from error
        with container:
            yield container, _video_stream(path, container)


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
    videos = [
        one for one in container.streams.video if not one.disposition & Disposition.attached_pic
    ]
    if len(videos) != 1:
        kinds = ", ".join(one.type for one in container.streams) or "nothing"
        raise ValueError(
            f"{path}: has {len(videos)} video streams besides cover pictures (it holds {kinds}), "
            "expected one; is it an audio file, or are there several views?"
        )
    if videos[0].codec_context is None:
        raise ValueError(f"{path}: its codec is not known to libavcodec; re-encode it as H.264")
    return videos[0]


def _read_to_the_end(
    path: Path, container: InputContainer, stream: VideoStream
) -> tuple[int, int, int]:
    """How many packets of video there are, and the ticks where the last one begins and ends."""
    n, first, before, last, end, any_end_s = 0, math.inf, -math.inf, -math.inf, 0, 0
    for packet in container.demux():
        if packet.is_discard or not packet.size:
            continue
        if packet.stream_index == stream.index:
            _check_packet(path, packet, n)
            n, first = n + 1, min(first, packet.pts)
            if packet.pts > last:
                before, last, end = last, packet.pts, packet.pts + packet.duration
            else:
                before = max(before, packet.pts)
        if packet.pts is not None:
            any_end_s = max(any_end_s, (packet.pts + packet.duration) * packet.time_base)
    if not n:
        raise ValueError(f"{path}: holds no frame; did the recording fail?")
    if end == last and n > 1:
        end += last - before
    if stream.duration is None:
        declared_s, reached_s = Fraction(container.duration or 0, av.time_base), any_end_s
    else:
        declared_s = stream.duration * stream.time_base
        reached_s = (end - min(first, 0)) * stream.time_base
    if declared_s - reached_s > SHORT_S:
        raise ValueError(
            f"{path}: ends at {float(reached_s):.3f} s and declares {float(declared_s):.3f} s; "
            "is it cut off?"
        )
    return n, last, end


def _check_packet(path: Path, packet: av.Packet, number: int) -> None:
    if packet.pts is None:
        raise ValueError(
            f"{path}: packet {number} has no presentation time; is it a raw stream, which has to "
            "be put into a container with its frame rate?"
        )
    if packet.is_corrupt:
        raise ValueError(
            f"{path}: the packet at {float(packet.pts * packet.time_base):.3f} s is incomplete; "
            "is the file cut off, or was it joined from segments byte by byte?"
        )


def _checked(path: Path) -> Iterator[av.VideoFrame]:
    number, last = -1, None
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"err_detect": "explode"}  # no frame that is guessed
        try:
            for number, frame in enumerate(container.decode(stream)):
                _check_frame(path, frame, number, last)
                last = frame.pts
                yield frame
        except av.FFmpegError as error:
            raise ValueError(
                f"{path}: frame {number + 1} cannot be decoded ({error.strerror}); is it damaged?"
            ) from error


def _check_frame(path: Path, frame: av.VideoFrame, number: int, last: int | None) -> None:
    if frame.pts is None or (last is not None and frame.pts <= last):
        raise ValueError(
            f"{path}: frame {number} has presentation time {frame.pts} after {last}, expected a "
            "later one; can its container (AVI, say) not hold reordered frames?"
        )
    if frame.is_corrupt:
        raise ValueError(f"{path}: frame {number} is damaged; is the file cut off?")
    if frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67):
        raise ValueError(
            f"{path}: is HDR ({ColorTrc(frame.color_trc).name}), expected SDR, since every display "
            "maps its tones in its own way; map them to SDR first"
        )


def _turn(path: Path, frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """By the display matrix (libavutil/display.h): pixel (x, y) is shown at (ax + cy, bx + dy)."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, c, d = (np.frombuffer(bytes(matrix), np.int32)[[0, 1, 3, 4]] / 65536).tolist()
    if np.allclose(np.abs([a, b, c, d]), [1, 0, 0, 1], atol=1e-3):
        return False, d < 0, a < 0
    if np.allclose(np.abs([a, b, c, d]), [0, 1, 1, 0], atol=1e-3):
        return True, b < 0, c < 0
    raise ValueError(
        f"{path}: is shown through the matrix [[{a:.3f}, {b:.3f}], [{c:.3f}, {d:.3f}]], expected "
        "a turn by 0, 90, 180 or 270 degrees; re-encode it upright"
    )
