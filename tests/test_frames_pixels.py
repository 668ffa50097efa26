"""Colours, orientation and sizes of the frames, against hand calculation and PyAV's own resize."""

import av
import numpy as np
import pytest

from qoe_core import frames, videos
from qoe_core.frames import FrameConfig
from tests.clips import barcodes, encode, flat_yuv

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)  # weights of red, blue
LIMITED, FULL = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
YUV = (100, 90, 180)
FLAT = {"height": 8, "width": 8}


def first_frame(path, **config):
    return next(frames.seconds(path, FrameConfig(**config))).frames[0, 0].permute(1, 2, 0).numpy()


def rgb(yuv, weights, levels):
    """The colour of a Y'CbCr triple (Rec. ITU-R BT.601, BT.709, BT.2020), 0 to 255."""
    red_weight, blue_weight = weights
    offset, luma, chroma = {LIMITED: (16, 219, 224), FULL: (0, 255, 255)}[levels]
    y, cb, cr = (yuv[0] - offset) / luma, (yuv[1] - 128) / chroma, (yuv[2] - 128) / chroma
    red = y + 2 * (1 - red_weight) * cr
    blue = y + 2 * (1 - blue_weight) * cb
    green = (y - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    return np.clip(255 * np.array([red, green, blue]), 0, 255)


def assert_colour(path, expected):
    # one level for the rounding of swscale, one for that of the expected value
    assert np.abs(first_frame(path, **FLAT) - expected).max() < 2


@pytest.mark.parametrize("levels", [LIMITED, FULL], ids=["limited", "full"])
@pytest.mark.parametrize(
    ("matrix", "weights"),
    [(1, BT709), (5, BT601), (6, BT601), (9, BT2020)],
    ids=["BT.709", "BT.601 PAL", "BT.601 NTSC", "BT.2020"],
)
def test_colours_follow_the_matrix_and_range_of_the_stream(tmp_path, matrix, weights, levels):
    def tag(stream):
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = levels

    clip = encode(tmp_path / "flat.mp4", [flat_yuv(YUV)] * 2, edit=tag)
    assert_colour(clip, rgb(YUV, weights, levels))


@pytest.mark.parametrize(("lines", "weights"), [(718, BT601), (720, BT709)])
def test_a_stream_without_a_matrix_is_high_definition_from_720_lines_on(tmp_path, lines, weights):
    clip = encode(tmp_path / "flat.mp4", [flat_yuv(YUV, height=lines)] * 2)
    assert_colour(clip, rgb(YUV, weights, LIMITED))


def test_ten_bits_give_the_colour_of_eight(tmp_path):
    picture = flat_yuv([4 * level for level in YUV], "yuv420p10le")
    clip = encode(tmp_path / "flat.mkv", [picture] * 2, pixels="yuv420p10le")
    assert_colour(clip, rgb(YUV, BT601, LIMITED))


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("clip.mkv", "ffv1", "bgra"), ("clip.mov", "png", "rgba"), ("clip.mkv", "ffv1", "yuva420p")],
)
def test_transparency_is_shown_over_black(tmp_path, name, codec, pixels):
    picture = np.tile(np.array([200, 100, 50, 128], np.uint8), (48, 64, 1))
    clip = encode(tmp_path / name, [picture] * 2, codec=codec, pixels=pixels)
    assert_colour(clip, np.array([200, 100, 50]) * 128 / 255)


QUARTERS = {"red": (200, 0, 0), "green": (0, 200, 0), "blue": (0, 0, 200), "white": (200, 200, 200)}
ONE = 1 << 16  # 16.16 fixed point of display matrices
STORED = [["red", "green"], ["blue", "white"]]


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((1, 0, 0, 1), STORED),
        ((0, 1, -1, 0), [["blue", "red"], ["white", "green"]]),  # clockwise, a telephone held up
        ((-1, 0, 0, -1), [["white", "blue"], ["green", "red"]]),
        ((0, -1, 1, 0), [["green", "white"], ["red", "blue"]]),
        ((-1, 0, 0, 1), [["green", "red"], ["white", "blue"]]),  # a mirror, as of selfies
        ((0, 1, 1, 0), [["red", "blue"], ["green", "white"]]),
    ],
    ids=["as stored", "90", "180", "270", "mirror", "mirror and 90"],
)
def test_a_display_matrix_turns_the_picture_upright(tmp_path, matrix, upright):
    picture = np.array([[QUARTERS[name] for name in row] for row in STORED], np.uint8)
    picture = picture.repeat(24, 0).repeat(32, 1)
    a, b, c, d = (ONE * entry for entry in matrix)
    turned = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    clip = encode(tmp_path / "turned.mp4", [picture] * 2, pixels="yuv444p", turned=turned)
    video = videos.facts(clip)
    assert (video.width, video.height) == ((64, 48) if matrix[0] else (48, 64))
    shown = first_frame(clip, height=40, width=20)[[[10], [30]], [5, 15]]
    expected = np.array([[QUARTERS[name] for name in row] for row in upright])
    assert np.abs(shown - expected).max() < 3  # RGB to YUV and back rounds twice


@pytest.mark.parametrize(("interpolation", "tolerance"), [("bicubic", 4), ("area", 4)])
def test_odd_sizes_are_resized_like_pyav_does(tmp_path, interpolation, tolerance):
    # PyAV's default kernels round down by up to two levels and filter chroma less finely
    grid = np.add.outer(np.arange(49), np.arange(65))
    picture = np.stack([grid, 2 * grid % 256, 255 - grid], axis=-1).astype(np.uint8)
    clip = encode(tmp_path / "odd.mkv", [picture] * 2, codec="ffv1", pixels="yuv444p")
    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
        kernel = interpolation.upper()
        expected = frame.to_ndarray(format="rgb24", width=31, height=23, interpolation=kernel)
    ours = first_frame(clip, height=23, width=31, interpolation=interpolation)
    assert np.abs(ours.astype(int) - expected).max() <= tolerance


def test_pixels_that_are_not_square_change_nothing(tmp_path):
    def anamorphic(stream):
        stream.codec_context.sample_aspect_ratio = 2

    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (48, 64, 3), np.uint8)] * 2
    square = encode(tmp_path / "square.mkv", pictures)
    wide = encode(tmp_path / "wide.mkv", pictures, edit=anamorphic)
    np.testing.assert_array_equal(first_frame(wide, **FLAT), first_frame(square, **FLAT))


def test_every_interpolation_keeps_a_flat_picture_flat(tmp_path):
    clip = encode(tmp_path / "flat.mkv", barcodes(1) * 2)
    for interpolation in frames.INTERPOLATIONS:
        assert np.ptp(first_frame(clip, interpolation=interpolation, **FLAT)) == 0
