"""Tiny videos whose pixels say which frame is shown: frame k is flat grey of level 10 + 4 k."""

from fractions import Fraction

import av
import numpy as np

LOSSLESS = {"libx264": {"qp": "0", "preset": "ultrafast"}}
REORDERED = {"qp": "8", "bf": "2", "b-adapt": "0"}  # with B-frames, which lossless has not
STEP = 4


def barcodes(n, width=64, height=48):
    return [np.full((height, width, 3), 10 + STEP * number, np.uint8) for number in range(n)]


def numbers(frames):
    """Which frame each picture of `[... 3 height width]` shows."""
    return np.rint((frames.double().mean((-3, -2, -1)).numpy() - 10) / STEP).astype(int)


def encode(
    path,
    pictures,
    *,
    codec="libx264",
    pixels="yuv420p",
    ticks=None,
    time_base=Fraction(1, 25),
    options=None,
    turned=None,
    edit=lambda stream: None,
    sound_s=0,
    others=(),
    container_options=None,
):
    """Write RGB(A) arrays or ready frames; `ticks` are their times in `time_base`.

    `turned` is a display matrix, `edit` changes the stream before its first frame, `sound_s` adds
    silence, and each of `others` is a further one-picture stream of that disposition.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or LOSSLESS.get(codec, {}))
        frames = [_frame(picture) for picture in pictures]
        stream.thread_count = 1  # x264 writes other bytes on other numbers of cores
        stream.pix_fmt, stream.codec_context.time_base = pixels, time_base
        if frames:
            stream.width, stream.height = frames[0].width, frames[0].height
        if turned is not None:
            stream.set_display_matrix(turned)
        edit(stream)
        further = [_picture_stream(container, disposition) for disposition in others]
        sound = container.add_stream("aac", rate=8000, layout="mono") if sound_s else None
        container.start_encoding()
        for number, frame in enumerate(frames):
            frame.pts = number if ticks is None else ticks[number]
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for one in further:
            container.mux(one.encode(_frame(barcodes(1)[0])))
            container.mux(one.encode())
        if sound:
            container.mux(sound.encode(_silence(sound_s)))
            container.mux(sound.encode())
    return path


def film(path, seconds, seed=0, frozen=()):
    """A lossless clip of 64x36 at 10 fps in which noise moves, but for the frozen seconds."""
    noise = np.random.default_rng(seed).integers(0, 255, (36, 640, 3), dtype=np.uint8)
    with av.open(path, "w") as video:
        stream = video.add_stream("libx264", rate=10, options={"qp": "0", "g": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        shift = 0
        for number in range(10 * seconds):
            shift += 0 if number // 10 in frozen else 4
            pixels = np.ascontiguousarray(np.roll(noise, shift, axis=1)[:, :64])
            video.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        video.mux(stream.encode())
    return path


def sound_only(path):
    """A second of silence without any picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        container.mux(stream.encode(_silence(1)))
        container.mux(stream.encode())
    return path


def flat_yuv(levels, pixels="yuv420p", width=64, height=48):
    """One frame of a single Y, U, V, stored as these very numbers."""
    frame = av.VideoFrame(width, height, pixels)
    kind = np.uint16 if "10le" in pixels else np.uint8
    for plane, level in zip(frame.planes, levels, strict=True):
        plane.update(np.full(plane.buffer_size // np.dtype(kind).itemsize, level, kind).tobytes())
    return frame


def _frame(picture):
    if isinstance(picture, av.VideoFrame):
        return picture
    return av.VideoFrame.from_ndarray(picture, {3: "rgb24", 4: "rgba"}[picture.shape[2]])


def _picture_stream(container, disposition):
    stream = container.add_stream("mjpeg", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
    stream.disposition = disposition
    return stream


def _silence(seconds):
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000 * seconds), np.float32), "fltp", "mono")
    frame.sample_rate = 8000
    return frame


def without_durations(matroska):
    """Turn the frame duration of a Matroska file into an element that no reader knows."""
    content = matroska.read_bytes()
    matroska.write_bytes(content.replace(b"\x23\xe3\x83", b"\x23\xe3\x84"))
    return matroska
