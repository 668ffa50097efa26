import json
import subprocess
import wave
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from qoe_core.simulate.contents import BUILT_IN, Content, Display, Move, built_in, from_file

SMALL = Display(width=64, height=36)
STILL = Move(window=(1.0, 1.0), pan=0.0, shake=0.0)
NO_CLIP = "expected a clip or a photograph, is it cut off?"


def grey(level, width=64, height=36):
    return np.full((height, width, 3), level, dtype=np.uint8)


def clip(path, frames, fps=25, pixel_aspect=Fraction(1)):
    """A lossless clip; its frames survive up to the rounding of colours."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"qp": "0"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def photograph(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def levels(content, n_frames, display=SMALL):
    return [round(float(frame.mean())) for frame in content.frames(display, n_frames)]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_content_fills_the_display_with_a_picture(name):
    frame = next(built_in(name).frames(SMALL, 1))
    assert (frame.shape, frame.dtype) == ((36, 64, 3), np.uint8)
    assert frame.std() > 5


@pytest.mark.parametrize("name", ["carphone", "cat"], ids=["a clip", "a photograph"])
def test_frames_are_the_same_in_every_run(name):
    first, again = (list(built_in(name).frames(SMALL, 30)) for _ in range(2))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", ["carphone", "cat"], ids=["a clip", "a photograph"])
def test_a_longer_video_begins_with_the_shorter(name):
    short, long = (list(built_in(name).frames(SMALL, n_frames)) for n_frames in (5, 130))
    assert (len(short), len(long)) == (5, 130)
    np.testing.assert_array_equal(short, long[:5])


def test_photographs_differ_in_the_amount_of_motion():
    def motion(name):
        frames = np.array(list(built_in(name).frames(SMALL, 50)), dtype=float)
        return np.abs(np.diff(frames, axis=0)).mean() / frames.std()

    assert 3 * motion("flower") < motion("coffee") < motion("gravel") / 1.5


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_camera_never_leaves_the_photograph(name):
    move = built_in(name).move
    path = move.path(name, np.arange(0, 600, 0.04))
    assert np.abs(path[:, :2]).max() <= 1
    assert move.window[0] <= path[:, 2].min() < path[:, 2].max() <= move.window[1]


def test_a_still_camera_shows_the_photograph_itself(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (36, 64, 3), dtype=np.uint8)
    content = Content(name="still", path=photograph(tmp_path / "a.png", pixels), move=STILL)
    for frame in content.frames(SMALL, 2):
        np.testing.assert_array_equal(frame, pixels)


def test_a_camera_that_pans_shows_what_its_path_says(tmp_path):
    x, y = np.meshgrid(np.arange(256), np.arange(144))
    ramps = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    move = Move(window=(0.25, 0.25), pan=0.8, shake=0.1, period_s=3.0)
    content = Content(name="ramps", path=photograph(tmp_path / "a.png", ramps), move=move)
    seen = [frame.mean(axis=(0, 1))[:2] for frame in content.frames(SMALL, 60)]
    centre = move.path("ramps", np.arange(60) / 25)[:, :2]  # a quarter is seen, the rest is room
    expected = np.array([127.5, 71.5]) + centre * 0.75 * np.array([128, 72])
    np.testing.assert_allclose(seen, expected, atol=0.51)  # a ramp is rounded as one


def test_a_photograph_larger_than_the_display_does_not_flicker(tmp_path):
    fine = np.indices((252, 448)).sum(axis=0) % 2 * 255  # one pixel black, one white
    pixels = np.repeat(fine[..., None], 3, axis=-1).astype(np.uint8)
    content = Content(name="fine", path=photograph(tmp_path / "a.png", pixels), move=STILL)
    frame = next(content.frames(SMALL, 1))
    np.testing.assert_allclose(frame[4:-4, 4:-4], 127.5, atol=4)


@pytest.mark.parametrize(
    ("fps", "source"),
    [
        (10, [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4]),  # the largest j with j / 10 <= k / 25
        (50, [0, 2, 4, 6, 8, 10, 12]),
        (25, list(range(12))),
        (Fraction(30000, 1001), [0, 1, 2, 3, 4, 5, 7, 8, 9]),  # 6 * 29.97 / 25 = 7.19
    ],
)
def test_frame_k_is_the_picture_on_screen_at_k_over_fps(tmp_path, fps, source):
    content = from_file(clip(tmp_path / "a.mp4", [grey(4 * j) for j in range(60)], fps))
    np.testing.assert_allclose(levels(content, len(source)), 4 * np.array(source), atol=1)


def test_a_clip_that_ends_begins_again(tmp_path):
    content = from_file(
        clip(tmp_path / "a.mp4", [grey(8 * j) for j in range(13)], fps=Fraction(25, 2))
    )
    expected = [8 * (k // 2 % 13) for k in range(60)]
    np.testing.assert_allclose(levels(content, 60), expected, atol=1)


def test_a_clip_of_one_picture_a_second_is_no_photograph(tmp_path):
    content = from_file(clip(tmp_path / "a.mp4", [grey(50), grey(100), grey(150)], fps=1))
    expected = [50] * 25 + [100] * 25 + [150] * 25
    np.testing.assert_allclose(levels(content, 75), expected, atol=1)


def test_a_wide_clip_loses_its_sides_and_keeps_its_middle(tmp_path):
    pixels = np.concatenate([grey(0, 16), grey(200, 64), grey(0, 16)], axis=1)
    content = from_file(clip(tmp_path / "a.mp4", [pixels] * 25))
    np.testing.assert_allclose(next(content.frames(SMALL, 1)), 200, atol=1)


def test_wide_pixels_are_stretched_and_not_cut(tmp_path):
    edged = np.concatenate([grey(200, 32, 6), grey(40, 32, 30)])
    path = clip(tmp_path / "a.mp4", [edged] * 25, pixel_aspect=Fraction(2))
    frame = next(from_file(path).frames(SMALL, 1))
    np.testing.assert_allclose(frame[:4], 200, atol=2)
    np.testing.assert_allclose(frame[8:], 40, atol=2)


def test_a_clip_filmed_upright_is_turned(tmp_path):
    flat = clip(tmp_path / "flat.mp4", [np.concatenate([grey(40, 32), grey(200, 32)], 1)] * 25)
    turned = tmp_path / "turned.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-display_rotation", "90"]
    subprocess.run([*command, "-i", flat, "-c", "copy", turned], check=True)
    frame = next(from_file(turned).frames(SMALL, 1))  # 90 degrees against the clock
    assert frame[0].mean() == pytest.approx(200, abs=2)
    assert frame[-1].mean() == pytest.approx(40, abs=2)


def test_the_name_of_a_file_becomes_a_safe_name(tmp_path):
    path = photograph(tmp_path / "My cat (2) - é.png", grey(9))
    assert from_file(path).name == "my_cat_2"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"no picture " * 99, f"Invalid data found when processing input; {NO_CLIP}"),
        ("a.mp4", b"", f"Invalid data found when processing input; {NO_CLIP}"),
        ("a.mp4", b"ffconcat version 1.0\nfile b.mp4\n", f"Invalid argument; {NO_CLIP}"),
    ],
    ids=["a text", "an empty file", "a playlist"],
)
def test_a_file_without_pictures_is_refused(tmp_path, refuses, name, content, message):
    clip(tmp_path / "b.mp4", [grey(9)] * 25)
    (tmp_path / name).write_bytes(content)
    with refuses(f"{tmp_path / name}: {message}"):
        from_file(tmp_path / name)


def test_sound_alone_is_refused(tmp_path, refuses):
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    with refuses(f"{tmp_path / 'a.wav'}: holds no video, expected a clip or a photograph"):
        from_file(tmp_path / "a.wav")


def test_a_clip_shorter_than_a_second_is_refused(tmp_path, refuses):
    path = clip(tmp_path / "a.mp4", [grey(9)] * 24)
    with refuses(
        f"{path}: ends after 24 pictures and under 1 s, expected a longer clip or a single "
        "picture; is it cut off?"
    ):
        from_file(path)


def test_a_clip_damaged_after_its_first_second_is_refused_when_it_gets_there(tmp_path, refuses):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (36, 64, 3), dtype=np.uint8) for _ in range(100)]
    path = clip(tmp_path / "a.mp4", frames)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 999] = bytes(999)
    path.write_bytes(content)
    damaged = from_file(path)
    with refuses(f"{path}: Invalid data found when processing input; {NO_CLIP}"):
        list(damaged.frames(SMALL, 100))


@pytest.mark.parametrize("name", ["missing.mp4", "---.mp4"])
def test_a_path_that_gives_no_content_is_refused(tmp_path, refuses, name):
    path = tmp_path / name
    if name == "---.mp4":
        clip(path, [grey(9)] * 25)
    with refuses(f"{str(path)!r}: expected a file whose name has a letter or a digit"):
        from_file(path)


def test_a_name_that_is_not_built_in_is_refused(refuses):
    expected = ", ".join(BUILT_IN)
    with refuses(f"no content is called 'lena', expected one of {expected}"):
        built_in("lena")


@pytest.mark.parametrize(
    "change", [{"width": 63}, {"height": 63}, {"width": 0}, {"height": 0}, {"fps": 24}, {"fps": 0}]
)
def test_a_display_that_no_video_fills_is_refused(refuses, change):
    fields = {"width": 64, "height": 36, "fps": 25, **change}
    stated = ", ".join(f"{name}={value}" for name, value in fields.items())
    with refuses(
        f"Display({stated}): expected an even width and height, and fps that divides 1000000, as "
        "25 and 50 do, so that frames are whole microseconds apart"
    ):
        Display(**fields)


def test_the_identity_follows_the_file_and_the_move(tmp_path):
    content = from_file(photograph(tmp_path / "a.png", grey(9)))
    moved = Content(name="a", path=content.path, move=STILL)
    identities = [json.dumps(each.identity) for each in (content, content, moved)]
    photograph(tmp_path / "a.png", grey(10))
    identities.append(json.dumps(content.identity))
    assert identities[0] == identities[1]
    assert len(set(identities)) == 3
