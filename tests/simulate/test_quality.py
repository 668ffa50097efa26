import subprocess
import sys
import time

import av
import numpy as np
import psutil
import pytest
from skimage.metrics import peak_signal_noise_ratio

from qoe_core.simulate.contents import Display, built_in
from qoe_core.simulate.quality import measured

DISPLAY = Display(width=128, height=72)
LOSSLESS = {"qp": "0", "preset": "ultrafast"}


def video(path, frames, size=None, fps=25, **options):
    """Frames (RGB) as an mp4 of one thread, scaled to `size`."""
    width, height = size or frames[0].shape[1::-1]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"threads": "1", **options})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for pixels in frames:
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame.reformat(width, height, "yuv420p")))
        container.mux(stream.encode())
    return path


def luma(path):
    """Decoded luma of every frame, without what aligns the rows of a plane."""
    with av.open(path) as container:
        return [frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def photograph():
    return list(built_in("coffee").frames(DISPLAY, 50))


@pytest.fixture(scope="module")
def source(photograph, tmp_path_factory):
    return video(tmp_path_factory.mktemp("source") / "source.mp4", photograph, **LOSSLESS)


def test_a_source_against_itself_is_as_good_as_it_gets(source):
    quality = measured(source, source, DISPLAY)
    assert quality["vmaf"].min() > 97
    np.testing.assert_allclose(quality["ssim"], 1, atol=1e-6)
    np.testing.assert_array_equal(quality["psnr"], 60)  # where libvmaf caps 8 bits


def test_each_frame_has_one_number_of_each_kind(source):
    quality = measured(source, source, DISPLAY)
    assert {name: len(values) for name, values in quality.items()} == {
        "vmaf": 50,
        "ssim": 50,
        "psnr": 50,
    }


def test_all_three_fall_with_the_bitrate(photograph, source, tmp_path):
    means = []
    for size, rate in (((128, 72), "200k"), ((96, 54), "60k"), ((64, 36), "20k")):
        encode = video(tmp_path / f"{rate}.mp4", photograph, size, b=rate)
        means.append([values.mean() for values in measured(encode, source, DISPLAY).values()])
    assert (np.diff(means, axis=0) < 0).all()


def test_psnr_is_that_of_the_decoded_luma(photograph, source, tmp_path):
    encode = video(tmp_path / "encode.mp4", photograph, qp="35")
    expected = [
        peak_signal_noise_ratio(original, shown)
        for original, shown in zip(luma(source), luma(encode), strict=True)
    ]
    psnr = measured(encode, source, DISPLAY)["psnr"]
    np.testing.assert_allclose(psnr, expected, atol=1e-5)  # the log has six decimals


def ssim_by_definition(original, shown):
    """Wang et al., IEEE TIP 13(4), 2004, eq. 13, over 8x8 windows that begin every 4 pixels."""
    windows = [
        np.lib.stride_tricks.sliding_window_view(plane.astype(float), (8, 8))[::4, ::4]
        for plane in (original, shown)
    ]
    (x, y), axes = windows, (2, 3)
    mean_x, mean_y = x.mean(axes), y.mean(axes)
    both = ((x - mean_x[..., None, None]) * (y - mean_y[..., None, None])).sum(axes) / 63
    spread = x.var(axes, ddof=1) + y.var(axes, ddof=1)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return (similar / ((mean_x**2 + mean_y**2 + c1) * (spread + c2))).mean()


def test_ssim_is_that_of_the_decoded_luma(photograph, source, tmp_path):
    encode = video(tmp_path / "encode.mp4", photograph, qp="35")
    pairs = zip(luma(source), luma(encode), strict=True)
    expected = [ssim_by_definition(original, shown) for original, shown in pairs]
    ssim = measured(encode, source, DISPLAY)["ssim"]
    np.testing.assert_allclose(ssim, expected, atol=2e-4)  # ffmpeg rounds its two constants


def test_frame_k_is_compared_with_frame_k_whatever_the_time_stamps(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (72, 128, 3), dtype=np.uint8) for _ in range(30)]
    paths = [
        video(tmp_path / f"{fps}.mp4", frames, fps=fps, bf=bf, **LOSSLESS)
        for fps, bf in ((25, "0"), (24, "3"))
    ]
    np.testing.assert_array_equal(measured(*paths, DISPLAY)["psnr"], 60)


def test_one_frame_late_is_seen(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (72, 128, 3), dtype=np.uint8) for _ in range(30)]
    on_time = video(tmp_path / "a.mp4", frames, **LOSSLESS)
    late = video(tmp_path / "b.mp4", [*frames[1:], frames[0]], **LOSSLESS)
    assert measured(late, on_time, DISPLAY)["psnr"].max() < 20


def test_names_that_mean_something_to_ffmpeg_are_only_names(photograph, tmp_path):
    folder = tmp_path / "a:b,c=[d]'e %03d"
    folder.mkdir()
    path = video(folder / "x|y;z.mp4", photograph[:5], **LOSSLESS)
    assert len(measured(path, path, DISPLAY)["vmaf"]) == 5


def test_an_encode_of_another_length_is_refused(photograph, source, tmp_path, refuses):
    encode = video(tmp_path / "encode.mp4", photograph[:49])
    with refuses(
        f"{encode} has 49 frames and {source} 50 of 128x72, expected as many of each and a source "
        "of 128x72"
    ):
        measured(encode, source, DISPLAY)


def test_a_source_of_another_size_is_refused(source, refuses):
    with refuses(
        f"{source} has 50 frames and {source} 50 of 128x72, expected as many of each and a source "
        "of 64x36"
    ):
        measured(source, source, Display(width=64, height=36))


def test_slight_damage_is_an_error_in_the_words_of_ffmpeg(photograph, source, tmp_path):
    encode = video(tmp_path / "encode.mp4", photograph, qp="10")
    content = bytearray(encode.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)  # a decoder would patch this over
    encode.write_bytes(content)
    with pytest.raises(RuntimeError, match=r"of 50 frames and said: .*corrupt decoded frame"):
        measured(encode, source, DISPLAY)


def test_ffmpeg_ends_with_the_process_that_waits_for_it(tmp_path):
    grey = np.full((720, 1280, 3), 99, dtype=np.uint8)
    path = video(tmp_path / "long.mp4", [grey] * 600, **LOSSLESS)  # takes more than 5 s
    program = (
        "import sys; from pathlib import Path; from qoe_core.simulate.contents import Display;"
        "from qoe_core.simulate.quality import measured;"
        "path, display = Path(sys.argv[1]), Display(width=1280, height=720);"
        "measured(path, path, display)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)]) as waiting:
        while not (ffmpeg := psutil.Process(waiting.pid).children()):
            assert waiting.poll() is None
            time.sleep(0.05)
        waiting.kill()
    assert psutil.wait_procs(ffmpeg, timeout=3)[1] == []
