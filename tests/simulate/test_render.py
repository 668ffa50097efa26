"""A tiny content whose pixels say which media frame and which rung they belong to."""

import errno
import os
from dataclasses import replace

import av
import numpy as np
import pytest

from qoe_core.simulate.contents import Display
from qoe_core.simulate.ladder import Encodes, Ladder
from qoe_core.simulate.player import PlaybackLog, shown
from qoe_core.simulate.render import render

DISPLAY = Display(width=128, height=72, fps=25)
SEGMENT = 10  # frames
SIZES = ((64, 36), (96, 54), (128, 72))  # of the rungs
LADDER = Ladder(
    bitrate_kbps=(100, 200, 400),
    height=tuple(height for _, height in SIZES),
    segment_us=SEGMENT * 40_000,
)
N_SEGMENTS = 6
BITS = 2 ** np.arange(8)  # six blocks for the media frame, two for the rung plus 1


def barcode(number, rung):
    """Two rows of four blocks, each bit black or white, tinted by rung."""
    bits = (((rung + 1) * 64 + number) & BITS) > 0
    grey = np.where(bits, 200, 40).astype(np.uint8).reshape(2, 4)
    picture = np.repeat(grey[..., None], 3, axis=2)
    picture[..., rung] += 30
    return picture


def read_barcode(pixels):
    """Media frame and rung of a picture; black reads as -1 and -1."""
    blocks = pixels.reshape(2, DISPLAY.height // 2, 4, DISPLAY.width // 4, 3)
    centres = blocks[:, 8:-8, :, 8:-8].mean(axis=(1, 3, 4))
    if centres.max() < 20:
        return -1, -1
    code = int(((centres.ravel() > 128) * BITS).sum())
    rung = code // 64 - 1
    assert blocks[..., rung].mean() == blocks.mean(axis=(0, 1, 2, 3)).max()  # the tint agrees
    return code % 64, rung


@pytest.fixture(scope="module")
def encodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encodes")
    files = tuple(folder / f"{rung}.mp4" for rung in range(len(SIZES)))
    options = {
        "crf": "15",
        "g": str(SEGMENT),
        "x264-params": "scenecut=0:open-gop=0",
        "threads": "1",
    }
    for rung, (path, (width, height)) in enumerate(zip(files, SIZES, strict=True)):
        with av.open(path, "w") as video:
            stream = video.add_stream("libx264", rate=DISPLAY.fps, options=options)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for number in range(N_SEGMENTS * SEGMENT):
                frame = av.VideoFrame.from_ndarray(barcode(number, rung), format="rgb24")
                frame = frame.reformat(width, height, "yuv420p", interpolation="POINT")
                frame.pts = number
                video.mux(stream.encode(frame))
            video.mux(stream.encode())
    sizes = np.ones((len(SIZES), N_SEGMENTS), dtype=int)
    return Encodes(ladder=LADDER, display=DISPLAY, size_bits=sizes, quality={}, files=files)


def playback(starts, rungs, segment=SEGMENT):
    """A log whose segments start at these refreshes."""
    return PlaybackLog(
        segment_us=segment * 40_000,
        tick_us=40_000,
        rung=np.array(rungs),
        size_bits=np.ones(len(rungs), dtype=int),
        play_start_us=np.array(starts) * 40_000,
    )


# start-up of 7 refreshes, stalls of 13 after the second segment and of 1 after the fifth
STALLED = playback([7, 17, 40, 50, 60, 71], [0, 2, 2, 1, 0, 2])
SMOOTH = playback([0, 10, 20, 30, 40, 50], [1, 1, 0, 2, 0, 1])


def decoded(path):
    with av.open(path) as video:
        return list(video.decode(video=0))


@pytest.mark.parametrize("log", [STALLED, SMOOTH], ids=["stalled", "smooth"])
@pytest.mark.parametrize("startup", [False, True])
def test_the_rendered_video_equals_the_log_frame_by_frame(encodes, tmp_path, log, startup):
    render(log, encodes, tmp_path / "seen.mp4", startup)
    seen = [
        read_barcode(frame.to_ndarray(format="rgb24")) for frame in decoded(tmp_path / "seen.mp4")
    ]
    expected = shown(log, startup)
    assert seen == list(zip(expected.media_frame.tolist(), expected.rung.tolist(), strict=True))
    assert len(seen) * 40_000 == log.wall_us - (0 if startup else log.startup_us)


@pytest.fixture(scope="module")
def rendered(encodes, tmp_path_factory):
    path = tmp_path_factory.mktemp("rendered") / "seen.mp4"
    render(STALLED, encodes, path, startup=True)
    return path


def test_the_video_is_what_every_browser_plays(rendered):
    with av.open(rendered) as video:
        stream = video.streams.video[0]
        facts = (
            stream.codec_context.name,
            stream.profile,
            stream.pix_fmt,
            stream.width,
            stream.height,
        )
    assert facts == ("h264", "High", "yuv420p", 128, 72)


def test_frames_are_equally_far_apart_from_0_on(rendered):
    times = [frame.pts * frame.time_base * 25 for frame in decoded(rendered)]
    assert times == list(range(81))


def test_a_keyframe_comes_at_least_every_two_seconds(rendered):
    keyframes = [number for number, frame in enumerate(decoded(rendered)) if frame.key_frame]
    assert max(np.diff([*keyframes, 81])) <= 50


def test_the_frame_types_of_the_rungs_are_not_repeated(rendered):
    keyframes = [number for number, frame in enumerate(decoded(rendered)) if frame.key_frame]
    assert len(keyframes) < N_SEGMENTS


def test_the_index_comes_before_the_pictures(rendered):
    content = rendered.read_bytes()
    boxes, at = [], 0
    while at < len(content):
        boxes.append(content[at + 4 : at + 8])
        at += int.from_bytes(content[at : at + 4], "big")
    assert boxes.index(b"moov") < boxes.index(b"mdat")


def test_the_same_playback_gives_the_same_bytes(encodes, rendered, tmp_path):
    render(STALLED, encodes, tmp_path / "again.mp4", startup=True)
    assert (tmp_path / "again.mp4").read_bytes() == rendered.read_bytes()


def damaged(encodes, folder, change):
    """The same encodes with the bytes of the top rung changed."""
    path = folder / "top.mp4"
    path.write_bytes(change(encodes.files[2].read_bytes()))
    return replace(encodes, files=(*encodes.files[:2], path))


def without_pictures(content):
    """The pictures of the last half overwritten with zeros."""
    middle = content.index(b"mdat") + (content.index(b"moov") - content.index(b"mdat")) // 2
    return (
        content[:middle]
        + bytes(content.index(b"moov") - middle)
        + content[content.index(b"moov") :]
    )


@pytest.mark.parametrize("before", [None, b"an earlier video"], ids=["new", "again"])
def test_a_render_that_fails_in_the_middle_leaves_the_folder_as_it_was(encodes, tmp_path, before):
    folder = tmp_path / "videos"
    folder.mkdir()
    if before:
        (folder / "seen.mp4").write_bytes(before)
    with pytest.raises(ValueError, match=r"top\.mp4, media frame \d+: .*is the encode damaged\?"):
        render(STALLED, damaged(encodes, tmp_path, without_pictures), folder / "seen.mp4")
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert left == ({"seen.mp4": before} if before else {})


def test_a_full_disk_leaves_no_video(encodes, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        render(STALLED, encodes, tmp_path / "seen.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("segment", "missing", "problem"),
    [
        (10, 60, "the frame of 2.0 s is there instead"),  # the last keyframe is the nearest one
        (40, 60, "the file ends before it"),
        (5, 5, "the frame of 0.0 s is there instead"),
    ],
    ids=["a segment short", "half a segment short", "no keyframe there"],
)
def test_an_encode_without_the_frames_of_a_segment_is_refused(
    encodes, tmp_path, refuses, segment, missing, problem
):
    rungs = [1] * (80 // segment)
    log = playback(range(0, 80, segment), rungs, segment)
    other = replace(encodes, size_bits=np.ones((3, len(rungs)), dtype=int))
    with refuses(
        f"{encodes.files[1]}, media frame {missing}: {problem}, expected whole segments that begin "
        "with a keyframe; is the encode damaged? Delete it to encode it again"
    ):
        render(log, other, tmp_path / "seen.mp4")


@pytest.mark.parametrize("n_files", [0, 3])
def test_a_log_of_other_encodes_is_refused(encodes, tmp_path, refuses, n_files):
    n_segments = 6 if n_files == 0 else 5
    other = replace(
        encodes, files=encodes.files[:n_files], size_bits=np.ones((3, n_segments), dtype=int)
    )
    with refuses(
        f"seen.mp4: the log has 6 segments, the encodes {n_segments} in {n_files} files of 3 "
        "rungs; does the log belong to other encodes?"
    ):
        render(STALLED, other, tmp_path / "seen.mp4")
