import numpy as np
import pandas as pd
import pytest

from qoe_core import protocol, runs

CONTENT = {"s0": "a", "s1": "a", "s2": "b", "s3": "c"}
LATE = 10  # seconds left out of the later scores


def scores_table(model, plcc, late):
    """PLCC of one test run: over all seconds, and over those after the first ten."""
    rows = [
        ("test", session, CONTENT[session], from_second, "plcc", value)
        for from_second, values in ((0, plcc), (LATE, late))
        for session, value in zip(CONTENT, values, strict=True)
    ]
    columns = ["part", "session", "content", "from_second", "metric", "value"]
    return pd.DataFrame(rows, columns=columns).assign(model=model, seed=0, fold="")


@pytest.fixture
def two_splits(tmp_path, monkeypatch):
    """Scores of one model that does well under a leaking split and badly under a strict one."""
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    scores = {"random-by-video": [0.9, 0.8, 0.7, 1.0], "strict": [0.2, np.nan, 0.4, 0.3]}
    for split, plcc in scores.items():
        folder = runs.run_folder("protocol", "tiny", split, "lookup")
        folder.mkdir(parents=True)
        scores_table("lookup", plcc, [0.0] * 4).to_parquet(folder / "scores.parquet")
    return list(scores)


def rated(make_session, values):
    values = np.array(values, float)
    changes = {"rated": values, "rated_ci": None, "bitrate_kbps": None, "quality": {}}
    return make_session(seconds=len(values), name=f"{len(values)}s", **changes)


def test_leakage_is_the_same_score_under_each_split(two_splits):
    found = protocol.leakage("protocol", "tiny", two_splits, ["lookup"])
    assert list(found["split"]) == two_splits
    assert found["mean"].tolist() == pytest.approx([0.85, 0.3])
    assert found["median"].tolist() == pytest.approx([0.85, 0.3])


def test_leakage_counts_sessions_and_undefined_ones(two_splits):
    found = protocol.leakage("protocol", "tiny", two_splits, ["lookup"])
    assert found["n"].tolist() == [4, 4]
    assert found["undefined"].tolist() == [0, 1]


def test_leakage_has_an_interval_around_each_mean(two_splits):
    found = protocol.leakage("protocol", "tiny", two_splits, ["lookup"])
    assert (found["low"] < found["mean"]).all()
    assert (found["mean"] < found["high"]).all()


def test_leakage_of_experiments_that_were_not_run_is_refused(two_splits):
    with pytest.raises(ValueError, match=r"no such table.*model='ridge'"):
        protocol.leakage("protocol", "tiny", two_splits, ["ridge"])


def test_onset_scores_all_seconds_and_those_after_the_first_ten():
    scores = scores_table("gru", [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 1.0])
    found = protocol.onset(scores).set_index("from_second")
    assert list(found.index) == [0, LATE]
    assert found["mean"].tolist() == pytest.approx([0.25, 0.7])
    assert found["median"].tolist() == pytest.approx([0.25, 0.65])


def test_onset_looks_at_test_sessions_only():
    scores = scores_table("gru", [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 1.0])
    both = pd.concat([scores, scores.assign(part="train", value=0.0)], ignore_index=True)
    pd.testing.assert_frame_equal(protocol.onset(both), protocol.onset(scores))


def test_lag1_is_that_of_the_rating_by_hand(make_session):
    found = protocol.serial_dependence([rated(make_session, [10, 20, 60])])
    # centred -20, -10, 30: (200 - 300) / (400 + 100 + 900)
    assert found["lag1"].tolist() == pytest.approx([-1 / 14])
    assert found["effective"].tolist() == pytest.approx([3 * (15 / 14) / (13 / 14)])


def test_an_autoregressive_rating_leaves_few_independent_seconds(make_session):
    rng = np.random.default_rng(0)
    values = np.zeros(50_000)
    for second in range(1, len(values)):
        values[second] = 0.9 * values[second - 1] + rng.normal()
    session = rated(make_session, 50 + values)
    (row,) = protocol.serial_dependence([session]).itertuples()
    # standard error of r_1: sqrt((1 - 0.81) / 50,000) = 0.002
    assert row.lag1 == pytest.approx(0.9, abs=0.008)
    assert row.effective == pytest.approx(50_000 / 19, rel=0.1)


def test_a_constant_rating_has_no_autocorrelation(make_session):
    found = protocol.serial_dependence([rated(make_session, [50.0] * 5)])
    assert found[["lag1", "effective"]].isna().all(axis=None)
    assert found["n_seconds"].tolist() == [5]


def test_each_session_has_a_row_with_its_name(make_session):
    sessions = [rated(make_session, [1, 2, 3]), rated(make_session, [1, 2, 3, 5])]
    found = protocol.serial_dependence(sessions)
    assert found["session"].tolist() == ["3s", "4s"]
    assert list(found.columns) == ["session", "n_seconds", "lag1", "effective"]
