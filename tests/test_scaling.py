"""Scaling of inputs and ratings to [0, 1], and the memory of a causal regressor."""

import numpy as np
import pytest

from qoe_core.inputs import FeatureConfig, features
from qoe_core.qos import MEMORY_S, LabelScale, Scaling, pooled, with_memory

RECENCY = FeatureConfig(qos=("recency",))


def column(*values):
    return np.array(values, dtype=float)[:, None]


def test_the_extremes_of_all_training_sessions_become_0_and_1():
    scaling = Scaling.fit([column(2, 4), column(6)])
    assert scaling(column(2, 3, 6)).ravel().tolist() == [0, 0.25, 1]


def test_each_feature_has_its_own_range():
    scaling = Scaling.fit([np.array([[0.0, 100.0], [1.0, 300.0]])])
    assert scaling(np.array([[0.5, 150.0]])).tolist() == [[0.5, 0.25]]


def test_a_feature_that_is_constant_in_training_becomes_0():
    assert Scaling.fit([column(5, 5)])(column(5, 7)).ravel().tolist() == [0, 0]


def test_what_is_not_known_yet_becomes_the_training_minimum():
    assert Scaling.fit([column(2, 4)])(column(np.nan, 4)).ravel().tolist() == [0, 1]


def test_what_is_not_known_yet_does_not_move_the_range():
    scaling = Scaling.fit([column(np.nan, 2), column(4)])
    assert (scaling.low.item(), scaling.high.item()) == (2, 4)


def test_a_feature_that_is_never_known_is_refused(refuses):
    with refuses("feature 1 is never known in the training sessions"):
        Scaling.fit([np.array([[1.0, np.nan]]), np.array([[2.0, np.nan]])])


def test_defect_4_recency_is_scaled_to_its_range_in_training(sessions):
    raw = [features(session, RECENCY) for session in sessions]
    scaled = np.concatenate([Scaling.fit(raw)(array) for array in raw])
    assert (scaled.min(), scaled.max()) == (0, 1)


def test_defect_6_a_test_session_outside_the_training_range_leaves_0_to_1(make_session):
    train = [features(make_session(0, 0, seconds=n), RECENCY) for n in (10, 12)]
    longer = features(make_session(1, 0, seconds=23), RECENCY)
    assert Scaling.fit(train)(longer).max() == 2  # recency 23 s, trained on 1 s to 12 s


def test_defect_6_a_rating_outside_the_training_range_leaves_0_to_1():
    scale = LabelScale.fit([np.array([20.0, 60.0]), np.array([40.0])])
    assert scale.scale(np.array([10.0, 40.0, 80.0])).tolist() == [-0.25, 0.5, 1.5]


def test_a_label_goes_back_to_its_rating():
    scale = LabelScale.fit([21.7, 58.3, 33.3])
    assert scale.unscale(scale.scale(47.1)) == pytest.approx(47.1, rel=1e-14)


def test_there_is_no_scale_without_labels():
    assert LabelScale.fit(None) is None


def test_labels_that_are_all_the_same_are_refused(refuses):
    with refuses(
        "all 3 training ratings are 50.0, expected a range; is the training part a single session?"
    ):
        LabelScale.fit([np.array([50.0, 50.0]), np.array([50.0])])


def test_memory_is_the_recurrence_of_each_time_constant():
    scaled = np.random.default_rng(0).uniform(size=(9, 3))
    expected = [scaled]
    for tau in MEMORY_S:
        kept = np.exp(-1 / tau)
        average = [scaled[0]]
        for now in scaled[1:]:
            average.append(kept * average[-1] + (1 - kept) * now)
        expected.append(np.array(average))
    np.testing.assert_allclose(
        with_memory(scaled), np.concatenate(expected, axis=1), rtol=0, atol=1e-12
    )


def test_memory_of_a_constant_is_the_constant():
    np.testing.assert_allclose(with_memory(column(*[0.3] * 20)), 0.3, rtol=0, atol=1e-12)


def test_memory_starts_with_one_second():
    assert with_memory(column(0.7)).ravel().tolist() == pytest.approx([0.7] * 5, abs=1e-15)


def test_a_session_is_pooled_to_mean_minimum_maximum_and_last():
    scaled = np.array([[0.0, 1.0], [1.0, 0.5], [0.5, 0.0]])
    assert pooled(scaled).tolist() == [0.5, 0.5, 0, 0, 1, 1, 0.5, 0]
