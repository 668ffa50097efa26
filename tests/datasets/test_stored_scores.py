"""Stored scores of other people's predictors, and the correlations published with them."""

import functools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qoe_core import paths
from qoe_core.datasets import catalog, live_netflix, stored_scores, waterloo
from qoe_core.datasets.stored_scores import NETFLIX_MODELS, WATERLOO_MODELS
from tests.datasets.p1203_files import PVS, SHOWN, score, write_release

STALLS = (0, 1, 0, 1, 0, 2, 1, 0)  # by pattern of LIVE-Netflix
LISTED = ["0001.csv,58.5,river", "0002.csv,61.0,river", "0003.csv,33.1,forest"]
needs_data = pytest.mark.skipif(
    paths.DATA is None,
    reason="QOE_DATA is not set; set it to the folder of the released data sets",
)


def write_scores(folder, models, logs, ftw=None):
    """Scores that tell row and predictor apart: row + column / 100, but for FTW."""
    rows = [[row + column / 100 for column in range(len(models))] for row in range(len(logs))]
    for row, value in zip(rows, ftw or [], strict=False):
        row[0] = value
    lines = [",".join(map(str, [log, *row])) for log, row in zip(logs, rows, strict=True)]
    path = folder / stored_scores.KSQI_SCORES
    path.parent.mkdir()
    path.write_text("\n".join([",".join(["streaming_log", *models]), *lines]) + "\n")
    return path


@pytest.fixture
def netflix(tmp_path):
    """The file of LIVE-Netflix: 112 rows, FTW is 5 less the number of stalls."""
    logs = [f"{row:03d}.csv" for row in range(1, 113)]
    return write_scores(tmp_path, NETFLIX_MODELS, logs, [5.0 - n for n in STALLS] * 14)


@pytest.fixture
def waterloo4(tmp_path):
    (tmp_path / "data.csv").write_text("\n".join(["streaming_log,mos,content", *LISTED]) + "\n")
    return write_scores(tmp_path, WATERLOO_MODELS, [line[:8] for line in LISTED])


def edit(path, old, new):
    content = path.read_text()
    assert content.count(old) >= 1
    path.write_text(content.replace(old, new, 1))


def test_rows_of_live_netflix_are_content_major(netflix):
    table = stored_scores.of_live_netflix(netflix.parent.parent)
    ksqi = table[table["model"] == "KSQI"].reset_index(drop=True)
    assert list(table.columns) == stored_scores.COLUMNS
    assert ksqi.loc[[0, 7, 8, 111], "session"].tolist() == [
        *("content_1_seq_0", "content_1_seq_7", "content_2_seq_0", "content_14_seq_7")
    ]
    assert ksqi.loc[[0, 8, 111], "content"].tolist() == ["content_01", "content_02", "content_14"]
    np.testing.assert_allclose(ksqi["predicted"], np.arange(112) + 0.09)


def test_every_predictor_has_one_score_of_every_session(netflix):
    table = stored_scores.of_live_netflix(netflix.parent.parent)
    assert len(table) == 112 * 10
    assert not table.duplicated(["model", "session"]).any()
    assert tuple(table["model"].unique()) == NETFLIX_MODELS


def test_rows_of_waterloo_are_named_by_their_logs(waterloo4):
    table = stored_scores.of_waterloo4(waterloo4.parent.parent)
    xue = table[table["model"] == "Xue2014QoE"]
    assert xue["session"].tolist() == ["0001", "0002", "0003"]
    assert xue["content"].tolist() == ["river", "river", "forest"]
    assert xue["predicted"].tolist() == [0.03, 1.03, 2.03]


def test_outputs_of_p1203_are_rows_of_their_mode(tmp_path):
    write_release(tmp_path)
    table = stored_scores.of_p1203(tmp_path)
    mode2 = table[table["model"] == "P.1203 mode 2"]
    assert mode2["session"].tolist() == [f"{pvs}_{context}" for pvs, context in SHOWN]
    assert mode2["predicted"].tolist() == [score(pvs, 2, 0) for pvs, _ in SHOWN]
    assert dict(zip(mode2["session"], mode2["content"], strict=True))[f"{PVS[2]}_pc"] == (
        "TR04_SRC317"  # VL04_SRC285 is the same source
    )


def test_a_data_set_without_stored_scores_has_no_rows():
    table = stored_scores.read("simulated_small")
    assert (list(table.columns), len(table)) == (stored_scores.COLUMNS, 0)


def test_a_data_set_that_is_not_on_disk_is_refused(monkeypatch):
    monkeypatch.setattr(paths, "DATA", None)
    with pytest.raises(ValueError, match="^live_netflix: QOE_DATA is not set"):
        stored_scores.read("live_netflix")


def test_rows_in_another_order_are_refused(netflix, refuses):
    folder = netflix.parent.parent
    header, *rows = netflix.read_text().splitlines()
    moved = [f"{row + 1:03d}.csv" + rows[(row + 1) % 112][7:] for row in range(112)]
    netflix.write_text("\n".join([header, *moved]) + "\n")
    with refuses(
        f"{netflix}, row 0: FTW is 4.0, expected 5.0 for content 1, pattern 0; "
        "are the rows not content-major?"
    ):
        stored_scores.of_live_netflix(folder)


def test_a_missing_row_is_refused(netflix, refuses):
    rows = netflix.read_text().splitlines()
    netflix.write_text("\n".join(rows[:-1]) + "\n")
    with refuses(f"{netflix}: streaming_log has 111 samples, expected 112; is the file truncated?"):
        stored_scores.of_live_netflix(netflix.parent.parent)


def test_rows_under_other_names_are_refused(waterloo4, refuses):
    edit(waterloo4, "0002.csv", "0004.csv")
    with refuses(
        f"{waterloo4}, row 1: streaming_log is '0004.csv', expected '0002.csv'; "
        "was the file sorted?"
    ):
        stored_scores.of_waterloo4(waterloo4.parent.parent)


def test_an_unknown_column_is_refused(waterloo4, refuses):
    lines = waterloo4.read_text().splitlines()
    waterloo4.write_text("\n".join([f"{lines[0]},New", *(f"{row},1" for row in lines[1:])]) + "\n")
    expected = ["streaming_log", *WATERLOO_MODELS]
    with refuses(
        f"{waterloo4}: has columns {[*expected, 'New']}, expected {expected}; was a predictor "
        "added or moved?"
    ):
        stored_scores.of_waterloo4(waterloo4.parent.parent)


@pytest.mark.parametrize("cell", ["nan", "inf", "", "n/a"])
def test_a_score_that_is_no_number_is_refused(waterloo4, refuses, cell):
    edit(waterloo4, "1.03", cell)
    with refuses(
        f"{waterloo4}, row 1: Xue2014QoE is {cell!r}, expected a finite number "
        "(1 of 3 are not); is the file damaged?"
    ):
        stored_scores.of_waterloo4(waterloo4.parent.parent)


@functools.cache
def opinions(dataset):
    return {session.name: session.overall for session in catalog.read(dataset)}


def correlations(dataset, digits):
    """PLCC, SRCC and KRCC of each predictor with the opinions, rounded to `digits` first."""
    found = {}
    for model, rows in stored_scores.read(dataset).groupby("model", sort=False):
        predicted = rows["predicted"].to_numpy()
        rated = np.round([opinions(dataset)[name] for name in rows["session"]], digits)
        tests = (stats.pearsonr, stats.spearmanr, stats.kendalltau)
        found[model] = [test(predicted, rated).statistic for test in tests]
    return pd.DataFrame.from_dict(found, orient="index", columns=["PLCC", "SRCC", "KRCC"])


def published(folder):
    path = paths.DATA / folder / "ksqi_published_results" / "performance.csv"
    return pd.read_csv(path, index_col="qoe_model")


@pytest.mark.human
@needs_data
@pytest.mark.parametrize(
    ("dataset", "folder", "cells"),
    [("live_netflix", live_netflix.FOLDER, 30), ("waterloo4", waterloo.FOLDER_IV, 33)],
)
def test_the_published_correlations_follow_from_the_stored_scores(dataset, folder, cells):
    # their files hold three decimals throughout, opinions too: LIVE-Netflix's final scores as
    # released have more, see the next test
    expected = published(folder)
    found = correlations(dataset, digits=3)
    assert list(found.index) == list(expected.index)
    assert expected.size == cells
    assert (found.round(3) - expected).abs().max(axis=None) < 1e-9


@pytest.mark.human
@needs_data
def test_the_opinions_of_live_netflix_as_released_move_seven_published_digits():
    apart = (
        correlations("live_netflix", digits=15).round(3) - published(live_netflix.FOLDER)
    ).round(3)
    moved = {cell: value for cell, value in apart.stack().items() if value}
    assert moved == {
        ("Liu2012QoE", "SRCC"): 0.001,
        ("Liu2012QoE", "KRCC"): -0.001,
        ("Spiteri2016QoE", "PLCC"): 0.001,
        ("Spiteri2016QoE", "KRCC"): 0.001,
        ("SQI", "KRCC"): -0.001,
        ("P1203", "KRCC"): 0.001,
        ("KSQI", "SRCC"): -0.001,
    }
