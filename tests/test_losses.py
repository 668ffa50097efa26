"""Loss terms against numpy and scipy, and what must not have a gradient."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from qoe_core.losses import TERMS, LossConfig, means, plcc_distance, squared_error, sums, total

LENGTHS = (12, 7, 9)
NAN = torch.nan


@pytest.fixture
def padded():
    """Three sessions in double precision: predictions, and labels that are NaN where padded."""
    predicted, rated = torch.rand(2, 3, 12, dtype=torch.double)
    for row, length in zip(rated, LENGTHS, strict=True):
        row[length:] = NAN
    return predicted.requires_grad_(), rated


def change(predicted, rated):
    """Sum and count of the term, out of those of a whole batch."""
    unrated = torch.full((len(rated),), NAN)
    added = sums(predicted, torch.zeros(len(rated)), rated, unrated, LossConfig())
    return added[TERMS.index("change")]


def distances(predicted, rated):
    pairs = zip(predicted.detach().numpy(), rated.numpy(), LENGTHS, strict=True)
    return [1 - stats.pearsonr(p[:length], r[:length]).statistic for p, r, length in pairs]


def test_squared_errors_are_added_over_the_labels_that_exist(padded):
    predicted, rated = padded
    error = predicted.detach().numpy() - rated.numpy()
    expected = [np.nansum(error**2), sum(LENGTHS)]
    assert squared_error(predicted, rated).tolist() == pytest.approx(expected, rel=1e-12)


def test_no_label_adds_nothing():
    assert squared_error(torch.rand(2, 3), torch.full((2, 3), NAN)).tolist() == [0, 0]


def test_huber_is_scipys():
    predicted, rated = torch.rand(2, 20, dtype=torch.double)
    expected = special.huber(0.25, (predicted - rated).numpy()).sum()
    added = squared_error(predicted, rated, huber=0.25)
    assert added.tolist() == pytest.approx([expected, 20], rel=1e-12)


def test_plcc_distances_are_added_over_sessions(padded):
    # 1e-6: the floor of 1e-8 under a variance of about 0.08
    expected = [sum(distances(*padded)), 3]
    assert plcc_distance(*padded).tolist() == pytest.approx(expected, rel=1e-6)


def test_a_session_with_constant_labels_is_left_out(padded):
    predicted, rated = padded
    expected = [np.delete(distances(predicted, rated), 1).sum(), 2]
    rated[1, : LENGTHS[1]] = 0.5
    assert plcc_distance(predicted, rated).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("labels", [[0.5, 0.5, 0.5], [0.5, NAN, NAN], [NAN, NAN, NAN]])
def test_labels_without_variance_have_no_plcc_distance(labels):
    assert plcc_distance(torch.rand(1, 3), torch.tensor([labels])).tolist() == [0, 0]


@pytest.mark.parametrize("labels", [[0.5, 0.5, 0.5], [0.5, NAN, NAN], [NAN, NAN, NAN]])
def test_labels_without_variance_have_no_gradient(labels):
    predicted = torch.rand(1, 3, requires_grad=True)
    plcc_distance(predicted, torch.tensor([labels]))[0].backward()
    assert predicted.grad.abs().max() == 0


def test_a_constant_prediction_has_plcc_distance_1():
    rated = torch.tensor([[0.1, 0.5, 0.3]])
    assert plcc_distance(torch.full((1, 3), 0.4), rated)[0].item() == pytest.approx(1, abs=1e-6)


def test_a_constant_prediction_has_a_finite_gradient_towards_the_labels():
    predicted = torch.full((1, 3), 0.4, requires_grad=True)
    plcc_distance(predicted, torch.tensor([[0.1, 0.5, 0.3]]))[0].backward()
    assert predicted.grad.isfinite().all()
    assert predicted.grad[0].argmin() == 1  # raising the second that was rated best lowers the loss


def test_errors_of_the_change_are_added_over_pairs_of_rated_seconds():
    predicted = torch.tensor([[0.0, 0.5, 0.25, 9.0], [0.25, 0.5, 0.5, 1.0]])
    rated = torch.tensor([[0.25, 0.5, 1.0, NAN], [0.5, 0.0, 0.0, 0.25]])
    # changes 0.5 and -0.25 against 0.25 and 0.5; 0.25, 0 and 0.5 against -0.5, 0 and 0.25
    by_hand = 0.25**2 + 0.75**2 + 0.75**2 + 0 + 0.25**2
    assert change(predicted, rated).tolist() == [by_hand, 5]


def test_a_second_that_nobody_rated_takes_both_its_changes_along():
    predicted = torch.tensor([[0.0, 0.5, 1.0, 0.5]])
    assert change(predicted, torch.tensor([[0.0, NAN, 0.5, 0.25]])).tolist() == [0.25**2, 1]


@pytest.mark.parametrize("labels", [[0.5], [NAN, NAN, NAN], [NAN, 0.5, NAN]])
def test_without_two_rated_seconds_in_a_row_there_is_no_change(labels):
    assert change(torch.rand(1, len(labels)), torch.tensor([labels])).tolist() == [0, 0]


def test_the_term_of_the_change_is_the_mean_over_pairs_of_all_sessions():
    predicted = torch.tensor([[0.0, 0.5, 0.5], [0.5, 0.5, 0.5], [0.0, 1.0, 0.0]])
    rated = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.25, NAN], [NAN, NAN, NAN]])
    terms = total(predicted, torch.zeros(3), rated, torch.zeros(3), LossConfig())
    assert terms["change"].item() == pytest.approx((0.5**2 + 0 + 0.25**2) / 3, rel=1e-6)


def test_a_level_that_is_wrong_throughout_is_no_error_of_the_change(padded):
    predicted, rated = padded
    assert change(rated + 0.25, rated)[0].item() == pytest.approx(0, abs=1e-24)
    expected = change(predicted, rated).tolist()
    assert change(predicted + 0.25, rated).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("term", [squared_error, plcc_distance, change])
def test_padding_has_no_gradient(padded, term):
    predicted, rated = padded
    term(predicted, rated)[0].backward()
    assert predicted.grad[rated.isnan()].abs().max() == 0


@pytest.mark.parametrize("term", [squared_error, plcc_distance, change])
def test_every_rated_second_has_a_gradient(padded, term):
    predicted, rated = padded
    term(predicted, rated)[0].backward()
    assert predicted.grad[~rated.isnan()].abs().min() > 0


@pytest.mark.parametrize("term", [squared_error, plcc_distance, change])
def test_gradient_is_the_finite_difference(padded, term):
    predicted, rated = padded
    assert torch.autograd.gradcheck(lambda values: term(values, rated)[0], predicted)


def test_loss_is_the_weighted_sum_of_its_terms(padded):
    overall, rated_overall = torch.rand(2, 3, dtype=torch.double)
    config = LossConfig(mse=2.0, plcc=0.5, change=4.0, overall=3.0)
    terms = total(padded[0], overall, padded[1], rated_overall, config)
    weights = {"mse": 2.0, "plcc": 0.5, "change": 4.0, "overall": 3.0}
    expected = sum(weight * terms[name].item() for name, weight in weights.items())
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-12)


def test_the_overall_term_is_the_mse_over_the_sessions_that_have_a_score(padded):
    rated_overall = torch.tensor([0.5, NAN, 0.25], dtype=torch.double)
    overall = torch.tensor([0.0, 9.0, 0.25], dtype=torch.double)
    terms = total(padded[0], overall, padded[1], rated_overall, LossConfig())
    assert terms["overall"].item() == 0.125


def test_terms_of_batches_add_up_to_those_of_all_their_sessions(padded):
    predicted, rated = padded
    overall, rated_overall = torch.rand(2, 3, dtype=torch.double)
    rated_overall[0] = NAN
    labels = (predicted, overall, rated, rated_overall)
    added = sum(sums(*(label[part] for label in labels), LossConfig()) for part in ([0], [1, 2]))
    apart, together = means(added, LossConfig()), total(*labels, LossConfig())
    assert {name: value.item() for name, value in apart.items()} == pytest.approx(
        {name: value.item() for name, value in together.items()}, rel=1e-12
    )


def test_the_overall_term_is_a_huber_loss_where_that_is_asked_for(padded):
    overall, rated_overall = torch.tensor([[0.0, 0.1, 0.5], [0.5, 0.2, 0.5]], dtype=torch.double)
    terms = total(padded[0], overall, padded[1], rated_overall, LossConfig(huber=0.25))
    by_hand = (0.25 * (0.5 - 0.125) + 0.1**2 / 2 + 0) / 3
    assert terms["overall"].item() == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("delta", [0.0, -1.0, NAN])
def test_a_huber_loss_that_is_nothing_is_refused(refuses, delta):
    with refuses(
        f"LossConfig(mse=1.0, plcc=0.1, change=3.0, overall=1.0, huber={delta}, forgiven=0.0): "
        "expected huber above 0, or None for the squared error"
    ):
        LossConfig(huber=delta)


@pytest.mark.parametrize(
    "weights",
    [
        *({"mse": -1.0}, {"plcc": -0.1}, {"change": -3.0}, {"overall": -1.0}),
        {"mse": 0.0, "overall": 0.0},
    ],
)
def test_weights_that_train_nothing_or_the_wrong_way_are_refused(refuses, weights):
    shown = {"mse": 1.0, "plcc": 0.1, "change": 3.0, "overall": 1.0, "huber": None}
    shown |= {"forgiven": 0.0} | weights
    written = ", ".join(f"{name}={value}" for name, value in shown.items())
    with refuses(f"LossConfig({written}): expected weights of at least 0, mse or overall above it"):
        LossConfig(**weights)
