"""Loss terms against numpy and scipy, and what must not have a gradient."""

import numpy as np
import pytest
import torch
from scipy import stats

from qoe_core.losses import LossConfig, masked_mse, plcc_distance, total

LENGTHS = (12, 7, 9)
NAN = torch.nan


@pytest.fixture
def padded():
    """Three sessions in double precision: predictions, and labels that are NaN where padded."""
    predicted, rated = torch.rand(2, 3, 12, dtype=torch.double)
    for row, length in zip(rated, LENGTHS, strict=True):
        row[length:] = NAN
    return predicted.requires_grad_(), rated


def distances(predicted, rated):
    pairs = zip(predicted.detach().numpy(), rated.numpy(), LENGTHS, strict=True)
    return [1 - stats.pearsonr(p[:length], r[:length]).statistic for p, r, length in pairs]


def test_mse_is_the_mean_over_the_labels_that_exist(padded):
    predicted, rated = padded
    error = predicted.detach().numpy() - rated.numpy()
    assert masked_mse(predicted, rated).item() == pytest.approx(np.nanmean(error**2), rel=1e-12)


def test_mse_of_no_label_is_0():
    assert masked_mse(torch.rand(2, 3), torch.full((2, 3), NAN)) == 0


def test_plcc_distance_is_the_mean_over_sessions(padded):
    # 1e-6: the floor of 1e-8 under a variance of about 0.08
    assert plcc_distance(*padded).item() == pytest.approx(np.mean(distances(*padded)), rel=1e-6)


def test_a_session_with_constant_labels_is_left_out_of_the_mean(padded):
    predicted, rated = padded
    expected = np.mean(np.delete(distances(predicted, rated), 1))
    rated[1, : LENGTHS[1]] = 0.5
    assert plcc_distance(predicted, rated).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("labels", [[0.5, 0.5, 0.5], [0.5, NAN, NAN], [NAN, NAN, NAN]])
def test_labels_without_variance_have_plcc_distance_0(labels):
    assert plcc_distance(torch.rand(1, 3), torch.tensor([labels])) == 0


@pytest.mark.parametrize("labels", [[0.5, 0.5, 0.5], [0.5, NAN, NAN], [NAN, NAN, NAN]])
def test_labels_without_variance_have_no_gradient(labels):
    predicted = torch.rand(1, 3, requires_grad=True)
    plcc_distance(predicted, torch.tensor([labels])).backward()
    assert predicted.grad.abs().max() == 0


def test_a_constant_prediction_has_plcc_distance_1():
    rated = torch.tensor([[0.1, 0.5, 0.3]])
    assert plcc_distance(torch.full((1, 3), 0.4), rated).item() == pytest.approx(1, abs=1e-6)


def test_a_constant_prediction_has_a_finite_gradient_towards_the_labels():
    predicted = torch.full((1, 3), 0.4, requires_grad=True)
    plcc_distance(predicted, torch.tensor([[0.1, 0.5, 0.3]])).backward()
    assert predicted.grad.isfinite().all()
    assert predicted.grad[0].argmin() == 1  # raising the second that was rated best lowers the loss


@pytest.mark.parametrize("term", [masked_mse, plcc_distance])
def test_padding_has_no_gradient(padded, term):
    predicted, rated = padded
    term(predicted, rated).backward()
    assert predicted.grad[rated.isnan()].abs().max() == 0


@pytest.mark.parametrize("term", [masked_mse, plcc_distance])
def test_every_rated_second_has_a_gradient(padded, term):
    predicted, rated = padded
    term(predicted, rated).backward()
    assert predicted.grad[~rated.isnan()].abs().min() > 0


@pytest.mark.parametrize("term", [masked_mse, plcc_distance])
def test_gradient_is_the_finite_difference(padded, term):
    predicted, rated = padded
    assert torch.autograd.gradcheck(lambda values: term(values, rated), predicted)


def test_loss_is_the_weighted_sum_of_its_terms(padded):
    overall, rated_overall = torch.rand(2, 3, dtype=torch.double)
    config = LossConfig(mse=2.0, plcc=0.5, overall=3.0)
    terms = total(padded[0], overall, padded[1], rated_overall, config)
    expected = 2 * terms["mse"] + 0.5 * terms["plcc"] + 3 * terms["overall"]
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_overall_term_is_the_mse_over_the_sessions_that_have_a_score(padded):
    rated_overall = torch.tensor([0.5, NAN, 0.25], dtype=torch.double)
    overall = torch.tensor([0.0, 9.0, 0.25], dtype=torch.double)
    terms = total(padded[0], overall, padded[1], rated_overall, LossConfig())
    assert terms["overall"].item() == 0.125


@pytest.mark.parametrize(
    "weights", [{"mse": -1.0}, {"plcc": -0.1}, {"overall": -1.0}, {"mse": 0.0, "overall": 0.0}]
)
def test_weights_that_train_nothing_or_the_wrong_way_are_refused(refuses, weights):
    shown = {"mse": 1.0, "plcc": 0.1, "overall": 1.0} | weights
    written = ", ".join(f"{name}={value}" for name, value in shown.items())
    with refuses(f"LossConfig({written}): expected weights of at least 0, mse or overall above it"):
        LossConfig(**weights)
