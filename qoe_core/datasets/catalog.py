"""The known data sets by name: found on disk, and read with the right reader.

Their folders lie side by side in `paths.DATA`. Data from the simulator are not listed: they are
generated, not released. A source without a remote path could not be verified, so nobody is sent
to an invented address.
"""

from pathlib import Path

from qoe_core import paths
from qoe_core.datasets import lfovia, live_http, live_netflix, live_nflx2, p1203, stall2, waterloo
from qoe_core.datasets.entry import Counts, Release, Source
from qoe_core.session import Session

FISVDD = "fathallah-ahmed/FISVDD_QoE_VideoStreaming@7b4d78ca2683a7ffc56b060e7f55d219563539d4"
KSQI = "zduanmu/ksqi@17462aa792027897d29ee6e3a87bf2dc83ccb900"
LSTM_QOE = "lfovia/lstm_qoe@ef6791471e4ea83c2bee1caff476a84e83477057"
NARX_QOE = "christosbampis/NARX_QoE_release@c9b763ce2a70cca84ec577050ac9dd7638121683"
P1203_OPEN = "itu-p1203/open-dataset@972406b55598d8d8b96cb7838e56e8b897ec2a56"
VIDEO_ATLAS = "christosbampis/VideoATLAS_release@946e0ccb28ac4806ee2927da6fa3ff33d57701d3"
WATERLOO_IV = (
    "Leo-rojo/Analysis-of-Waterloo-IV-QoE-dataset@2f07ad3dfb5dfdfb4cc02ccc03c79eac21a790e4"
)

ANY_PURPOSE = (
    "any purpose: use, copy, modify, distribute, if the whole notice (NOTICE.txt) stays in every "
    "copy and LIVE at UT Austin is acknowledged"
)
ACADEMIC = (
    "academic, non-commercial: reproduce, adapt, distribute under the same licence (file license), "
    "with attribution and the recipients' assent"
)

RELEASES = (
    Release(
        name="live_nflx2",
        title="LIVE-NFLX-II",
        folder=live_nflx2.FOLDER,
        reader=live_nflx2.read,
        expected=(
            Counts(280, 10, 7961, 286, -1.97, 1.92),
            Counts(420, 15, None, None, -1.98, 1.93),
        ),
        targets=("continuous", "overall"),
        scale=live_nflx2.SCALE,
        licence=ANY_PURPOSE,
        redistribution=True,
        citation="Bampis et al., IEEE TIP 30, 2021 (arXiv 1808.03898)",
        sources=(Source("matFiles/", FISVDD, None),),
    ),
    Release(
        name="live_netflix",
        title="LIVE-Netflix",
        folder=live_netflix.FOLDER,
        reader=live_netflix.read,
        expected=(Counts(112, 14, 8014, 70, -2.27, 1.58),),
        targets=("continuous", "overall"),
        scale=live_netflix.SCALE,
        licence=ANY_PURPOSE,
        redistribution=True,
        citation="Bampis et al., IEEE TIP 26(11), 2017",
        sources=(
            Source("public_release/VideoData/", FISVDD, "resources/LIVE_NFLX/matFiles/"),
            Source("public_release/", NARX_QOE, "DatasetFiles/LIVE_NFLX/"),
            Source("narx_qoe_splits/", NARX_QOE, "DatasetFiles/LIVE_NFLX/"),
            Source("lstm_qoe/", LSTM_QOE, "LIVE_Netflix/"),
            Source("videoatlas/", VIDEO_ATLAS, ""),
            Source("ksqi_published_results/", KSQI, "results/LIVE-NFLX-I/"),
        ),
    ),
    Release(
        name="lfovia",
        title="LFOVIA QoE",
        folder=lfovia.FOLDER,
        reader=lfovia.read,
        expected=(Counts(36, 18, 5157, 181, 19.78, 95.47),),
        targets=("continuous",),
        scale=lfovia.SCALE,
        licence=None,
        redistribution=False,
        citation="Eswara et al., IEEE TCSVT 28(11), 2018",
        sources=(Source("", LSTM_QOE, "LFOVIA_QoE/"),),
    ),
    Release(
        name="live_http",
        title="LIVE QoE for HTTP-based streaming",
        folder=live_http.FOLDER,
        reader=live_http.read,
        expected=(Counts(15, 3, 4500, 0, 25.84, 73.20),),
        targets=("continuous",),
        scale=live_http.SCALE,
        licence=None,
        redistribution=False,
        citation="Chen et al., IEEE TIP 23(5), 2014",
        sources=(
            Source("lstm_qoe/", LSTM_QOE, "LIVE_QoE/"),
            Source("narx_qoe/", NARX_QOE, "DatasetFiles/LIVE_HTTP_DB/"),
        ),
    ),
    Release(
        name="stall2",
        title="LIVE Mobile Stall Video Database-II",
        folder=stall2.FOLDER,
        reader=stall2.read,
        expected=(Counts(174, 24, 14307, 519, 12.11, 82.29),),
        targets=("continuous", "overall"),
        scale=stall2.SCALE,
        licence=None,
        redistribution=False,
        citation="Ghadiyaram, Pan, Bovik, IEEE TCSVT 29(1), 2019",
        sources=(Source("", LSTM_QOE, "LIVE_Mobile_Stall_II/"),),
    ),
    Release(
        name="p1203",
        title="ITU-T P.1203 open data set",
        folder=p1203.FOLDER,
        reader=p1203.read,
        expected=(Counts(239, 153, 23804, 216, 1.16, 5.0),),
        targets=("overall",),
        scale=p1203.SCALE,
        licence="non-commercial research; cite the paper and link the repository (README.md)",
        redistribution=False,
        citation="Robitza et al., ACM MMSys 2018, doi 10.1145/3204949.3208124",
        sources=(Source("", P1203_OPEN, ""),),
    ),
    Release(
        name="waterloo1",
        title="Waterloo SQoE-I",
        folder=waterloo.FOLDER_I,
        reader=waterloo.read_sqoe1,
        expected=(Counts(180, 20, 2400, 120, 16.61, 92.83),),
        targets=("overall",),
        scale=waterloo.SCALE,
        licence=ACADEMIC,
        redistribution=True,
        citation="Duanmu et al., IEEE JSTSP 11(1), 2017",
        sources=(
            Source("", KSQI, "data/WaterlooSQoE-I/"),
            Source("license", KSQI, "license"),
            Source("videoatlas/", VIDEO_ATLAS, ""),
        ),
    ),
    Release(
        name="waterloo2",
        title="Waterloo SQoE-II",
        folder=waterloo.FOLDER_II,
        reader=waterloo.read_sqoe2,
        expected=(Counts(588, 12, 4704, 0, 16.52, 93.685),),
        targets=("overall",),
        scale=waterloo.SCALE,
        licence=ACADEMIC,
        redistribution=True,
        citation="Duanmu, Ma, Wang, ACM Multimedia 2017",
        sources=(
            Source("", KSQI, "data/WaterlooSQoE-II/"),
            Source("license", KSQI, "license"),
        ),
    ),
    Release(
        name="waterloo4",
        title="Waterloo SQoE-IV",
        folder=waterloo.FOLDER_IV,
        reader=waterloo.read_sqoe4,
        expected=(Counts(1350, 5, 39288, 821, 11.45, 95.08),),
        targets=("overall",),
        scale=waterloo.SCALE,
        licence="CC BY 4.0: any purpose, with attribution",
        redistribution=True,
        citation="Duanmu et al., IEEE DataPort 2020, doi 10.21227/j15a-8r35",
        sources=(
            Source("", WATERLOO_IV, "WaterlooIV partial database/"),
            Source("ksqi_published_results/", KSQI, "results/WaterlooSQoE-IV/"),
        ),
    ),
)
CATALOG = {release.name: release for release in RELEASES}


def known(name: str) -> Release:
    """The entry called `name`.

    Raises:
        ValueError: there is none; lists the names that exist.
    """
    if name not in CATALOG:
        raise ValueError(f"no data set is called {name!r}, expected one of {', '.join(CATALOG)}")
    return CATALOG[name]


def found() -> list[str]:
    """Names of the data sets whose folder exists under `paths.DATA`, in catalog order."""
    if paths.DATA is None:
        return []
    return [name for name, release in CATALOG.items() if (paths.DATA / release.folder).is_dir()]


def folder(name: str) -> Path:
    """Where the data set called `name` lies on disk.

    Raises:
        ValueError: unknown name, QOE_DATA not set, or no such folder; says how to get the data.
    """
    release = known(name)
    if paths.DATA is None:
        raise ValueError(
            f"{name}: QOE_DATA is not set, expected the folder that holds {release.folder}; "
            f"was it exported in this shell?\n{release.how_to_get()}"
        )
    if not (paths.DATA / release.folder).is_dir():
        raise ValueError(
            f"{name}: {paths.DATA} (QOE_DATA) has no folder {release.folder}; "
            f"was it never copied there?\n{release.how_to_get()}"
        )
    return paths.DATA / release.folder


def read(name: str) -> list[Session]:
    """All sessions of the data set called `name`, from its folder under `paths.DATA`.

    Raises:
        ValueError: unknown, not on disk (says how to get it), or refused by its reader.
    """
    return known(name).reader(folder(name))
