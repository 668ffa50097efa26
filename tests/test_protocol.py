"""Differences of protocol against hand calculations on four sessions of three contents."""

import numpy as np
import pandas as pd
import pytest
import yaml

from qoe_core import protocol
from qoe_core.bootstrap import draw_contents
from qoe_core.paths import PARAMS

CONTENT = {"s0": "a", "s1": "a", "s2": "b", "s3": "c"}
LATE = 10  # seconds left out of the later scores


def scores(model, values, metric="plcc", seed=0, from_second=0, content=CONTENT):
    """One test run of one model: a value for each session, in the order of `content`."""
    rows = [
        ("test", session, content[session], metric, value)
        for session, value in zip(content, values, strict=True)
    ]
    columns = ["part", "session", "content", "metric", "value"]
    fixed = {"model": model, "seed": seed, "fold": "", "from_second": from_second}
    return pd.DataFrame(rows, columns=columns).assign(**fixed)


def joined(*tables):
    return pd.concat(tables, ignore_index=True)


def under(first, second):
    """Scores by the splits that `splits` compares."""
    return {"leave-content-out": first, "random-by-video": second}


def one(pairs):
    """The only row of a contrast."""
    (row,) = protocol.contrast(pairs).to_dict("records")
    return row


def rated(make_session, values):
    values = np.array(values, float)
    changes = {"rated": values, "rated_ci": None, "bitrate_kbps": None, "quality": {}}
    return make_session(seconds=len(values), name=f"{len(values)}s", **changes)


def test_a_difference_is_second_minus_first_over_sessions():
    found = under(scores("gru", [0.1, 0.2, 0.3, 0.4]), scores("gru", [0.5, 0.6, 0.7, 1.0]))
    row = one(protocol.splits(found))
    assert [row["mean_first"], row["mean_second"]] == pytest.approx([0.25, 0.7])
    assert row["difference"] == pytest.approx(0.45)
    assert [row["n"], row["n_tested"], row["contents"], row["undefined"]] == [4, 4, 3, 0]
    assert (row["first"], row["second"]) == ("leave-content-out", "random-by-video")


def test_its_interval_resamples_whole_contents():
    content = {"s0": "a", "s1": "a", "s2": "b"}
    first = scores("gru", [0.2, 0.3, 0.4], content=content)
    second = scores("gru", [0.3, 0.4, 0.7], content=content)
    row = one(protocol.splits(under(first, second)))
    # draws are aa, ab and bb: differences of 0.1, (0.1 + 0.1 + 0.3) / 3 and 0.3
    assert [row["low"], row["high"]] == pytest.approx([0.1, 0.3])


def test_a_session_that_either_way_leaves_undefined_counts_in_neither():
    first = scores("gru", [0.1, np.nan, 0.3, 0.5])
    second = scores("gru", [0.2, 0.9, np.nan, 0.8])
    row = one(protocol.splits(under(first, second)))
    assert [row["mean_first"], row["mean_second"]] == pytest.approx([0.3, 0.5])
    assert [row["n"], row["undefined"], row["contents"]] == [4, 2, 2]


def test_a_difference_without_a_defined_session_is_undefined():
    row = one(protocol.aggregation(scores("gru", [np.nan] * 4)))
    assert np.isnan([row["difference"], row["low"], row["p"], row["p_holm"]]).all()
    assert row["undefined"] == 4


def test_only_sessions_that_both_ways_tested_are_compared():
    first = scores("gru", [0.1, 0.2, 0.3, 0.4])
    second = first[first["session"].isin(["s0", "s2"])].assign(value=[0.2, 0.6])
    row = one(protocol.splits(under(first, second)))
    assert row["difference"] == pytest.approx(0.2)
    assert [row["n"], row["n_tested"], row["contents"]] == [2, 4, 2]


def test_a_session_is_the_mean_of_its_runs_and_undefined_where_one_is():
    runs = joined(
        scores("gru", [0.1, 0.2, 0.3, 0.4]), scores("gru", [0.3, np.nan, 0.5, 0.6], seed=1)
    )
    pairs = protocol.splits(under(runs, scores("gru", [0.0] * 4)))
    np.testing.assert_allclose(pairs["first"], [0.2, np.nan, 0.4, 0.5])
    assert set(pairs["seeds"]) == {2}


def test_only_test_sessions_count():
    test = scores("gru", [0.1, 0.2, 0.3, 0.4])
    both = joined(test, test.assign(part="train", value=0.0))
    pd.testing.assert_frame_equal(protocol.aggregation(both), protocol.aggregation(test))


def test_models_keep_their_order_and_share_one_correction():
    values = {"tcn": [0.1, 0.2, 0.3, 0.4], "gru": [0.4, 0.2, 0.3, 0.4]}
    first = joined(*(scores(model, [0.1, 0.2, 0.3, 0.3]) for model in values))
    second = joined(*(scores(model, found) for model, found in values.items()))
    found = protocol.contrast(protocol.splits(under(first, second)))
    assert list(found["model"]) == ["tcn", "gru"]
    small, large = sorted(found["p"])
    assert sorted(found["p_holm"]) == pytest.approx([2 * small, max(large, 2 * small)])


def test_a_model_that_was_scored_in_one_way_alone_is_refused(refuses):
    message = "splits: ['tcn'] were scored in one of both ways, expected in both"
    first = joined(scores("gru", [0.1] * 4), scores("tcn", [0.1] * 4))
    with refuses(message):
        protocol.splits(under(first, scores("gru", [0.1] * 4)))


def test_stopping_compares_the_peers_validation_with_one_out_of_the_list():
    found = {
        "released": scores("lstm_qoe", [0.1, 0.2, 0.3, 0.4]),
        "released-related": scores("lstm_qoe", [0.2, 0.3, 0.4, 0.5]),
    }
    row = one(protocol.stopping(found))
    assert row["difference"] == pytest.approx(0.1)
    assert (row["first"], row["second"]) == ("stopped within the list", "stopped on related videos")


def test_onset_compares_all_seconds_with_those_after_the_first_ten():
    late = scores("gru", [0.5, 0.6, 0.7, 1.0], from_second=LATE)
    row = one(protocol.onset(joined(scores("gru", [0.1, 0.2, 0.3, 0.4]), late)))
    assert [row["mean_first"], row["mean_second"]] == pytest.approx([0.25, 0.7])
    assert row["second"] == "from second 10"


def test_a_session_too_short_for_the_second_way_of_onset_is_not_compared():
    late = scores("gru", [0.5, 0.6, 0.7, 1.0], from_second=LATE)[1:]
    pairs = protocol.onset(joined(scores("gru", [0.1, 0.2, 0.3, 0.4]), late))
    assert pairs.set_index("session")["paired"].to_dict() == {
        session: session != "s0" for session in CONTENT
    }


def test_aggregation_is_the_median_minus_the_mean():
    content = {"s0": "a", "s1": "a", "s2": "b"}
    row = one(protocol.aggregation(scores("gru", [0.1, 0.0, 0.9], content=content)))
    assert [row["mean_first"], row["mean_second"]] == pytest.approx([1 / 3, 0.1])
    # draws aa and bb have equal mean and median, ab has those of the sessions
    assert [row["low"], row["high"]] == pytest.approx([0.1 - 1 / 3, 0.0])


def test_the_medians_of_draws_are_those_of_repeated_sessions():
    rng = np.random.default_rng(1)
    content = {f"s{i:02d}": f"c{i % 4}" for i in range(11)}
    values = rng.normal(size=11)
    row = one(protocol.aggregation(scores("gru", values, content=content)))
    draws = draw_contents(list(content.values()))
    often = (draws.counts @ draws.member.T).astype(int)
    repeated = [np.repeat(values, n) for n in often]
    found = [np.median(sample) - np.mean(sample) for sample in repeated]
    assert [row["low"], row["high"]] == pytest.approx(np.percentile(found, [2.5, 97.5]).tolist())


def test_outliers_compare_both_thresholds_under_one_name():
    half = scores("gru", [0.4, 0.5, 0.6, 0.7], "or_half")
    full = scores("gru", [0.1, 0.2, 0.3, 0.0], "or_full")
    row = one(protocol.outliers(joined(half, full)))
    assert row["metric"] == protocol.OUTLIER_RATIO
    assert [row["mean_first"], row["mean_second"]] == pytest.approx([0.55, 0.15])


def test_outliers_of_ratings_without_an_interval_are_refused(refuses):
    found = scores("gru", [0.1] * 4)
    assert not protocol.has_outliers(found)
    with refuses(
        "scores hold ['plcc'], expected or_half and or_full; "
        "was the data set released without confidence intervals?"
    ):
        protocol.outliers(found)


def test_scale_compares_errors_alone():
    found = joined(scores("gru", [0.9] * 4), scores("gru", [0.1, 0.2, 0.3, 0.4], "rmse"))
    halved = found.assign(value=found["value"].where(found["metric"] == "plcc", found["value"] / 2))
    table = protocol.contrast(protocol.scale(found, halved))
    assert list(table["metric"]) == ["rmse"]
    assert table["difference"].tolist() == pytest.approx([-0.125])


def test_leakage_is_the_same_score_under_each_split():
    found = protocol.leakage(
        {
            "random-by-video": scores("lookup", [0.9, 0.8, 0.7, 1.0]),
            "strict": scores("lookup", [0.2, np.nan, 0.4, 0.3]),
        }
    )
    assert list(found["split"]) == ["random-by-video", "strict"]
    assert found["mean"].tolist() == pytest.approx([0.85, 0.3])
    assert found["median"].tolist() == pytest.approx([0.85, 0.3])
    assert found["n"].tolist() == [4, 4]
    assert found["undefined"].tolist() == [0, 1]
    assert ((found["low"] < found["mean"]) & (found["mean"] < found["high"])).all()


def test_leakage_keeps_the_order_of_models():
    both = joined(scores("ridge", [0.1, 0.2, 0.3, 0.4]), scores("gru", [0.5, 0.6, 0.7, 0.8]))
    found = protocol.leakage({"strict": both})
    assert list(found["model"]) == ["ridge", "gru"]
    assert found["mean"].tolist() == pytest.approx([0.25, 0.65])


def test_lag1_is_that_of_the_rating_by_hand(make_session):
    found = protocol.serial_dependence([rated(make_session, [10, 20, 60])])
    # centred -20, -10, 30: (200 - 300) / (400 + 100 + 900)
    assert found["lag1"].tolist() == pytest.approx([-1 / 14])
    assert found["effective"].tolist() == pytest.approx([3 * (15 / 14) / (13 / 14)])


def test_a_constant_rating_has_no_autocorrelation(make_session):
    sessions = [rated(make_session, [50.0] * 5), rated(make_session, [1, 2, 3, 5])]
    found = protocol.serial_dependence(sessions)
    assert found["lag1"].isna().tolist() == [True, False]
    assert found["effective"].isna().tolist() == [True, False]
    assert found["session"].tolist() == ["5s", "4s"]
    assert found["n_seconds"].tolist() == [5, 4]


@pytest.mark.parametrize("path", sorted(PARAMS.glob("05_protocol--*.yaml")), ids=lambda p: p.stem)
def test_networks_are_run_with_inputs_and_training_of_the_chapter(path):
    chapter = path.with_name(path.name.replace("05_protocol", "02_train"))
    ours, theirs = (yaml.safe_load(file.read_text()) for file in (path, chapter))
    shared = ("dataset", "split", "qos", "quality", "own", "batch_size", "n_epochs")
    assert {key: ours.get(key) for key in shared} == {key: theirs.get(key) for key in shared}
