import re
from itertools import product

import numpy as np
import pytest

from qoe_core import paths
from qoe_core.datasets import p1203
from qoe_core.metrics import plcc, rmse, rmse_star, srocc
from tests.datasets.p1203_files import N_MEDIA, PVS, SHOWN, score, write_release

needs_data = pytest.mark.skipif(
    paths.DATA is None,
    reason="QOE_DATA is not set; set it to the folder of the released data sets",
)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return write_release(tmp_path_factory.mktemp("release"))


@pytest.fixture
def stalled_session(release):
    """The mobile viewing with stalls [[0, 1], [2, 1.5]] in media time, 5 s of media."""
    return p1203.read(release)[0]


def test_every_rated_stimulus_and_context_is_one_session(release):
    names = [session.name for session in p1203.read(release)]
    assert names == [f"{pvs}_{context}" for pvs, context in SHOWN]


def test_a_fifth_database_beside_subjective_scores_is_not_read(release):
    assert not any("VL14" in session.name for session in p1203.read(release))


def test_media_times_of_stalls_become_wall_clock_times(stalled_session):
    np.testing.assert_array_equal(stalled_session.stalls, [[0.0, 1.0], [3.0, 1.5]])


def test_all_series_are_cut_to_the_shortest(stalled_session):
    assert stalled_session.duration_s == N_MEDIA + 1 + 1.5


def test_quality_of_media_seconds_is_placed_on_the_wall_clock(stalled_session):
    # wall clock: stalled | 0 | 1 | stalled | .5 stalled, half of 2 | half of 2, half of 3 | ...
    for mode in range(4):
        media = [score(PVS[0], mode, second) for second in range(N_MEDIA)]
        halves = [(media[2] + media[3]) / 2, (media[3] + media[4]) / 2, media[4]]
        expected = [np.nan, media[0], media[1], media[1], media[2], *halves]
        np.testing.assert_allclose(stalled_session.quality[f"o22_mode{mode}"], expected)


def test_bitrate_is_that_of_the_segment_and_0_while_stalled(stalled_session):
    # 500.5 kbit/s in media second 0 and 100 more in each later one, stalls as above
    expected = [0.0, 500.5, 600.5, 0.0, 700.5, 750.5, 850.5, 900.5]
    np.testing.assert_allclose(stalled_session.bitrate_kbps, expected)


def test_a_viewer_who_did_not_rate_is_nan_in_his_row(release):
    _, first, second, _ = p1203.read(release)
    np.testing.assert_array_equal(first.ratings, [5, 5, 2])
    np.testing.assert_array_equal(second.ratings, [2, np.nan, 1])


def test_viewers_of_another_context_or_database_are_other_viewers(release):
    sizes = [len(session.ratings) for session in p1203.read(release)]
    assert sizes == [2, 3, 3, 2]


def test_overall_is_the_mean_opinion_with_its_interval(release):
    session = p1203.read(release)[1]
    assert (session.overall, session.overall_ci) == (4.0, (3.75, 4.25))


def test_one_source_in_two_databases_is_one_content(release):
    contents = [session.content for session in p1203.read(release)]
    assert contents == ["TR04_SRC317", "TR04_SRC317", "TR04_SRC120", "TR04_SRC317"]


def test_patterns_are_the_processing_of_one_database(release):
    patterns = [session.pattern for session in p1203.read(release)]
    assert patterns == ["TR04_HRC01", "TR04_HRC01", "TR04_HRC02", "VL04_HRC251"]


def test_device_is_the_viewing_context(release):
    devices = [session.device for session in p1203.read(release)]
    assert devices == ["mobile", "pc", "pc", "pc"]


def test_stored_outputs_have_a_row_for_each_rated_session_and_mode(release):
    table = p1203.stored_outputs(release)
    rows = list(zip(table["pvs"], table["context"], table["mode"], strict=True))
    assert rows == [(*key, mode) for key, mode in product(SHOWN, range(4))]


def test_stored_outputs_meet_the_opinion_of_their_own_session(release):
    row = p1203.stored_outputs(release).iloc[6]
    expected = {"pvs": PVS[0], "context": "pc", "database": "TR04", "mode": 2}
    expected |= {"O46": score(PVS[0], 2, 0), "mos": 4.0, "ci": 0.25}
    assert row.to_dict() == expected


@pytest.mark.human
@needs_data
def test_released_sessions_have_the_counts_of_the_design():
    sessions = p1203.read(paths.DATA / p1203.FOLDER)
    assert (
        len(sessions),
        len({session.content for session in sessions}),
        len({session.pattern for session in sessions}),
        sum(session.n_seconds for session in sessions),
        sum(len(session.stalls) for session in sessions),
        sum((session.stalls[:, 0] == 0).sum() for session in sessions),
        min(session.overall for session in sessions),
        max(session.overall for session in sessions),
        sum(np.isfinite(session.ratings).sum() for session in sessions),
    ) == (239, 153, 76, 23804, 216, 72, 1.16, 5.0, 6147)


@pytest.mark.human
@needs_data
@pytest.mark.parametrize(
    ("database", "shortest", "longest"),
    [("TR04", 57, 64), ("TR06", 177, 181), ("VL04", 56, 66), ("VL13", 231, 240)],
)
def test_released_playback_lasts_what_the_database_says(database, shortest, longest):
    played = [
        session.duration_s - session.stalls[:, 1].sum()
        for session in p1203.read(paths.DATA / p1203.FOLDER)
        if session.name.startswith(database)
    ]
    assert (min(played), max(played)) == (shortest, longest)


@pytest.mark.human
@needs_data
def test_released_sources_with_equal_hashes_are_the_ones_that_share_a_content():
    by_hash = {}
    for database in ("TR04", "TR06", "VL04", "VL13"):
        design = paths.DATA / p1203.FOLDER / "test_configs" / f"{database}-config.yaml"
        sources = re.findall(r"^ +(SRC\d+): ([0-9a-f]{32})$", design.read_text(), re.MULTILINE)
        for source, digest in sources:
            by_hash.setdefault(digest, []).append(f"{database}_{source}")
    same = {later: first for first, *rest in by_hash.values() for later in rest}
    assert same == p1203.SAME_SOURCE


def scores_of(table):
    """RMSE, RMSE*, PLCC, SROCC of one context and mode: fit and clip per database, then average."""
    rows = []
    for _, database in table.groupby("database"):
        fit = np.polyfit(database["O46"], database["mos"], 1)
        fitted = np.clip(np.polyval(fit, database["O46"].to_numpy()), 1, 5)
        rated, ci = database["mos"].to_numpy(), database["ci"].to_numpy()
        errors = (rmse(fitted, rated), rmse_star(fitted, rated, ci))
        rows.append((*errors, plcc(fitted, rated), srocc(fitted, rated)))
    return [f"{mean:.3f}" for mean in np.mean(rows, axis=0)]


@pytest.mark.human
@needs_data
@pytest.mark.parametrize(("context", "mode"), list(product(("mobile", "pc"), range(4))))
def test_the_published_performance_table_follows_from_the_released_files(context, mode):
    folder = paths.DATA / p1203.FOLDER
    published = re.findall(
        rf"^\| {context} \| {mode} \|(.*)\|$", (folder / "README.md").read_text(), re.MULTILINE
    )
    table = p1203.stored_outputs(folder)
    table = table[(table["context"] == context) & (table["mode"] == mode)]
    assert [scores_of(table)] == [[cell.strip() for cell in row.split("|")] for row in published]
