"""Tiny releases of Waterloo SQoE-I, II and IV in the released format, and edits of them."""

import numpy as np

from qoe_core.datasets import waterloo

READERS = {"I": waterloo.read_sqoe1, "II": waterloo.read_sqoe2, "IV": waterloo.read_sqoe4}
N_CHUNKS = {"I": 10, "II": 2, "IV": 7}
CHUNK_S = {"I": 1.0, "II": 4.0, "IV": 4}
METRICS = {
    "I": ("psnr", "ssim", "msssim", "vqm", "vmaf", "ssimplus"),
    "II": ("psnr", "ssim", "msssim", "vqm", "vmaf", "ssimplus"),
    "IV": ("psnr", "ssim", "vmaf"),
}
LOG_NUMBERS = ("representation_index", "rebuffering_duration", "video_bitrate", "chunk_duration")
LISTED_TEXTS = ("streaming_log", "content", "encoding_profile", "device")
DEVICES = (("hdtv", 32), ("phone", 29), ("uhdtv", 31))


def write_csv(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [columns, *zip(*columns.values(), strict=True)]
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))


def log_columns(part, representations, before, seed):
    """One log: chunks of the given representations, each after a stall of `before` seconds."""
    rng = np.random.default_rng(seed)
    n = N_CHUNKS[part]
    columns = {
        "representation_index": representations,
        "rebuffering_duration": before,
        "video_bitrate": rng.uniform(150, 9000, n).round(3),
        "chunk_duration": [CHUNK_S[part]] * n,
        "qp": rng.uniform(10, 50, n).round(2),
        "height": [[2160.0, 1080.0, 720.0][index % 3] for index in representations],
        "is_best": [0] * n,
    }
    if part != "IV":
        columns |= {"mos": rng.uniform(20, 90, n).round(3), "strred": ["", *[4.5] * (n - 1)]}
    for metric in METRICS[part]:
        columns[metric] = rng.uniform(0.5, 1.0, n).round(3)
    return columns


def stalls_before(part, **seconds):
    return [seconds.get(f"chunk_{chunk}", 0.0) for chunk in range(N_CHUNKS[part])]


def write_part(part, folder):
    """Three sessions of one content, in the files of the release."""
    if part == "I":
        stalls = [{}, {"chunk_0": 5.0}, {"chunk_5": 5.0}]
        logs = [([1] * 10, stalls_before(part, **each)) for each in stalls]
    elif part == "II":
        logs = [(pair, stalls_before(part)) for pair in ([0, 6], [6, 0], [3, 3])]
    else:
        stalls = [{"chunk_0": 1.5, "chunk_2": 0.7}, {}, {"chunk_6": 2.0}]
        logs = [([0, 3, 7, 12, 6, 9, 1], stalls_before(part, **each)) for each in stalls]
    names = [f"{number:0{4 if part == 'IV' else 3}d}.csv" for number in (1, 2, 3)]
    for number, (name, log) in enumerate(zip(names, logs, strict=True)):
        write_csv(folder / "streaming_logs" / name, log_columns(part, *log, seed=number))
    table = {"streaming_log": names, "mos": [65.652, 52.87, 8.0]}
    if part == "IV":
        table["individual_scores"] = [
            "[" + " ".join(str((7 * viewer) % 101) for viewer in range(n)) + "]" for _, n in DEVICES
        ]
        table["abr"] = ["RateBased", "Rdos", "Rdos"]
    table |= {"content": ["river"] * 3, "encoding_profile": ["H264"] * 3}
    table["device"] = [device for device, _ in DEVICES] if part == "IV" else ["hdtv"] * 3
    if part == "IV":
        table["trace"] = [1, 9, 9]
    write_csv(folder / "data.csv", table)
    return folder


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new))


def edit_column(path, column, values):
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    write_csv(path, columns | {column: values})
