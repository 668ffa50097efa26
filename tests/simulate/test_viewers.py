import dataclasses

import numpy as np
import pytest
from scipy import stats

from qoe_core.simulate.viewers import (
    ViewerModel,
    annoyance,
    draw_panel,
    mean_and_ci,
    on_scale,
)

# one deterministic person: no noise, plain use of the scale, reacts after exactly one second
PLAIN = ViewerModel(
    delay_s=(1.0, 1.0),
    stall_depth=(0.8, 0.8),
    gain=(1.0, 0.0),
    offset=0.0,
    noise=0.0,
    overall_noise=0.0,
)


def rate(quality, stalled=None, model=PLAIN, n_viewers=1, seed=0):
    quality = np.asarray(quality, dtype=float)
    stalled = np.zeros(len(quality)) if stalled is None else np.asarray(stalled, dtype=float)
    panel = draw_panel(model, n_viewers, seed)
    return panel.rate(quality, stalled, np.random.default_rng(seed))


def test_annoyance_grows_during_a_stall_and_is_forgotten_after_it():
    course = annoyance(np.array([1.0, 1.0, 0.0, 0.0]), PLAIN)
    peak = 1 - np.exp(-2 / PLAIN.stall_grow_s)
    expected = [1 - np.exp(-1 / PLAIN.stall_grow_s), peak]
    expected += [peak * np.exp(-wait / PLAIN.stall_forget_s) for wait in (1, 2)]
    np.testing.assert_allclose(course, expected)


def test_a_second_stall_hurts_more_while_the_first_is_unforgotten():
    course = annoyance(np.array([1.0, 0.0, 1.0]), PLAIN)
    assert course[2] > course[0]


def test_constant_quality_is_rated_as_its_place_on_the_scale_in_the_end():
    ratings, _ = rate(np.full(120, 80.0))
    assert ratings[0, -1] == pytest.approx(50 + 50 * np.tanh(0.6))


def test_a_drop_is_felt_after_the_delay_and_with_the_time_constant_of_falling():
    quality = np.r_[np.full(60, 50.0), np.full(10, 20.0)]
    ratings, _ = rate(quality)
    np.testing.assert_allclose(ratings[0, :61], 50.0)
    opinion = 20 + 30 * np.exp(-np.arange(1, 10) / PLAIN.fall_s)
    np.testing.assert_allclose(ratings[0, 61:], on_scale(opinion))


def test_a_loss_is_felt_sooner_than_a_gain():
    steady = np.full(60, 50.0)
    fallen = rate(np.r_[steady, np.full(5, 20.0)])[0][0, -1]
    risen = rate(np.r_[steady, np.full(5, 80.0)])[0][0, -1]
    assert 50 - fallen > risen - 50


def test_a_stall_lowers_ratings_although_the_held_quality_stays():
    quality = np.full(40, 80.0)
    stalled = np.zeros(40)
    stalled[20:25] = 1
    with_stall, without = rate(quality, stalled)[0][0], rate(quality)[0][0]
    np.testing.assert_array_equal(with_stall[:21], without[:21])
    assert (with_stall[21:] < without[21:]).all()
    assert without[26] - with_stall[26] > without[39] - with_stall[39] > 0


def test_ratings_do_not_see_the_future():
    rng = np.random.default_rng(1)
    quality, stalled = rng.uniform(0, 100, 40), rng.uniform(0, 1, 40)
    edited, more_stalled = quality.copy(), stalled.copy()
    edited[25:], more_stalled[25:] = 0.0, 1.0
    model = ViewerModel()
    before = rate(quality, stalled, model, 8)[0]
    after = rate(edited, more_stalled, model, 8)[0]
    np.testing.assert_array_equal(before[:, :25], after[:, :25])
    assert (before[:, 30:] != after[:, 30:]).all()


def test_a_longer_session_begins_like_a_shorter_one():
    quality = np.linspace(20, 90, 40)
    short = rate(quality[:30], model=ViewerModel(), n_viewers=5)[0]
    np.testing.assert_array_equal(rate(quality, model=ViewerModel(), n_viewers=5)[0][:, :30], short)


def test_unshown_seconds_are_rated_from_the_middle_of_the_scale():
    ratings, _ = rate(np.r_[np.nan, np.nan, np.full(5, 80.0)], [1, 1, 0, 0, 0, 0, 0])
    assert np.isfinite(ratings).all()
    assert ratings[0, 0] == 50


def test_overall_combines_mean_worst_and_end():
    quality = np.r_[np.full(30, 80.0), np.full(10, 20.0), np.full(20, 60.0)]
    ratings, overall = rate(quality)
    opinion = 50 + 50 * np.arctanh((ratings[0] - 50) / 50)
    expected = 0.5 * opinion.mean() + 0.25 * opinion.min() + 0.25 * opinion[-5:].mean()
    assert overall[0] == pytest.approx(50 + 50 * np.tanh((expected - 50) / 50))


@pytest.mark.parametrize("quality", [0.0, 100.0])
def test_even_wild_viewers_stay_on_the_scale(quality):
    wild = dataclasses.replace(ViewerModel(), gain=(3.0, 1.0), offset=80.0, noise=80.0)
    ratings, overall = rate(np.full(60, quality), model=wild, n_viewers=200)
    for scores in (ratings, overall):
        assert scores.min() >= 0
        assert scores.max() <= 100


def test_scores_are_saturated_smoothly_and_in_order():
    scores = on_scale(np.linspace(-150, 250, 400))
    assert (np.diff(scores) > 0).all()
    assert on_scale(np.array([50.0])) == 50


def test_noise_has_the_standard_deviation_and_memory_of_the_model():
    model = dataclasses.replace(PLAIN, noise=5.0)
    ratings, _ = rate(np.full(400, 50.0), model=model, n_viewers=300)
    noise = 50 * np.arctanh((ratings - 50) / 50)
    assert noise.std() == pytest.approx(5.0, rel=0.05)
    lag_1 = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
    assert lag_1 == pytest.approx(np.exp(-1 / model.noise_s), abs=0.02)


def test_the_panel_is_the_same_people_for_the_same_seed():
    first, again, other = (draw_panel(ViewerModel(), 6, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.gain, again.gain)
    assert (first.gain != other.gain).all()


def test_reaction_delays_lie_within_the_model():
    delays = draw_panel(ViewerModel(), 500, 0).delay_s
    assert 1 <= delays.min() < 1.1
    assert 1.9 < delays.max() <= 2


def test_confidence_bounds_are_those_of_students_t():
    scores = np.random.default_rng(0).normal(60, 10, (12, 4))
    mean, ci = mean_and_ci(scores)
    low, high = stats.t.interval(0.95, 11, scores.mean(0), stats.sem(scores))
    np.testing.assert_allclose(mean, scores.mean(0))
    np.testing.assert_allclose(ci, np.stack([low, high], axis=1))


def test_one_viewer_has_no_confidence_interval():
    with pytest.raises(ValueError, match="1 viewers, expected at least 2"):
        mean_and_ci(np.zeros((1, 3)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"fall_s": 0.0},
        {"noise": -1.0},
        {"end_s": 0},
        {"delay_s": (2.0, 1.0)},
        {"delay_s": (-1.0, 1.0)},
        {"stall_depth": (0.5, 1.5)},
        {"worst_weight": 0.9},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_parameters_without_a_meaning_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        dataclasses.replace(ViewerModel(), **wrong)
