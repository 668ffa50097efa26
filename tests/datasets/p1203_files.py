"""A tiny P.1203 release of four sessions in the released format, and edits of it."""

import json

PVS = ("TR04_SRC317_HRC01", "TR04_SRC120_HRC02", "VL04_SRC285_HRC251")
SHOWN = ((PVS[0], "mobile"), (PVS[0], "pc"), (PVS[1], "pc"), (PVS[2], "pc"))
# TR04 on pc: viewer S2 did not rate the second stimulus
RATED = {
    SHOWN[0]: {"S1": 4, "S2": 5},
    SHOWN[1]: {"S1": 5, "S2": 5, "S3": 2},
    SHOWN[2]: {"S3": 1, "S1": 2},
    SHOWN[3]: {"S1": 3, "S2": 3},
}
STALLING = {PVS[0]: [[0, 1], [2, 1.5]], PVS[1]: [], PVS[2]: [[3, 2]]}
N_O21, N_O22 = 7, (5, 6, 6, 6)  # media seconds of audio, and of video in modes 0 to 3
N_MEDIA = 5
MOS_NUMBERS, O46_NUMBERS, BITRATE = ("mos", "n", "ci"), ("mode", "O46"), "bitrate_kbps_segment_size"
KEY = ("pvs_id", "context")


def score(pvs, mode, second):
    """A quality from 1 to 5, other for each stimulus, mode and second."""
    return round(1.25 + PVS.index(pvs) + 0.25 * mode + 0.125 * second, 3)


def input_path(folder, mode, pvs, context):
    return folder / f"mode{mode}" / f"046-{pvs}-{context}-input.json"


def write_csv(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in [columns, *rows]))


def write_input(folder, mode, pvs, context, **changes):
    """One input of the model, with some of its fields replaced."""
    fields = {
        "O21": [4.5] * N_O21,
        "O22": [score(pvs, mode, second) for second in range(N_O22[mode])],
        "I23": {"stalling": STALLING[pvs]},
        "IGen": {"device": context, "displaySize": "1920x1080", "viewingDistance": "150cm"},
    }
    path = input_path(folder, mode, pvs, context)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(fields | changes))
    return path


def write_opinions(folder, rated):
    """mos.csv and ratings.csv of `rated`: scores by viewer by stimulus and context."""
    mean = {key: sum(scores.values()) / len(scores) for key, scores in rated.items()}
    write_csv(
        folder / "mos.csv",
        (*KEY, "mos", "n", "sd", "ci"),
        [(*key, mean[key], len(scores), 0.5, 0.25) for key, scores in rated.items()],
    )
    write_csv(
        folder / "ratings.csv",
        (*KEY, "subject", "rating"),
        [(*key, *each) for key, scores in rated.items() for each in scores.items()],
    )


def write_release(folder):
    """Every file that the reader opens, and the two at the root that it must not open."""
    write_opinions(folder / "subjective_scores", RATED)
    write_opinions(folder, RATED | {("VL14_SRC001_HRC01", "pc"): {"S1": 4}})
    write_csv(
        folder / "features" / "features_mode0.csv",
        (BITRATE, "bitrate_kbps_target", "sample_index", "pvs_id"),
        [(500.5 + 100 * n, 500, n, pvs) for pvs in reversed(PVS) for n in range(N_O22[0])],
    )
    unrated = (PVS[2], "mobile")
    write_csv(
        folder / "O46.csv",
        ("pvs_id", "mode", "context", "O46"),
        [
            (pvs, mode, context, score(pvs, mode, 0))
            for pvs, context in (*SHOWN, unrated)
            for mode in range(4)
        ],
    )
    for pvs, context in SHOWN:
        for mode in range(4):
            write_input(folder, mode, pvs, context)
    return folder
