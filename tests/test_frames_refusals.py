"""Every file and setting that is refused, message by message."""

import itertools
import math
import re
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from qoe_core import frames, videos
from qoe_core.frames import FrameConfig
from tests.clips import REORDERED, barcodes, encode, flat_yuv, sound_only, without_durations

UNREADABLE = (
    f"cannot be opened as a video, expected one of {videos.CONTAINERS}; is it cut off, a picture, "
    "sound, or a playlist of other files?"
)


def written(path, content):
    path.write_bytes(content)
    return path


def cut(path, keep):
    return written(path, path.read_bytes()[: int(keep * path.stat().st_size)])


def noisy(path, **encoding):
    """Two seconds that do not compress, so that a cut falls into a picture."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(50)]
    return encode(path, pictures, **encoding)


def no_frames(path):
    def size(stream):
        stream.width, stream.height = 64, 48

    return encode(path, [], edit=size)


def damaged(path):
    noisy(path, options={"preset": "ultrafast", "bf": "0", "qp": "20", "g": "1"})
    content = path.read_bytes()
    middle = len(content) // 2
    return written(path, content[:middle] + bytes(3000) + content[middle + 3000 :])


def hidden(path):
    """VP8 key frames, none of which is to be shown."""
    options = {"g": "1", "deadline": "realtime"}
    content = bytearray(encode(path, barcodes(3), codec="libvpx", options=options).read_bytes())
    for start_code in re.finditer(b"\x9d\x01\x2a", content):
        content[start_code.start() - 3] &= 0xEF  # show_frame of RFC 6386, section 9.1
    return written(path, content)


def without_a_slice(path):
    """Frame 5 loses the second of its four slices."""
    noisy(path, options={"preset": "ultrafast", "qp": "20", "slices": "4"})
    with av.open(str(path)) as container:
        packet = next(itertools.islice(container.demux(video=0), 5, None))
    content = bytearray(path.read_bytes())
    second = packet.pos + 4 + int.from_bytes(bytes(packet)[:4], "big") + 4
    content[second] = content[second] & 0xE0 | 30  # a type of NAL unit that decoders pass over
    return written(path, content)


def hdr(path):
    def tag(stream):
        stream.codec_context.color_trc = 16  # AVCOL_TRC_SMPTE2084

    picture = flat_yuv((400, 512, 512), "yuv420p10le")
    return encode(path, [picture] * 2, pixels="yuv420p10le", edit=tag)


def slanted(path):
    slope = int(math.sqrt(0.5) * 65536)
    return encode(path, barcodes(2), turned=(slope, slope, 0, -slope, slope, 0, 0, 0, 1 << 30))


def unknown_codec(path):
    content = encode(path, barcodes(2)).read_bytes()
    return written(path, content.replace(b"avc1", b"zzzz"))


def playlist(path):
    encode(path.with_name("other.ts"), barcodes(25))
    lines = "#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:1,", "other.ts", "#EXT-X-ENDLIST", ""
    return written(path, "\n".join(lines).encode())


FASTSTART = {"movflags": "faststart"}
REFUSED = {
    "empty": (
        lambda folder: written(folder / "a.mp4", b""),
        "is empty (0 bytes); was a download or a copy interrupted?",
    ),
    "not a video": (lambda folder: written(folder / "a.mp4", b"words " * 99), UNREADABLE),
    "text": (lambda folder: written(folder / "a.txt", b"words " * 99), UNREADABLE),
    "playlist": (lambda folder: playlist(folder / "a.m3u8"), UNREADABLE),
    "no index": (lambda folder: cut(noisy(folder / "a.mp4"), 0.5), UNREADABLE),
    "sound": (
        lambda folder: sound_only(folder / "a.m4a"),
        "has 0 video streams besides cover pictures (it holds audio), expected one; is it an audio "
        "file, or are there several views?",
    ),
    "two videos": (
        lambda folder: encode(folder / "a.mkv", barcodes(3), others=[Disposition(0)]),
        "has 2 video streams besides cover pictures (it holds video, video), expected one; is it "
        "an audio file, or are there several views?",
    ),
    "unknown codec": (
        lambda folder: unknown_codec(folder / "a.mp4"),
        "its codec is not known to libavcodec; re-encode it as H.264",
    ),
    "no frame": (
        lambda folder: no_frames(folder / "a.avi"),
        "holds no frame; did the recording fail?",
    ),
    "one frame without duration": (
        lambda folder: without_durations(encode(folder / "a.mkv", barcodes(1), codec="ffv1")),
        "lasts 0 s, expected more; is it a single picture?",
    ),
    "no times": (
        lambda folder: encode(folder / "a.h264", barcodes(3)),
        "packet 0 has no presentation time; is it a raw stream, which has to be put into a "
        "container with its frame rate?",
    ),
    "times that fall": (
        lambda folder: encode(folder / "a.avi", barcodes(25), options=REORDERED),
        "frame 3 has presentation time 2 after 4, expected a later one; can its container (AVI, "
        "say) not hold reordered frames?",
    ),
    "cut off, Matroska": (
        lambda folder: cut(noisy(folder / "a.mkv"), 0.4),
        "ends at 0.760 s and declares 2.000 s; is it cut off?",
    ),
    "cut off, MP4": (
        lambda folder: cut(noisy(folder / "a.mp4", container_options=FASTSTART), 0.9),
        "the packet at 1.760 s is incomplete; is the file cut off, or was it joined from segments "
        "byte by byte?",
    ),
    "damaged": (
        lambda folder: damaged(folder / "a.mp4"),
        "frame 25 cannot be decoded (Invalid data found when processing input); is it damaged?",
    ),
    "hidden": (
        lambda folder: hidden(folder / "a.webm"),
        "none of its 3 frames is shown; is it damaged?",
    ),
    "a lost slice": (
        lambda folder: without_a_slice(folder / "a.mp4"),
        "frame 5 is damaged; is the file cut off?",
    ),
    "HDR": (
        lambda folder: hdr(folder / "a.mkv"),
        "is HDR (SMPTE2084), expected SDR, since every display maps its tones in its own way; map "
        "them to SDR first",
    ),
    "slanted": (
        lambda folder: slanted(folder / "a.mp4"),
        "is shown through the matrix [[0.707, 0.707], [-0.707, 0.707]], expected a turn by 0, 90, "
        "180 or 270 degrees; re-encode it upright",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_shown_is_refused(tmp_path, refuses, case):
    make, message = REFUSED[case]
    path = make(tmp_path)
    with refuses(f"{path}: {message}"):
        list(frames.seconds(path, FrameConfig(height=8, width=8)))


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("missing.mp4", FileNotFoundError, "[Errno 2] No such file or directory"),
        (".", IsADirectoryError, "[Errno 21] Is a directory"),
    ],
)
def test_a_path_that_is_no_file_is_refused(tmp_path, refuses, path, error, message):
    with refuses(f"{message}: {str(tmp_path / path)!r}", error):
        videos.facts(Path(tmp_path / path))


def test_a_damaged_end_is_refused(tmp_path):
    # which of the two is noticed depends on the number of threads
    clip = cut(noisy(tmp_path / "a.ts"), 0.97)
    with pytest.raises(ValueError, match=r"cannot be decoded|the last frame that decodes begins"):
        list(frames.seconds(clip, FrameConfig(height=8, width=8)))


def test_a_cover_picture_is_not_a_second_video(tmp_path):
    clip = encode(tmp_path / "a.mp4", barcodes(25), others=[Disposition.attached_pic])
    assert videos.facts(clip).codec == "h264"


def test_a_second_that_exceeds_the_budget_is_refused_with_what_it_takes(tmp_path, refuses):
    clip = encode(tmp_path / "a.mp4", barcodes(3))
    needed = videos.facts(clip).frame_bytes + 4 * 100 * 200 * 3
    with refuses(
        f"{clip}: one second (4 x 100 x 200 x 3) and one decoded frame take {needed} bytes, the "
        f"budget is {needed - 1}; raise it, or sample fewer or smaller frames"
    ):
        next(frames.seconds(clip, FrameConfig(per_second=4, height=100, width=200), needed - 1))


@pytest.mark.parametrize("field", ["per_second", "height", "width"])
def test_an_empty_sample_is_refused(refuses, field):
    with refuses(f"{field} is 0, expected at least 1"):
        FrameConfig(**{field: 0})


def test_an_unknown_interpolation_is_refused(refuses):
    with refuses(
        "interpolation is 'cubic', expected one of area, bilinear, bicubic, gauss, lanczos, point, "
        "spline"
    ):
        FrameConfig(interpolation="cubic")
