import os

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from qoe_core.simulate.contents import Display, built_in, from_file
from qoe_core.simulate.ladder import DEFAULT_LADDER, Ladder, encode

DISPLAY = Display(width=128, height=72)
LADDER = Ladder(bitrate_kbps=(15, 60), height=(36, 72), segment_us=400_000)
N_FRAMES = 50  # five segments of ten
SEGMENT = 10


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    return encode(built_in("coffee"), DISPLAY, LADDER, N_FRAMES, tmp_path_factory.mktemp("coffee"))


@pytest.fixture
def folder(tmp_path):
    """Where a content of one rung and one segment is encoded; its photograph lies beside."""
    pixels = np.random.default_rng(0).integers(0, 256, (18, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((64, 36)).save(tmp_path / "blots.png")
    return tmp_path / "made"


def blots(folder, **changes):
    """The encodes in `folder` as the arguments of `encode`, some changed, make them."""
    arguments = {
        "content": from_file(folder.parent / "blots.png"),
        "display": Display(width=64, height=36),
        "ladder": Ladder(bitrate_kbps=(20,), height=(36,), segment_us=400_000),
        "n_frames": 10,
        **changes,
    }
    return encode(folder=folder, **arguments)


def packets(path):
    with av.open(path) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_each_rung_is_a_video_of_its_height_and_the_shape_of_the_display(encoded):
    sizes = []
    for path in encoded.files:
        with av.open(path) as container:
            stream = container.streams.video[0]
            sizes.append((stream.width, stream.height, stream.average_rate, stream.frames))
    assert sizes == [(64, 36, 25, N_FRAMES), (128, 72, 25, N_FRAMES)]


def test_keyframes_begin_the_segments_and_are_nowhere_else(folder):
    # bikes has cuts inside segments, and its source a keyframe at 250, as libx264 sets by default
    ladder = Ladder(bitrate_kbps=(40, 60), height=(20, 36), segment_us=800_000)
    for path in blots(folder, content=built_in("bikes"), ladder=ladder, n_frames=260).files:
        keyframes = [round(p.pts * p.time_base * 25) for p in packets(path) if p.is_keyframe]
        assert keyframes == list(range(0, 260, 20))


def test_every_segment_can_be_decoded_without_the_others(encoded):
    with av.open(encoded.files[1]) as container:
        whole = [frame.to_ndarray() for frame in container.decode(video=0)]
        container.seek(2 * SEGMENT * 40_000)
        alone = [next(container.decode(video=0)).to_ndarray() for _ in range(SEGMENT)]
    np.testing.assert_array_equal(alone, whole[2 * SEGMENT : 3 * SEGMENT])


def test_bits_are_those_of_the_packets_from_one_keyframe_to_the_next(encoded):
    for path, size_bits in zip(encoded.files, encoded.size_bits, strict=True):
        begins = np.cumsum([packet.is_keyframe for packet in packets(path)]) - 1
        sizes = [8 * packet.size for packet in packets(path)]
        np.testing.assert_array_equal(np.bincount(begins, sizes), size_bits)


def test_rungs_come_near_their_bitrates(encoded):
    kbps = encoded.size_bits.sum(axis=1) / (N_FRAMES / 25) / 1e3
    assert (np.abs(kbps / LADDER.bitrate_kbps - 1) < 0.5).all()


def test_a_higher_rung_looks_better_by_every_measure(encoded):
    assert list(encoded.quality) == ["vmaf", "ssim", "psnr"]
    for values in encoded.quality.values():
        assert values.shape == (2, N_FRAMES)
        assert values[0].mean() < values[1].mean()


def test_the_same_inputs_give_the_same_bytes(folder):
    made = [blots(folder.with_name(name)) for name in ("one", "two")]
    assert made[0].files[0].read_bytes() == made[1].files[0].read_bytes()
    assert made[0].digest == made[1].digest


def test_bytes_do_not_depend_on_the_number_of_cores(folder):
    # x264 writes its options into the stream; below 144 lines it uses one thread in any case
    ladder = Ladder(bitrate_kbps=(20,), height=(144,), segment_us=400_000)
    made = blots(folder, display=Display(width=64, height=144), ladder=ladder)
    assert b" threads=1 " in made.files[0].read_bytes()


def test_only_what_was_asked_for_is_left(encoded):
    names = {path.name for path in encoded.files[0].parent.iterdir()}
    assert names == {"36p_15k.mp4", "36p_15k.json", "72p_60k.mp4", "72p_60k.json"}


def test_what_is_there_is_read_and_not_made_again(folder):
    made, before = blots(folder), times(folder)
    read = blots(folder)
    assert times(folder) == before
    np.testing.assert_array_equal(read.size_bits, made.size_bits)
    np.testing.assert_array_equal(read.quality["vmaf"], made.quality["vmaf"])
    assert (read.files, read.digest) == (made.files, made.digest)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_frames": 20},
        {"display": Display(width=96, height=36)},
        {"ladder": Ladder(bitrate_kbps=(20,), height=(36,), segment_us=200_000)},
        {"content": built_in("cat")},
    ],
    ids=["length", "display", "segments", "content"],
)
def test_what_was_made_from_something_else_is_made_again(folder, changes):
    other = blots(folder)
    assert blots(folder, **changes).digest != other.digest


def test_an_edited_file_of_the_user_is_encoded_again(folder):
    before = blots(folder)
    Image.new("RGB", (64, 36), "red").save(folder.parent / "blots.png")
    assert blots(folder).digest != before.digest


@pytest.mark.parametrize("tool", [av, imageio_ffmpeg], ids=["of PyAV", "of ffmpeg"])
def test_another_version_makes_it_again(folder, monkeypatch, tool):
    blots(folder)
    before = times(folder)
    monkeypatch.setattr(tool, "__version__", "0.0")
    blots(folder)
    assert all(times(folder)[name] > since for name, since in before.items())


def test_another_rung_leaves_the_ones_that_stay(folder):
    blots(folder)
    before = times(folder)
    blots(folder, ladder=Ladder(bitrate_kbps=(10, 20), height=(18, 36), segment_us=400_000))
    assert before.items() < times(folder).items()


@pytest.mark.parametrize("damage", ["video cut off", "video deleted", "record cut off"])
def test_a_damaged_product_is_made_again(folder, damage):
    made = blots(folder)
    path = made.files[0].with_suffix(".json" if damage == "record cut off" else ".mp4")
    whole = path.read_bytes()
    if damage == "video deleted":
        path.unlink()
    else:
        path.write_bytes(whole[: len(whole) // 2])
    assert blots(folder).digest == made.digest
    assert path.read_bytes() == whole


@pytest.mark.parametrize("n_files", range(4))
def test_a_full_disk_leaves_nothing_that_looks_finished(folder, monkeypatch, n_files):
    replace, left = os.replace, iter(range(n_files))

    def full(source, target):
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            blots(folder)
    there = ["source.mp4", "source.json", "36p_20k.mp4"][:n_files]
    assert sorted(path.name for path in folder.iterdir()) == sorted(there)
    assert blots(folder).digest == blots(folder.with_name("other")).digest


@pytest.mark.parametrize(
    "rates", [(), (100, 100), (200, 100), (0, 100)], ids=["none", "equal", "falling", "zero"]
)
def test_a_ladder_that_does_not_rise_is_refused(refuses, rates):
    heights = (240,) * len(rates)
    with refuses(
        f"ladder has bitrates {rates} and heights {heights}, expected as many of each and positive "
        "bitrates from low to high; is a rung missing?"
    ):
        Ladder(bitrate_kbps=rates, height=heights)


def test_a_missing_height_is_refused(refuses):
    with refuses(
        "ladder has bitrates (100, 200) and heights (240,), expected as many of each and positive "
        "bitrates from low to high; is a rung missing?"
    ):
        Ladder(bitrate_kbps=(100, 200), height=(240,))


def test_an_empty_segment_is_refused(refuses):
    with refuses("segment_us is 0, expected a positive number of us"):
        Ladder(bitrate_kbps=(100,), height=(240,), segment_us=0)


def test_the_default_ladder_fits_the_default_display():
    DEFAULT_LADDER.check(Display())


@pytest.mark.parametrize("height", [14, 71, 74])
def test_a_height_that_the_display_cannot_show_is_refused(refuses, height):
    with refuses(
        f"ladder has a height of {height}, expected even numbers from 16 to 72; is it meant for "
        "another display?"
    ):
        Ladder(bitrate_kbps=(100, 200), height=(36, height)).check(DISPLAY)


def test_a_segment_that_ends_inside_a_frame_is_refused(refuses):
    with refuses("segment_us is 410000, expected a whole number of frames at 25 frames per second"):
        Ladder(bitrate_kbps=(100,), height=(36,), segment_us=410_000).check(DISPLAY)


@pytest.mark.parametrize("n_frames", [0, 15])
def test_a_length_that_is_no_whole_number_of_segments_is_refused(folder, refuses, n_frames):
    with refuses(f"n_frames is {n_frames}, expected whole segments of 10 frames"):
        blots(folder, n_frames=n_frames)
