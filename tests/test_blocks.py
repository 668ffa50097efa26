import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qoe_core.blocks import continuous_blocks, on_one_scale, overall_blocks
from qoe_core.bootstrap import draw_contents, interval

CONTENT = {"s0": "a", "s1": "a", "s2": "b", "s3": "c", "s4": "c"}


def score_rows(model, values, part="test", metric="plcc", from_second=0):
    """Rows of a scores table; `values` holds one score a run of each session."""
    return [
        {
            "model": model,
            "fold": "",
            "seed": seed,
            "part": part,
            "session": session,
            "content": CONTENT[session],
            "from_second": from_second,
            "metric": metric,
            "value": value,
        }
        for session, of_seeds in values.items()
        for seed, value in enumerate(of_seeds)
    ]


def blocks_of(*rows, part="test", from_second=0):
    table = pd.DataFrame([row for group in rows for row in group])
    return list(continuous_blocks(table, part, from_second))


def each_session(values):
    return dict(zip(CONTENT, ([value] for value in values), strict=True))


def repeated(contents, counts, names):
    """Indices of the sessions, each as often as its content was drawn."""
    drawn = dict(zip(names, counts.astype(int), strict=True))
    return np.concatenate([[i] * drawn[content] for i, content in enumerate(contents)]).astype(int)


def test_scores_are_averaged_over_seeds_then_over_sessions():
    values = {"s0": [0.2, 0.4], "s1": [0.6, 0.8], "s2": [0.9]}
    (block,) = blocks_of(score_rows("m", values))
    assert block.estimate.value[0] == pytest.approx((0.3 + 0.7 + 0.9) / 3)


def test_median_and_spread_are_those_of_the_sessions():
    (block,) = blocks_of(score_rows("m", {"s0": [0.0, 0.2], "s1": [0.4, 0.4], "s2": [0.9, 0.9]}))
    (summary,) = block.summaries
    squares = [(x - 1.4 / 3) ** 2 for x in (0.1, 0.4, 0.9)]
    assert summary.median == pytest.approx(0.4)
    assert summary.sd == pytest.approx((sum(squares) / 2) ** 0.5)


def test_a_session_that_one_run_leaves_undefined_is_undefined():
    (block,) = blocks_of(score_rows("m", {"s0": [0.2, np.nan], "s1": [0.6, 0.6], "s2": [0.8, 0.8]}))
    assert block.summaries[0].undefined == 1
    assert block.estimate.value[0] == pytest.approx(0.7)


def test_n_counts_the_undefined_sessions_too():
    (block,) = blocks_of(score_rows("m", each_session([0.1, np.nan, 0.3, np.nan, 0.5])))
    assert (block.n, block.summaries[0].undefined) == ([5], 2)


def test_seeds_are_counted_for_each_model():
    one, two = (dict.fromkeys(CONTENT, [0.5] * n_seeds) for n_seeds in (1, 3))
    (block,) = blocks_of(score_rows("one", one), score_rows("two", two))
    assert dict(zip(block.models, block.seeds, strict=True)) == {"one": 1, "two": 3}


def test_a_training_session_of_several_folds_counts_once():
    folds = [score_rows("m", each_session(values), "train") for values in ([0.1] * 5, [0.5] * 5)]
    (block,) = blocks_of(*folds, part="train")
    assert block.n == [5]
    assert block.estimate.value[0] == pytest.approx(0.3)


def test_models_tested_on_different_sessions_are_refused(refuses):
    fewer = {session: [0.5] for session in ("s0", "s1", "s2")}
    with refuses(
        "models were tested on different sessions: {'all': 5, 'fewer': 3} of 5; "
        "are some tables from other data?"
    ):
        blocks_of(score_rows("all", each_session([0.5] * 5)), score_rows("fewer", fewer))


@pytest.mark.parametrize("part", ["train", "validation"])
def test_sessions_that_only_another_model_saw_are_not_undefined(part):
    fewer = {session: [0.5] for session in ("s0", "s2", "s3")}
    (block,) = blocks_of(
        score_rows("all", each_session([0.5] * 5), part),
        score_rows("fewer", fewer, part),
        part=part,
    )
    assert block.n == [5, 3]
    assert [summary.undefined for summary in block.summaries] == [0, 0]


def test_other_parts_and_other_onsets_are_left_out():
    (block,) = blocks_of(
        score_rows("m", each_session([0.5] * 5)),
        score_rows("m", each_session([0.1] * 5), "train"),
        score_rows("m", each_session([0.9] * 5), from_second=10),
    )
    assert block.estimate.value[0] == pytest.approx(0.5)


def test_scores_from_a_later_second_make_their_own_block():
    (block,) = blocks_of(
        score_rows("m", each_session([0.5] * 5)),
        score_rows("m", each_session([0.9] * 5), from_second=10),
        from_second=10,
    )
    assert block.estimate.value[0] == pytest.approx(0.9)


def test_blocks_come_in_the_order_of_the_metrics_without_missing_ones():
    names = ("or_half", "rmse", "plcc")
    blocks = blocks_of(*(score_rows("m", each_session([0.5] * 5), metric=name) for name in names))
    assert [block.metric for block in blocks] == ["plcc", "rmse", "or_half"]


def test_interval_equals_a_loop_over_drawn_contents():
    values = np.array([0.1, np.nan, 0.2, 0.9, 0.7])
    (block,) = blocks_of(score_rows("m", each_session(values)))
    counts = draw_contents(list(CONTENT.values())).counts
    means = [np.nanmean(values[repeated(CONTENT.values(), drawn, "abc")]) for drawn in counts]
    bounds = interval(block.estimate)
    assert (bounds.low[0], bounds.high[0]) == pytest.approx(np.percentile(means, (2.5, 97.5)))


def test_differences_are_paired_over_sessions_that_both_define():
    first, second = [0.5, np.nan, 0.3, 0.6, 0.2], [0.1, 0.9, np.nan, 0.4, 0.1]
    (block,) = blocks_of(
        score_rows("first", each_session(first)), score_rows("second", each_session(second))
    )
    difference = block.differences(0)
    assert difference.value == pytest.approx([0, (-0.4 - 0.2 - 0.1) / 3])


def test_difference_of_equal_models_is_zero_in_every_draw():
    rows = each_session([0.5, 0.9, 0.3, 0.6, 0.2])
    (block,) = blocks_of(score_rows("first", rows), score_rows("second", rows))
    assert (block.differences(0).drawn == 0).all()


PEOPLE = {"a": (10.0, 60.0), "b": (0.0, 80.0), "c": (20.0, 100.0), "d": (5.0, 95.0)}


def overall_rows(model, seed=0, sessions_of_each=4, noise=8.0, part="test"):
    """Rows of an overall table with one fold a content, each with a label range of its own."""
    rng = np.random.default_rng([seed, *model.encode()])
    rows = []
    for clip, (content, (low, high)) in enumerate(PEOPLE.items()):
        for number in range(sessions_of_each):
            rated = np.random.default_rng([clip, number]).uniform(0, 100)
            units = np.array([rated + rng.normal(0, noise), rated, rated - 6, rated + 6])
            scaled = dict(
                zip(
                    ("predicted", "rated", "ci_low", "ci_high"),
                    (units - low) / (high - low),
                    strict=True,
                )
            )
            rows.append(
                {
                    "model": model,
                    "fold": content,
                    "seed": seed,
                    "part": part,
                    "session": f"{content}{number}",
                    "content": content,
                    "units_predicted": units[0],
                    "units_rated": rated,
                    "label_low": low,
                    "label_high": high,
                    **scaled,
                }
            )
    return rows


@pytest.fixture(scope="module")
def tested():
    """Two models, the second with two seeds."""
    rows = [*overall_rows("one"), *overall_rows("two", 0), *overall_rows("two", 1)]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def blocks(tested):
    return {block.metric: block for block in overall_blocks(tested, "test")}


def per_seed(table, model, score):
    """Mean over seeds of a score of predictions and ratings in rating units."""
    chosen = table[table["model"] == model]
    return np.mean(
        [score(run["units_predicted"], run["units_rated"]) for _, run in chosen.groupby("seed")]
    )


def test_labels_of_folds_with_different_ranges_come_to_one_scale():
    table = pd.DataFrame(
        {
            "predicted": [0.5, 0.5],
            "rated": [0.0, 1.0],
            "ci_low": [0.0, 0.9],
            "ci_high": [0.2, 1.1],
            "label_low": [0.0, 10.0],  # rated 0 of 0 to 10, and 60 of 10 to 60
            "label_high": [10.0, 60.0],
        }
    )
    scaled = on_one_scale(table)
    assert scaled["rated"].tolist() == pytest.approx([0, 1])
    assert scaled["predicted"].tolist() == pytest.approx([5 / 60, 35 / 60])
    assert scaled["ci_low"].tolist() == pytest.approx([0, 55 / 60])
    assert scaled["ci_high"].tolist() == pytest.approx([2 / 60, 65 / 60])


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("plcc", lambda p, r: stats.pearsonr(p, r).statistic),
        ("srocc", lambda p, r: stats.spearmanr(p, r).statistic),
        ("krocc", lambda p, r: stats.kendalltau(p, r).statistic),
    ],
)
def test_correlation_is_scipys_over_sessions_of_all_folds_then_mean_over_seeds(
    tested, blocks, metric, score
):
    expected = [per_seed(tested, model, score) for model in ("one", "two")]
    assert blocks[metric].estimate.value == pytest.approx(expected)


def test_rmse_is_in_shares_of_the_range_of_all_ratings(tested, blocks):
    span = np.ptp(tested["units_rated"])
    expected = per_seed(tested, "one", lambda p, r: np.sqrt(np.mean((p - r) ** 2)) / span)
    assert blocks["rmse"].estimate.value[0] == pytest.approx(expected)


def test_outliers_are_counted_against_the_interval_of_the_overall_score(tested, blocks):
    expected = per_seed(tested, "one", lambda p, r: np.mean(np.abs(p - r) > 6))
    assert 0 < expected < 1
    assert blocks["or_half"].estimate.value[0] == pytest.approx(expected)


def test_overall_scores_without_an_interval_give_no_outlier_ratio(tested):
    without = tested.assign(ci_low=np.nan, ci_high=np.nan)
    metrics = [block.metric for block in overall_blocks(without, "test")]
    assert metrics == ["plcc", "srocc", "krocc", "rmse"]


def test_overall_counts_sessions_contents_and_seeds(blocks):
    block = blocks["plcc"]
    assert (block.models, block.n, block.n_contents) == (["one", "two"], [16, 16], 4)
    assert block.seeds == [1, 2]


def test_overall_draws_equal_a_loop_over_drawn_contents(tested, blocks):
    runs = [run for _, run in tested[tested["model"] == "two"].groupby("seed")]
    counts = draw_contents(list(PEOPLE)).counts
    for number in range(40):
        drawn = [run.iloc[repeated(run["content"], counts[number], PEOPLE)] for run in runs]
        pairs = [(run["units_predicted"], run["units_rated"]) for run in drawn]
        expected = np.mean([stats.pearsonr(*pair).statistic for pair in pairs])
        assert blocks["plcc"].estimate.drawn[number, 1] == pytest.approx(expected)


def test_overall_differences_are_paired_draw_by_draw(blocks):
    block = blocks["rmse"]
    expected = block.estimate.drawn[:, 1] - block.estimate.drawn[:, 0]
    np.testing.assert_allclose(block.differences(0).drawn[:, 1], expected, rtol=0, atol=1e-15)


def test_a_constant_prediction_has_an_error_but_no_correlation(tested):
    constant = tested.assign(predicted=(50 - tested["label_low"]))
    constant["predicted"] /= tested["label_high"] - tested["label_low"]
    found = {block.metric: block for block in overall_blocks(constant, "test")}
    assert np.isnan(found["plcc"].estimate.value).all()
    assert [summary.undefined for summary in found["plcc"].summaries] == [1, 2]
    assert np.isfinite(found["rmse"].estimate.value).all()


def test_overall_scores_of_different_test_sessions_are_refused(tested, refuses):
    fewer = tested[(tested["model"] == "two") | (tested["content"] != "d")]
    with refuses(
        "models were tested on different sessions: {'one': 12, 'two': 16} of 16; "
        "are some tables from other data?"
    ):
        list(overall_blocks(fewer, "test"))


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_part_without_sessions_has_no_block(tested, part):
    assert list(overall_blocks(tested[:0], part)) == []


def trained(contents):
    """An overall table in which each fold trains on all contents but one."""
    rows = pd.DataFrame(overall_rows("m", part="train"))
    rows = rows[rows["content"].isin(list(contents))].drop(columns="fold")
    folds = [rows[rows["content"] != held].assign(fold=held) for held in contents]
    return pd.concat(folds, ignore_index=True)


def test_training_sessions_are_scored_fold_by_fold():
    table = trained("abcd")
    found = {block.metric: block for block in overall_blocks(table, "train")}
    expected = [
        stats.pearsonr(fold["units_predicted"], fold["units_rated"]).statistic
        for _, fold in table.groupby("fold")
    ]
    assert found["plcc"].estimate.value[0] == pytest.approx(np.mean(expected))
    assert found["plcc"].summaries[0].sd == pytest.approx(np.std(expected, ddof=1))


def test_one_draw_of_contents_serves_all_training_folds():
    table = trained("abcd")
    found = {block.metric: block for block in overall_blocks(table, "train")}
    span = np.ptp(table["units_rated"])
    counts = draw_contents(list("abcd")).counts
    for number in range(40):
        errors = []
        for _, fold in table.groupby("fold"):
            drawn = fold.iloc[repeated(fold["content"], counts[number], "abcd")]
            square = (drawn["units_predicted"] - drawn["units_rated"]) ** 2
            errors.append(np.sqrt(square.mean()) / span)
        assert found["rmse"].estimate.drawn[number, 0] == pytest.approx(np.mean(errors))


def test_a_draw_without_the_contents_of_one_fold_is_the_mean_of_the_others():
    table = trained("abc")
    found = {block.metric: block for block in overall_blocks(table, "train")}
    number = int(draw_contents(list("abc")).counts[:, 0].argmax())  # nothing but content a
    drawn = table[table["content"] == "a"].groupby("fold")
    assert list(drawn.groups) == ["b", "c"]
    errors = [
        np.sqrt(((fold["units_predicted"] - fold["units_rated"]) ** 2).mean()) for _, fold in drawn
    ]
    expected = np.mean(errors) / np.ptp(table["units_rated"])
    assert found["rmse"].estimate.drawn[number, 0] == pytest.approx(expected)


def test_a_draw_without_the_contents_of_one_fold_still_counts():
    found = {block.metric: block for block in overall_blocks(trained("abc"), "train")}
    assert np.isfinite(interval(found["rmse"].estimate).low).all()
