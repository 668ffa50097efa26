"""Small LIVE-Netflix files in the format of the release."""

import numpy as np
from scipy import io

from qoe_core.datasets import live_netflix

HZ = 4
N = 14  # frames: 3.5 s
NAME = "content_2_seq_6"
TABLE = "LIVE_NFLX_Network_Impairments"
LOW, HIGH = "continuous_subj_score_CIlow_avg1sec", "continuous_subj_score_CIhigh_avg1sec"
STALLED = np.arange(4, 10)  # counted from 1: 0.75 s to 2.25 s, all of second 1
LOW_RATE = np.arange(10, 14)
SCORES = (np.arange(N) - 7) / 5
HALF_WIDTHS = np.array([0.1, 0.2, 0.3, 0.4])
METRICS = ("VMAF", "PSNR", "PSNRhvs_oss", "SSIM", "MSSIM", "STRRED", "GMSD", "NIQE")


def video(stalled=STALLED, low_rate=LOW_RATE, n=N, hz=HZ):
    """One public file's variables: 1 x N rows, whole numbers in their smallest type."""
    played = np.arange(n - len(stalled), dtype=float)[None]
    n_stalls = int((np.diff(stalled, prepend=-1) > 1).sum())
    return {
        "Nframes": np.uint16([[n]]),
        "vid_fps": np.uint8([[hz]]),
        "ns": np.uint8([[n_stalls]]),
        "ds": np.array([[len(stalled) / hz]]),
        "lt": np.array([[len(low_rate) / hz]]),
        "continuous_subj_score": np.resize(SCORES, (1, n)),
        "final_subj_score": np.array([[0.25]]),
    } | {f"{metric}_vec": played / 1000 for metric in METRICS}


def impairments(name=NAME, low_rate=LOW_RATE, stalled=STALLED):
    table = np.empty((1, 3), object)
    for column, cell in enumerate((f"{name}.yuv", low_rate, stalled)):
        table[0, column] = np.array(cell)
    return {TABLE: table}


def bounds():
    """LSTM-QoE's bounds lie around the score of the last frame of each second."""
    last = SCORES[[3, 7, 11, 13]]
    return {LOW: (last - HALF_WIDTHS)[None], HIGH: (last + HALF_WIDTHS)[None]}


def write(folder, name=NAME, **parts):
    """The three files of one session; a part given as None is not written."""
    files = {
        "video": folder / "public_release" / "VideoData" / f"{name}.mat",
        "impairments": folder / "public_release" / f"{TABLE}.mat",
        "bounds": folder / "lstm_qoe" / "LIVE_Netflix_matfiles" / f"{name}.mat",
    }
    parts = {"video": video(), "impairments": impairments(name), "bounds": bounds()} | parts
    for part, path in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if parts[part] is not None:
            io.savemat(path, parts[part], do_compression=True)
    return tuple(files.values())


def read(folder, name=NAME, **parts):
    return live_netflix.read_session(*write(folder, name, **parts))


def released_lists():
    """Row i trains on all videos of another content and another pattern, as LSTM-QoE's file."""
    number = np.arange(112)
    unlike = np.not_equal.outer(number // 8, number // 8) & np.not_equal.outer(
        number % 8, number % 8
    )
    left_out = ~unlike & ~np.eye(112, dtype=bool)
    return {
        name: np.stack([np.flatnonzero(row) + 1 for row in chosen]).astype(np.uint8)
        for name, chosen in (("training_videos_set", unlike), ("validation_videos_set", left_out))
    }


def write_lists(folder, lists):
    (folder / "lstm_qoe").mkdir()
    io.savemat(folder / "lstm_qoe" / "training_videos_set.mat", lists)
