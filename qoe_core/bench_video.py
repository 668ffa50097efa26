"""Speed of the video side, each against a reference in the same run; rows for `qoe_core.bench`.

Ways that are compared take turns, and medians are kept, so that other load hits both.
"""

import os
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from skimage import data
from torch import Tensor

from qoe_core import frames, paths
from qoe_core.batches import collate
from qoe_core.extraction import VideoConfig, extract, functions, video_features
from qoe_core.frames import FrameConfig
from qoe_core.inputs import FeatureConfig
from qoe_core.loading import Loader, in_turn
from qoe_core.models.examples import Examples
from qoe_core.qos import Scaling
from qoe_core.session import Session
from qoe_core.simulate.__main__ import read_config
from qoe_core.simulate.build import build
from qoe_core.simulate.corpus import read
from qoe_core.store import Store

WIDTH, HEIGHT, FPS = 640, 360, 25
ENTRY = (64, 2048)  # of a store entry, float16
N_ENTRIES, N_READ = 400, 64
LONG_MINUTES = 100
CORPUS = "simulated_small"
Row = tuple[str, float, str, str, float | None, float | None]


def rows(folder: Path) -> Iterable[Row]:
    """Everything, one after another; `folder` holds what is made meanwhile."""
    yield from decoding(folder)
    yield from length(folder)
    yield from reading(folder)
    yield from corpus(folder)


def decoding(folder: Path) -> Iterable[Row]:
    """Frames per second to 224x224 tensors, against PyAV's own decode and resize."""
    clip = film(folder / "clip.mp4", seconds=20)
    config = FrameConfig(per_second=FPS)
    ways = {
        "ours": lambda: sum(1 for part in frames.seconds(clip, config)),
        "PyAV": lambda: sum(1 for _ in _resized_by_pyav(clip)),
    }
    spent = medians(ways, n_rounds=9)
    ours, reference = (20 * FPS / spent[way] for way in ("ours", "PyAV"))
    what = f"decode {WIDTH}x{HEIGHT} to 224x224, every frame"
    yield what, ours, "frames/s", "PyAV's decode and to_ndarray", reference, ours / reference


def length(folder: Path) -> Iterable[Row]:
    """Cost of a second of video in a long file against a short one; one sample a second."""
    minute = film(folder / "minute.mp4", seconds=60)
    short = repeated(minute, folder / "short.mkv", 1)
    long = repeated(minute, folder / "long.mkv", LONG_MINUTES)
    config = FrameConfig()

    def spent(path: Path) -> float:
        started = time.process_time()
        for _ in frames.seconds(path, config, budget_bytes=30_000_000):
            pass
        return time.process_time() - started

    before = [spent(short) for _ in range(6)][1:]
    long_s = spent(long) / 60 / LONG_MINUTES
    after = [spent(short) for _ in range(5)]
    short_s = statistics.median(before + after) / 60
    what = f"decode and sample {LONG_MINUTES} minutes, CPU"
    yield what, 1e3 * long_s, "ms per s", "the same, 1 minute", 1e3 * short_s, long_s / short_s


class Drawn:
    """Random features by the number in a file; stands for a backbone whose result was stored."""

    identity: Mapping[str, object] = {"name": "drawn", "shape": list(ENTRY)}

    def __call__(self, path: Path) -> dict[str, Tensor]:
        """`features` of the size of an entry."""
        generator = torch.Generator().manual_seed(int(path.read_text()))
        return {"features": torch.randn(ENTRY, generator=generator).half()}


def reading(folder: Path) -> Iterable[Row]:
    """Random reads of stored entries from memory and from disk, against plain reads of the files.

    Cold: the system is asked to drop its copy of the files before each round, outside the clock.
    """
    sources = [folder / f"{number}.txt" for number in range(N_ENTRIES)]
    for number, source in enumerate(sources):
        source.write_text(str(number))
    time.sleep(2.5)  # younger files are hashed again at each look
    drawn = Drawn()
    stores = {"disk": Store(folder / "store", policy="none"), "memory": Store(folder / "store")}
    for store in stores.values():
        for source in sources:
            store.get(source, drawn)
    files = list((folder / "store").glob("*/*.safetensors"))
    rng = random.Random(0)
    ways = {"plain": lambda: [path.read_bytes() for path in rng.sample(files, N_READ)]}
    for name, store in stores.items():
        ways[name] = lambda s=store: [s.get(path, drawn) for path in rng.sample(sources, N_READ)]
    warm = medians(ways, n_rounds=41)
    del ways["memory"]
    cold = medians(ways, n_rounds=11, before=lambda: _dropped(files))
    for name, spent in (("memory", warm), ("disk", warm), ("disk", cold)):
        what = f"{N_READ} random entries of {ENTRY} float16 from {name}"
        temperature = "cold" if spent is cold else "warm"
        store_ms, plain_ms = 1e3 * spent[name], 1e3 * spent["plain"]
        reference = f"plain reads of the same files, {temperature}"
        yield f"{what}, {temperature}", store_ms, "ms", reference, plain_ms, plain_ms / store_ms


def _dropped(files: Sequence[Path]) -> None:
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def corpus(folder: Path) -> Iterable[Row]:
    """Build the corpus of the notebooks' defaults, extract its features, read an epoch of them."""
    started = time.perf_counter()
    build(read_config(paths.PARAMS / f"simulate--{CORPUS}.yaml"), folder / CORPUS)
    sessions = read(folder / CORPUS)
    spent = time.perf_counter() - started
    video_s = sum(session.n_seconds for session in sessions)
    yield f"build {CORPUS}, {len(sessions)} sessions, {video_s} s", spent, "s", "", None, None
    store, config = Store(folder / "features"), VideoConfig()
    started = time.perf_counter()
    extract(sessions, config, store)
    spent = time.perf_counter() - started
    yield f"extract features of {CORPUS}", spent, "s", "", None, None
    yield _epoch(sessions, config, store)


def _epoch(sessions: Sequence[Session], config: VideoConfig, store: Store) -> Row:
    n_computed = 2  # of the sessions; the rest would take long and say the same
    started = time.perf_counter()
    for session in sessions[:n_computed]:
        for function in functions(config):
            function(session.video)
    computed_s = (time.perf_counter() - started) * len(sessions) / n_computed
    inputs = FeatureConfig(qos=(), frames=config)
    scaling = Scaling.fit(video_features(session, config, store) for session in sessions)
    examples = Examples(sessions, inputs, scaling, None, None, store.folder)
    loader = Loader([examples])
    started = time.perf_counter()
    for (group,) in loader.epoch([[batch] for batch in in_turn(range(len(sessions)), 8)]):
        collate(group)
    read_s = time.perf_counter() - started
    what = f"an epoch of {CORPUS} in batches of 8 from the store, on disk"
    return what, read_s, "s", "decode and extract, one process", computed_s, computed_s / read_s


def medians(
    ways: Mapping[str, Callable[[], object]],
    n_rounds: int,
    before: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Median wall time of each way over rounds in which each has its turn; the first is warm-up."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(n_rounds + 1):
        for name, way in ways.items():
            before()
            started = time.perf_counter()
            way()
            spent[name].append(time.perf_counter() - started)
    return {name: statistics.median(times[1:]) for name, times in spent.items()}


def film(path: Path, seconds: int) -> Path:
    """An x264 clip in which a photograph moves a little from frame to frame."""
    half = data.astronaut()[:HEIGHT]
    picture = np.concatenate([half, half[:, ::-1]], axis=1)
    with av.open(path, "w") as video:
        stream = video.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(seconds * FPS):
            moved = np.roll(picture, (number // 3, 2 * number), (0, 1))[:HEIGHT, :WIDTH]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(moved), "rgb24")
            video.mux(stream.encode(frame))
        video.mux(stream.encode())
    return path


def repeated(clip: Path, path: Path, times: int) -> Path:
    """The packets of a clip of 60 s over and over, in a Matroska file."""
    with av.open(path, "w") as long:
        stream = None
        for copy in range(times):
            with av.open(clip) as source:
                video = source.streams.video[0]
                stream = stream or long.add_stream_from_template(video)
                for packet in source.demux(video):
                    if packet.dts is not None:
                        later = int(copy * 60 / Fraction(packet.time_base))
                        packet.pts, packet.dts = packet.pts + later, packet.dts + later
                        packet.stream = stream
                        long.mux(packet)
    return path


def _resized_by_pyav(clip: Path) -> Iterable[np.ndarray]:
    with av.open(clip) as video:
        video.streams.video[0].thread_type = "AUTO"
        for frame in video.decode(video=0):
            yield frame.to_ndarray(width=224, height=224, format="rgb24", interpolation="BICUBIC")
