"""VMAF, SSIM and PSNR of every frame of an encode against its source, measured by ffmpeg.

The encode is scaled up to the display by bicubic interpolation first, since that is what a player
does. Higher is better for all three:

    vmaf    model vmaf_v0.6.1, 0 to 100; trained for 1080p at three screen heights, so at a smaller
            display its scale is no longer that of its viewers, while its order is
    ssim    luma, at most 1; ffmpeg's: flat windows of 8x8 pixels, every 4 pixels. libvmaf's own
            (Gaussian windows) takes five times as long as VMAF
    psnr    dB, luma; libvmaf gives 60 to identical frames, and no frame more
"""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import imageio_ffmpeg
import numpy as np
from jaxtyping import Float

from qoe_core.simulate.contents import Display

MODEL = "vmaf_v0.6.1"
LUMA_SSIM = re.compile(r"^n:\d+ Y:(\S+)", re.MULTILINE)  # in the log of ffmpeg's filter


def tools() -> list[str]:
    """What the measured numbers depend on besides the videos: versions of ffmpeg and of VMAF."""
    return [imageio_ffmpeg.__version__, imageio_ffmpeg.get_ffmpeg_version(), MODEL]


def measured(
    encode: Path, source: Path, display: Display
) -> Mapping[str, Float[np.ndarray, " frame"]]:
    """Quality `vmaf`, `ssim` and `psnr` of each frame; frame k is compared with frame k.

    Args:
        encode: an mp4 of any size.
        source: an mp4 of the display's size, with as many frames.
        display: where both are looked at.

    Raises:
        ValueError: the two differ in length, or the source does not have the display's size.
        RuntimeError: ffmpeg failed, or left a frame out; its last words are in the message.
    """
    n_frames = _n_frames(encode, source, display)
    paired = f"settb=1/{display.fps},setpts=N"
    comparison = (
        f"[0:v]{paired},scale={display.width}:{display.height}:flags=bicubic[shown];"
        f"[1:v]{paired},split[source][again];[shown][source]libvmaf=model=version={MODEL}:"
        "feature=name=psnr:n_threads=1:log_fmt=json:log_path=vmaf.json:shortest=1[measured];"
        "[measured][again]ssim=stats_file=ssim.log:shortest=1"
    )
    inputs = [word for path in (encode, source) for word in ("-i", f"file:{path.resolve()}")]
    # A line a frame goes to our pipe: when this process is gone, writing fails and ffmpeg ends
    output = ["-fps_mode", "passthrough", "-flush_packets", "1", "-f", "framecrc", "pipe:1"]
    quiet = ["-nostdin", "-hide_banner", "-loglevel", "error", "-xerror"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *quiet, *inputs, "-lavfi", comparison, *output]
    with TemporaryDirectory() as folder:
        run = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        log, ssim_log = Path(folder, "vmaf.json"), Path(folder, "ssim.log")
        frames = json.loads(log.read_text())["frames"] if log.exists() else []
        ssim = LUMA_SSIM.findall(ssim_log.read_text()) if ssim_log.exists() else []
    numbers = [frame["frameNum"] for frame in frames]
    if run.returncode or numbers != list(range(n_frames)) or len(ssim) != n_frames:
        words = run.stderr.decode(errors="replace").strip().splitlines()[-5:]
        raise RuntimeError(
            f"{encode}: ffmpeg ended with code {run.returncode} after {len(frames)} of {n_frames} "
            f"frames and said: {' | '.join(words) or 'nothing'}"
        )
    return {
        "vmaf": np.array([frame["metrics"]["vmaf"] for frame in frames]),
        "ssim": np.array(ssim, dtype=float),
        "psnr": np.array([frame["metrics"]["psnr_y"] for frame in frames]),
    }


def _n_frames(encode: Path, source: Path, display: Display) -> int:
    with av.open(encode) as shown, av.open(source) as original:
        counts = [container.streams.video[0].frames for container in (shown, original)]
        size = original.streams.video[0].width, original.streams.video[0].height
    if counts[0] != counts[1] or size != (display.width, display.height):
        raise ValueError(
            f"{encode} has {counts[0]} frames and {source} {counts[1]} of {size[0]}x{size[1]}, "
            f"expected as many of each and a source of {display.width}x{display.height}"
        )
    return counts[0]
