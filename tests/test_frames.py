"""Which frame is shown when: read from pixels whose grey level is the number of the frame."""

import gc
import os
import tracemalloc
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from qoe_core import frames, videos
from qoe_core.frames import FrameConfig
from tests.clips import REORDERED, barcodes, encode, numbers, without_durations

MS = Fraction(1, 1000)
SMALL = {"height": 12, "width": 16}


def shown(path, per_second, budget_bytes=10**7):
    """Frame numbers `[second sample]` and when each of them began, s."""
    config = FrameConfig(per_second=per_second, **SMALL)
    runs = list(frames.seconds(path, config, budget_bytes))
    return (
        np.concatenate([numbers(run.frames) for run in runs]),
        np.concatenate([run.times_s for run in runs]),
    )


def test_every_frame_is_shown_once_when_sampled_at_the_frame_rate(tmp_path):
    seen, times_s = shown(encode(tmp_path / "clip.mp4", barcodes(50)), 25)
    np.testing.assert_array_equal(seen.ravel(), np.arange(50))
    np.testing.assert_allclose(times_s.ravel(), np.arange(50) / 25, atol=1e-12)


def test_samples_lie_evenly_inside_each_second(tmp_path):
    # four samples at .125, .375, .625 and .875 s: frames 3.125, 9.375, 15.625 and 21.875 of 25
    seen, _ = shown(encode(tmp_path / "clip.mp4", barcodes(50)), 4)
    np.testing.assert_array_equal(seen, [[3, 9, 15, 21], [28, 34, 40, 46]])


def test_the_last_second_is_sampled_inside_the_part_that_exists(tmp_path):
    # 1.2 s: the last second has 0.2 s, sampled at 1.05 and 1.15 s, frames 26.25 and 28.75
    seen, _ = shown(encode(tmp_path / "clip.mp4", barcodes(30)), 2)
    np.testing.assert_array_equal(seen, [[6, 18], [26, 28]])


def test_a_frame_is_repeated_as_long_as_it_is_shown(tmp_path):
    clip = encode(tmp_path / "slow.mp4", barcodes(3), ticks=[0, 1000, 6000], time_base=MS)
    seen, times_s = shown(clip, 1)
    np.testing.assert_array_equal(seen.ravel(), [0, 1, 1, 1, 1, 1, 2])
    np.testing.assert_array_equal(times_s.ravel(), [0, 1, 1, 1, 1, 1, 6])


@pytest.mark.parametrize("begin", [499, 500, 501])
def test_a_frame_is_shown_from_the_tick_of_its_time_on(tmp_path, begin):
    # one second, sampled once at 500 ms
    clip = encode(tmp_path / "clip.mkv", barcodes(3), ticks=[0, begin, 960], time_base=MS)
    seen, _ = shown(clip, 1)
    assert seen.ravel() == [1 if begin <= 500 else 0]


def test_times_are_exact_where_the_frame_rate_is_a_fraction(tmp_path):
    # 30000/1001 fps for 1001 s would drift by a frame; here 10 s against the exact quotient
    base = Fraction(1001, 30000)
    clip = encode(tmp_path / "ntsc.mp4", barcodes(2) * 150, time_base=base)
    _, times_s = shown(clip, 3)
    at_s = [second + Fraction(2 * i + 1, 6) for second in range(10) for i in range(3)]
    expected = [float(at // base * base) for at in at_s]
    np.testing.assert_allclose(times_s[:10].ravel(), expected, atol=1e-12)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_reordered_frames_come_in_the_order_they_are_shown(tmp_path, ending):
    clip = encode(tmp_path / f"clip.{ending}", barcodes(25), options=REORDERED)
    with av.open(str(clip)) as container:
        stored = [packet.pts for packet in container.demux(video=0) if packet.size]
    seen, _ = shown(clip, 25)
    assert stored != sorted(stored)
    np.testing.assert_array_equal(seen.ravel(), np.arange(25))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "flv"])
def test_time_begins_with_the_first_frame(tmp_path, ending):
    clip = encode(tmp_path / f"late.{ending}", barcodes(50), ticks=range(75, 125))
    seen, times_s = shown(clip, 2)
    np.testing.assert_array_equal(seen, [[6, 18], [31, 43]])
    assert times_s[0, 0] == pytest.approx(0.24)


def test_a_late_start_is_not_taken_for_a_missing_end(tmp_path):
    # Matroska counts its duration of 4.2 s from 0, the first of five frames begins at 4 s
    clip = encode(tmp_path / "late.mkv", barcodes(5), ticks=range(100, 105))
    assert videos.facts(clip).duration == Fraction(1, 5)


def test_frames_after_the_end_of_an_edit_list_are_not_shown(tmp_path):
    clip = encode(tmp_path / "clip.mp4", barcodes(50), options=REORDERED)
    content = bytearray(clip.read_bytes())
    length = content.index(b"elst") + 12  # after the name, version, flags and number of entries
    content[length : length + 4] = (1000).to_bytes(4, "big")  # ms of 2000
    clip.write_bytes(content)
    seen, _ = shown(clip, 5)
    np.testing.assert_array_equal(seen, [[2, 7, 12, 17, 22]])


def test_time_begins_with_the_first_frame_that_decodes(tmp_path):
    # a broadcast joined between its key frames 0 and 10: a player shows nothing before 10
    options = {"g": "10", "bf": "0", "qp": "0", "sc_threshold": "0"}
    clip = encode(tmp_path / "clip.ts", barcodes(35), options=options)
    packets = clip.read_bytes()
    clip.write_bytes(packets[packets.index(b"\x47\x41\x00", 188 * 12) :])
    seen, _ = shown(clip, 25)
    np.testing.assert_array_equal(seen.ravel(), np.arange(10, 35))


def test_the_last_frame_lasts_as_long_as_the_one_before_where_no_duration_is_stored(tmp_path):
    clip = encode(tmp_path / "clip.mkv", barcodes(3), ticks=[0, 1000, 3000], time_base=MS)
    seen, _ = shown(without_durations(clip), 1)
    np.testing.assert_array_equal(seen.ravel(), [0, 1, 1, 2, 2])


def test_the_sound_that_outlasts_the_picture_adds_no_seconds(tmp_path):
    clip = encode(tmp_path / "clip.mkv", barcodes(25), sound_s=4)
    assert videos.facts(clip).n_seconds == 1


def test_facts_are_those_of_the_file(tmp_path):
    video = videos.facts(encode(tmp_path / "clip.mp4", barcodes(30), pixels="yuv444p"))
    assert (video.width, video.height, video.rotation) == (64, 48, 0)
    assert (video.codec, video.pixel_format) == ("h264", "yuv444p")
    assert (video.duration, video.fps, video.n_frames, video.n_seconds) == (
        Fraction(6, 5),
        25.0,
        30,
        2,
    )


def test_frames_are_colour_pictures_of_the_size_asked_for(tmp_path):
    clip = encode(tmp_path / "clip.mp4", barcodes(30))
    run = next(frames.seconds(clip, FrameConfig(per_second=3, height=20, width=30)))
    assert run.frames.shape == (2, 3, 3, 20, 30)
    assert run.frames.dtype == torch.uint8


def test_chunks_join_to_the_same_frames_whatever_the_budget(tmp_path):
    clip = encode(tmp_path / "clip.mp4", barcodes(60))
    config = FrameConfig(per_second=5, **SMALL)
    budget = videos.facts(clip).frame_bytes + 2 * (5 * 12 * 16 * 3)
    whole = list(frames.seconds(clip, config))
    parts = list(frames.seconds(clip, config, budget_bytes=budget))
    assert [len(run.frames) for run in whole] == [3]
    assert [(run.first_second, len(run.frames)) for run in parts] == [(0, 2), (2, 1)]
    assert torch.equal(torch.cat([run.frames for run in parts]), whole[0].frames)


def test_a_long_video_holds_no_more_memory_than_a_short_one(tmp_path):
    # what Python and numpy hold in the last second; a number kept per frame would add 60 kB
    held = []
    for n_frames in (500, 2500):
        ticks = range(0, 200 * n_frames, 200)
        clip = encode(
            tmp_path / "clip.mkv", barcodes(2) * (n_frames // 2), ticks=ticks, time_base=MS
        )
        video = videos.facts(clip)
        budget = video.frame_bytes + 12 * 16 * 3
        tracemalloc.start()
        for run in frames.seconds(clip, FrameConfig(**SMALL), budget):
            if run.first_second == video.n_seconds - 1:
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert held[1] < held[0] + 10_000


def test_frames_that_were_shown_are_released(tmp_path):
    # a reference cycle would keep decoded pictures until the garbage collector runs
    clip = encode(tmp_path / "clip.mkv", barcodes(50))
    gc.collect()
    gc.disable()
    try:
        for _ in frames.seconds(clip, FrameConfig(per_second=25, **SMALL)):
            pass
        kept = sum(type(one) is av.VideoFrame for one in gc.get_objects())
    finally:
        gc.enable()
    assert kept <= 1  # the first, whose display matrix is looked at


def test_the_number_of_threads_changes_no_byte(tmp_path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(25)]
    clip = encode(tmp_path / "noise.mp4", pictures, options={"preset": "veryfast", "crf": "30"})
    config = FrameConfig(per_second=25, height=33, width=47)
    cores = os.sched_getaffinity(0)
    many = next(frames.seconds(clip, config)).frames
    try:
        os.sched_setaffinity(0, {min(cores)})
        one = next(frames.seconds(clip, config)).frames
    finally:
        os.sched_setaffinity(0, cores)
    assert torch.equal(one, many)


def test_the_decoder_names_all_that_pixels_depend_on():
    for part in ("frames 1", "pyav 18", "libavformat", "libavcodec", "libswscale"):
        assert part in frames.DECODER
