import numpy as np
import pytest

from qoe_core.bootstrap import (
    Estimate,
    difference_interval,
    draw_contents,
    interval,
    mean_estimate,
    mean_interval,
)

CONTENT = ["b", "a", "b", "c", "a", "c", "c", "d"]


def repeated(draws, draw):
    """Indices of the sessions of one draw, each as often as its content was drawn."""
    weights = (draws.counts @ draws.member.T)[draw].astype(int)
    return np.repeat(np.arange(len(weights)), weights)


def test_each_draw_holds_as_many_contents_as_there_are():
    draws = draw_contents(CONTENT, n_draws=200)
    assert draws.counts.shape == (200, 4)
    assert (draws.counts.sum(1) == 4).all()


def test_every_session_weighs_as_often_as_its_content_was_drawn():
    draws = draw_contents(CONTENT, n_draws=50)
    weights = draws.counts @ draws.member.T
    for session, name in enumerate(CONTENT):
        np.testing.assert_array_equal(weights[:, session], draws.counts[:, "abcd".index(name)])


def test_contents_are_drawn_equally_often():
    draws = draw_contents(CONTENT, n_draws=20_000)
    np.testing.assert_allclose(draws.counts.mean(0), 1, atol=0.03)


def test_the_same_seed_draws_the_same_and_another_seed_does_not():
    first, second = (draw_contents(CONTENT, 50, seed).counts for seed in (1, 2))
    np.testing.assert_array_equal(draw_contents(CONTENT, 50, 1).counts, first)
    assert (first != second).any()


def test_draws_do_not_depend_on_the_order_of_the_sessions():
    first = draw_contents(CONTENT, 50).counts
    np.testing.assert_array_equal(draw_contents(CONTENT[::-1], 50).counts, first)


def test_one_content_is_refused():
    with pytest.raises(ValueError, match=r"content names 1 content \(a\) for 3 sessions"):
        draw_contents(["a", "a", "a"])


def test_no_draws_are_refused():
    with pytest.raises(ValueError, match="n_draws is 0, expected at least 1"):
        draw_contents(CONTENT, n_draws=0)


def test_the_mean_of_each_draw_equals_the_mean_of_the_repeated_sessions():
    scores = np.random.default_rng(0).normal(size=(2, 8))
    scores[1, 3] = np.nan
    draws = draw_contents(CONTENT, n_draws=40)
    estimate = mean_estimate(scores, draws)
    for draw in range(40):
        expected = np.nanmean(scores[:, repeated(draws, draw)], axis=1)
        np.testing.assert_allclose(estimate.drawn[draw], expected, rtol=0, atol=1e-12)


def test_the_interval_of_two_contents_holds_every_outcome():
    # contents 0 and 1: draws give 0, 0.5, 1 with probabilities 1/4, 1/2, 1/4
    result = mean_interval(np.array([[0.0, 1.0]]), draw_contents(["a", "b"], 1000))
    assert (result.value[0], result.low[0], result.high[0]) == (0.5, 0.0, 1.0)


def test_the_interval_of_many_contents_approaches_the_normal_one():
    scores = np.random.default_rng(3).normal(size=(1, 400))
    result = mean_interval(scores, draw_contents([str(i) for i in range(400)]))
    half = 1.96 * scores.std() / 20
    assert result.low[0] == pytest.approx(scores.mean() - half, abs=0.05 * half)
    assert result.high[0] == pytest.approx(scores.mean() + half, abs=0.05 * half)


def test_sessions_of_one_content_are_not_independent_evidence():
    per_content = np.random.default_rng(4).normal(size=10)
    once = draw_contents([str(i) for i in range(10)])
    often = draw_contents([str(i) for i in range(10) for _ in range(30)])
    first = mean_interval(per_content[None], once)
    second = mean_interval(np.repeat(per_content, 30)[None], often)
    np.testing.assert_allclose(second.low, first.low, rtol=0, atol=1e-12)
    np.testing.assert_allclose(second.high, first.high, rtol=0, atol=1e-12)


def test_undefined_scores_are_excluded_from_the_mean():
    scores = np.array([[1.0, 2.0, np.nan, 3.0, 1.0, 5.0, 2.0, 0.0]])
    assert mean_interval(scores, draw_contents(CONTENT, 100)).value[0] == 2.0


def test_a_model_without_any_defined_score_has_no_interval_and_stops_no_other():
    scores = np.stack([np.full(8, np.nan), np.arange(8.0)])
    result = mean_interval(scores, draw_contents(CONTENT, 100))
    assert np.isnan([result.value[0], result.low[0], result.high[0], result.p[0]]).all()
    assert np.isfinite([result.value[1], result.low[1], result.high[1], result.p[1]]).all()


def test_a_model_defined_in_one_content_only_is_refused():
    scores = np.array([[np.nan, 1.0, np.nan, np.nan, 2.0, np.nan, np.nan, np.nan]])
    with pytest.raises(ValueError, match=r"^row 0 is undefined in 3\d of 100 draws, .* most 1%"):
        mean_interval(scores, draw_contents(CONTENT, 100))


def test_few_undefined_draws_are_left_out_and_counted():
    drawn = np.ones((1000, 1))
    drawn[:10] = np.nan
    result = interval(Estimate(value=np.ones(1), drawn=drawn))
    assert (result.low[0], result.high[0], result.undefined_draws[0]) == (1.0, 1.0, 10)


def test_a_difference_uses_only_sessions_where_both_are_defined():
    model = np.array([[1.0, 2.0, np.nan, 4.0, 9.0, 1.0, 1.0, 1.0]])
    reference = np.array([0.0, 1.0, 7.0, 3.0, np.nan, 0.0, 0.0, 0.0])
    result = difference_interval(model, reference, draw_contents(CONTENT, 500))
    assert (result.value[0], result.low[0], result.high[0]) == (1.0, 1.0, 1.0)


def test_a_paired_difference_is_sharper_than_its_two_means():
    rng = np.random.default_rng(5)
    difficulty = rng.normal(size=8)
    scores = np.stack([difficulty, difficulty - 0.1 + 0.001 * rng.normal(size=8)])
    draws = draw_contents(CONTENT, 1000)
    means = mean_interval(scores, draws)
    difference = difference_interval(scores[:1], scores[1], draws)
    assert means.low[0] < means.high[1]
    assert difference.low[0] > 0


def test_p_is_twice_the_smaller_tail_with_one_added():
    drawn = np.concatenate([np.full(3, -1.0), np.full(96, 1.0)])[:, None]
    result = interval(Estimate(value=np.ones(1), drawn=drawn))
    assert result.p[0] == pytest.approx(2 * (1 + 3) / (1 + 99))


def test_p_of_a_difference_that_never_changes_sign_is_small_but_not_zero():
    result = interval(Estimate(value=np.ones(1), drawn=np.ones((9999, 1))))
    assert result.p[0] == pytest.approx(2e-4)


def test_p_of_a_model_against_itself_is_one():
    scores = np.arange(8.0)
    assert difference_interval(scores[None], scores, draw_contents(CONTENT, 100)).p[0] == 1


def test_an_estimate_against_a_reference_is_the_difference_of_each_draw():
    estimate = Estimate(value=np.array([3.0, 1.0]), drawn=np.array([[4.0, 1.0], [2.0, 2.0]]))
    against = estimate.against(1)
    np.testing.assert_array_equal(against.value, [2.0, 0.0])
    np.testing.assert_array_equal(against.drawn, [[3.0, 0.0], [0.0, 0.0]])


def test_scores_of_other_sessions_than_the_draws_are_refused():
    with pytest.raises(ValueError, match="scores of 7 sessions and draws for 8"):
        mean_interval(np.zeros((1, 7)), draw_contents(CONTENT, 10))


def test_an_infinite_score_is_refused_by_row_and_session():
    scores = np.zeros((2, 8))
    scores[1, 4] = np.inf
    with pytest.raises(ValueError, match=r"^scores\[1, 4\] is inf"):
        mean_interval(scores, draw_contents(CONTENT, 10))
