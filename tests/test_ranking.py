"""Ranks, Friedman and Nemenyi against the example that Demšar prints (JMLR 7, 2006)."""

import numpy as np
import pandas as pd
import pytest

from qoe_core.ranking import critical_difference, rank

MODELS = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]
RANKS = [  # table 6, ranks of the 14 data sets
    *([4, 3, 2, 1], [1, 2, 3, 4], [4, 1, 2, 3], [4, 1, 3, 2], [4, 2, 3, 1], [1, 2.5, 4, 2.5]),
    *([3, 2, 4, 1], [2.5, 2.5, 4, 1], [4, 3, 2, 1], [2.5, 2.5, 2.5, 2.5], [4, 2.5, 1, 2.5]),
    *([3, 2, 4, 1], [4, 1, 2, 3], [3, 1, 4, 2]),
]
MEAN_RANKS = [1.964, 2.000, 2.893, 3.143]  # section 3.2.2, rising
TIES = 1 - (3 * 6 + 60) / (14 * 4 * (4**2 - 1))  # three pairs and one four in the table above


def results(values, models=MODELS, **changes):
    """A results table of one row a block and model; the higher value is the better one."""
    rows = [
        {"dataset": f"data_{block:02d}", "model": model, "mean": value}
        for block, of_block in enumerate(values)
        for model, value in zip(models, of_block, strict=True)
    ]
    fixed = {"split": "released", "target": "continuous", "metric": "plcc", "part": "test"}
    return pd.DataFrame(rows).assign(**{**fixed, **changes})


@pytest.fixture(scope="module")
def published():
    return rank(results(-np.array(RANKS)), "continuous", "plcc")


def test_mean_ranks_are_the_published_ones_the_best_first(published):
    assert list(published.ranks.index) == ["C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5"]
    assert published.ranks.to_list() == pytest.approx(MEAN_RANKS, abs=5e-4)


def test_friedman_is_the_published_value_corrected_for_ties(published):
    assert published.statistic * TIES == pytest.approx(9.28, abs=5e-3)


@pytest.mark.parametrize(("level", "expected"), [(0.05, 1.25), (0.10, 1.12)])
def test_the_critical_difference_is_the_published_one(level, expected):
    assert critical_difference(4, 14, level) == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize(("n_models", "q"), [(2, 1.960), (3, 2.343), (7, 2.949), (10, 3.164)])
def test_quantiles_are_those_of_the_published_table(n_models, q):
    # table 5 (a), which is rounded in its third digit
    found = critical_difference(n_models, 10) / np.sqrt(n_models * (n_models + 1) / 60)
    assert found == pytest.approx(q, abs=1.1e-3)


def test_models_closer_than_the_critical_difference_are_in_one_group(published):
    assert published.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert published.groups == [tuple(published.ranks.index)]


def test_groups_are_the_longest_runs_and_leave_out_what_stands_alone():
    table = results([[5, 4.9, 3, 2, 1]] * 40, list("abcde"))
    table.loc[table["dataset"] < "data_20", "mean"] = [4.9, 5, 3, 1, 2] * 20
    found = rank(table, "continuous", "plcc")
    assert found.ranks.to_dict() == {"a": 1.5, "b": 1.5, "c": 3.0, "d": 4.5, "e": 4.5}
    assert found.critical_difference == pytest.approx(2.728 * np.sqrt(30 / 240), abs=1e-3)
    assert found.groups == [("a", "b"), ("d", "e")]


def test_groups_may_overlap_but_none_is_part_of_another():
    found = rank(results([[3, 2, 1]] * 4, list("abc")), "continuous", "plcc")
    assert found.critical_difference == pytest.approx(2.343 * np.sqrt(12 / 24), abs=1e-3)
    assert found.groups == [("a", "b"), ("b", "c")]


def test_rank_one_has_the_least_error():
    errors = results([[0.1, 0.2, 0.3]] * 3, list("abc"), metric="rmse")
    assert rank(errors, "continuous", "rmse").ranks.to_dict() == {"a": 1, "b": 2, "c": 3}


def test_models_that_a_data_set_lacks_are_left_out_and_named():
    table = results(-np.array(RANKS))
    table = table.drop(table[(table["model"] == "C4.5+m") & (table["dataset"] == "data_03")].index)
    found = rank(table, "continuous", "plcc")
    assert found.left_out == ("C4.5+m",)
    assert sorted(found.ranks.index) == ["C4.5", "C4.5+cf", "C4.5+m+cf"]
    assert found.ranks.sum() == pytest.approx(6)


def test_a_model_that_is_undefined_on_a_data_set_is_left_out():
    table = results(-np.array(RANKS))
    table.loc[table["model"] == "C4.5", "mean"] = np.nan
    assert rank(table, "continuous", "plcc").left_out == ("C4.5",)


def test_only_test_rows_of_the_target_and_metric_count():
    table = results([[3, 2, 1]] * 3, list("abc"))
    others = [
        table.assign(**{column: value, "mean": -table["mean"]})
        for column, value in (("part", "train"), ("target", "overall"), ("metric", "rmse"))
    ]
    found = rank(pd.concat([table, *others], ignore_index=True), "continuous", "plcc")
    assert found.ranks.to_dict() == {"a": 1, "b": 2, "c": 3}
    assert found.blocks == tuple(f"data_{block:02d}, released" for block in range(3))


def test_two_splits_of_a_data_set_are_two_blocks():
    table = results([[3, 2, 1]], list("abc"))
    found = rank(pd.concat([table, table.assign(split="strict")]), "continuous", "plcc")
    assert found.blocks == ("data_00, released", "data_00, strict")


@pytest.mark.parametrize(("n_blocks", "warned"), [(4, True), (5, False)])
def test_little_power_is_said_below_five_data_sets(n_blocks, warned):
    found = rank(results([[3, 2, 1]] * n_blocks, list("abc")), "continuous", "plcc")
    assert found.caption.startswith(
        f"continuous PLCC, 3 models on {n_blocks} data sets: Friedman chi-square {2 * n_blocks}.00,"
    )
    warning = "; with fewer than 5 data sets the test has little power"
    assert found.caption.endswith(warning) == warned


def test_a_small_p_is_not_printed_as_zero():
    assert (
        ", p < 0.001; " in rank(results([[3, 2, 1]] * 9, list("abc")), "continuous", "plcc").caption
    )


@pytest.mark.parametrize(("n_blocks", "models"), [(1, "abc"), (3, "ab")])
def test_too_little_to_rank_is_refused(refuses, n_blocks, models):
    table = results([range(len(models))] * n_blocks, list(models))
    with refuses(
        f"{n_blocks} data sets with continuous PLCC, {len(models)} models on all of them, expected "
        "at least 2 data sets and 3 models; has too little been run?"
    ):
        rank(table, "continuous", "plcc")
