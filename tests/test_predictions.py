"""The predictions table and its scores, against scipy and by hand."""

import numpy as np
import pytest
from scipy import stats

from qoe_core.inputs import FeatureConfig
from qoe_core.metrics import METRICS
from qoe_core.models.averages import Constant, MeanCurve
from qoe_core.models.interface import Prediction
from qoe_core.models.regressors import Regressor, ridge
from qoe_core.predictions import ONSET_S, TRACE_MEAN, fold_tables, session_scores
from qoe_core.splits import leave_content_out

IDENTITY = {
    "experiment": "tiny--leave-content-out--ridge",
    "dataset": "tiny",
    "split": "leave-content-out",
    "fold": "content_0",
    "seed": 3,
    "model": "ridge",
}
RIDGE = Regressor(make=ridge, inputs=FeatureConfig(qos=("indicator",), quality=("vmaf",)))


def tables(sessions, model=RIDGE):
    """Both tables of the first fold of leave-content-out, and the fold."""
    split = leave_content_out(sessions, seed=0)[0]
    fitted = model.fit(split.train, split.validation, seed=0)
    predicted = [fitted.predict(session) for session in split.sessions]
    return *fold_tables(predicted, split, IDENTITY, (*split.train, *split.validation)), split


@pytest.fixture
def fold(sessions):
    return tables(sessions)


def one(table, session, **conditions):
    """The rows of one session, in the order of the table."""
    rows = table[table["session"] == session.name]
    for column, value in conditions.items():
        rows = rows[rows[column] == value]
    return rows


def test_the_columns_are_those_of_the_contract(fold):
    assert list(fold[0]) == [
        *("experiment", "dataset", "split", "fold", "seed", "model", "session", "content"),
        *("pattern", "part", "second", "predicted", "rated", "ci_low", "ci_high", "stalled"),
    ]


def test_an_empty_table_has_the_same_columns(fold, make_session):
    unrated = [make_session(c, 0, rated=None, rated_ci=None) for c in range(6)]
    predictions, _, _ = tables(unrated)
    assert (len(predictions), list(predictions)) == (0, list(fold[0]))


def test_there_is_one_row_for_each_second_of_each_part(fold):
    predictions, _, split = fold
    seconds = predictions.groupby(["part", "session"], observed=True)["second"].apply(list)
    expected = {
        (part, session.name): list(range(session.n_seconds))
        for part, members in split.parts.items()
        for session in members
    }
    assert seconds.to_dict() == expected


def test_every_row_says_whose_it_is(fold, sessions):
    row = one(fold[0], sessions[1]).iloc[4]
    assert row[list(IDENTITY)].to_dict() == IDENTITY
    assert (row["content"], row["pattern"], row["part"]) == ("content_0", "abr_1/trace_0", "test")


def test_stalled_is_that_of_the_session(fold, sessions):
    np.testing.assert_array_equal(one(fold[0], sessions[1])["stalled"], sessions[1].stalled)


def test_ratings_are_labels_of_all_that_the_fold_may_train_on(fold, sessions):
    predictions, _, split = fold
    seen = np.concatenate([session.rated for session in (*split.train, *split.validation)])
    expected = (sessions[0].rated - seen.min()) / (seen.max() - seen.min())
    np.testing.assert_allclose(one(predictions, sessions[0])["rated"], expected, rtol=1e-12)


def test_predictions_are_labels_on_the_same_scale(fold, sessions):
    predictions, _, split = fold
    seen = np.concatenate([session.rated for session in (*split.train, *split.validation)])
    fitted = RIDGE.fit(split.train, split.validation, seed=0)
    expected = (fitted.predict(sessions[0]).continuous - seen.min()) / np.ptp(seen)
    np.testing.assert_allclose(one(predictions, sessions[0])["predicted"], expected, rtol=1e-12)


def test_the_interval_is_on_the_same_scale(fold, sessions):
    predictions, _, split = fold
    seen = np.concatenate([session.rated for session in (*split.train, *split.validation)])
    rows = one(predictions, sessions[0])
    # the interval of the tiny sessions is 4 below to 4 above the rating
    np.testing.assert_allclose(rows["rated"] - rows["ci_low"], 4 / np.ptp(seen), rtol=1e-9)
    np.testing.assert_allclose(rows["ci_high"] - rows["rated"], 4 / np.ptp(seen), rtol=1e-9)


def test_the_overall_table_has_one_row_for_each_session(fold, sessions):
    overall = fold[1]
    own = overall[overall["model"] == "ridge"]
    assert sorted(own["session"]) == sorted(session.name for session in sessions)


def test_overall_ratings_are_labels_of_all_that_the_fold_may_train_on(fold, sessions):
    _, overall, split = fold
    seen = [session.overall for session in (*split.train, *split.validation)]
    expected = (sessions[2].overall - min(seen)) / (max(seen) - min(seen))
    rated = one(overall, sessions[2], model="ridge")["rated"].item()
    assert rated == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("plcc", lambda x, y: stats.pearsonr(x, y).statistic),
        ("srocc", lambda x, y: stats.spearmanr(x, y).statistic),
        ("krocc", lambda x, y: stats.kendalltau(x, y).statistic),
        ("rmse", lambda x, y: np.sqrt(np.mean((x - y) ** 2))),
    ],
)
@pytest.mark.parametrize("start", [0, ONSET_S])
def test_scores_are_those_of_the_rows_of_the_table(fold, sessions, metric, reference, start):
    scores = session_scores(fold[0])
    for session in sessions[1:5]:  # 13 s to 15 s
        rows = one(fold[0], session).iloc[start:]
        value = one(scores, session, metric=metric, from_second=start)["value"].item()
        assert value == pytest.approx(reference(rows["predicted"], rows["rated"]), abs=1e-12)


def test_interval_scores_use_half_the_interval_of_the_table(fold, sessions):
    rows = one(fold[0], sessions[0])
    outside = (rows["predicted"] - rows["rated"]).abs() > (rows["ci_high"] - rows["ci_low"]) / 2
    scores = one(session_scores(fold[0]), sessions[0], metric="or_half", from_second=0)
    assert scores["value"].item() == outside.mean()


def test_every_metric_is_scored_with_an_interval(fold):
    assert set(session_scores(fold[0])["metric"]) == set(METRICS)


def test_metrics_of_the_interval_are_not_scored_without_one(make_session):
    bare = [make_session(c, p, rated_ci=None) for c in range(6) for p in range(2)]
    scored = set(session_scores(tables(bare)[0])["metric"])
    assert scored == set(METRICS) - {"rmse_star", "or_half", "or_full"}


def test_an_undefined_correlation_is_kept_as_unknown(sessions):
    scores = session_scores(tables(sessions, Constant())[0])
    assert scores.loc[scores["metric"] == "plcc", "value"].isna().all()
    assert scores.loc[scores["metric"] == "rmse", "value"].notna().all()


def test_a_session_too_short_without_its_start_is_scored_with_it_only(sessions, make_session):
    short = make_session(0, 9, seconds=ONSET_S + 2)
    scores = one(session_scores(tables([*sessions, short])[0]), short)
    assert set(scores["from_second"]) == {0}


def test_the_trace_mean_is_mapped_by_the_line_of_the_training_sessions(fold):
    predictions, overall, _ = fold
    derived = overall[overall["model"] == "ridge" + TRACE_MEAN].set_index("session")
    means = predictions.groupby("session", observed=True)["predicted"].mean()[derived.index]
    train = derived["part"] == "train"
    line = stats.linregress(means[train], derived["rated"][train])
    np.testing.assert_allclose(derived["predicted"], line.intercept + line.slope * means, rtol=1e-9)


def test_a_trace_that_is_the_same_for_all_sessions_has_no_trace_mean(make_session):
    alike = [make_session(c, p) for c in range(6) for p in range(2)]
    assert set(tables(alike, MeanCurve())[1]["model"]) == {"ridge"}


class Oracle:
    """Answers with the ratings themselves."""

    def fit(self, train, validation, seed, folder=None):
        return self

    def predict(self, session):
        return Prediction(session.rated, session.overall)


def test_an_oracle_has_no_error(sessions):
    scores = session_scores(tables(sessions, Oracle())[0])
    assert scores.loc[scores["metric"] == "rmse", "value"].max() == 0


class Shifting(Oracle):
    """Cuts a second off every other session and adds one to the next: their sum is right."""

    n_predicted = 0

    def predict(self, session):
        self.n_predicted += 1
        rated = session.rated
        trace = rated[1:] if self.n_predicted % 2 else np.append(rated, rated[-1])
        return Prediction(trace, session.overall)


def test_a_trace_that_is_not_as_long_as_its_session_is_refused(sessions):
    with pytest.raises(ValueError, match=r"scores, expected one for each of its \d+ seconds"):
        tables(sessions, Shifting())
