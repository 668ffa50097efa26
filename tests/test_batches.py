"""Padded batches of one network and of several: what stands where nobody rated or nothing is."""

import math

import pytest
import torch

from qoe_core.batches import Example, collate, stack
from qoe_core.losses import LossConfig, means, sums


def of_length(*seconds, n_feat=2):
    return [Example(torch.rand(n, n_feat), torch.rand(n), torch.rand(())) for n in seconds]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_example_without_a_second_is_refused(refuses, place):
    examples = of_length(4, 3)
    examples.insert(place, of_length(0)[0])
    with refuses(
        f"example {place} of 3 has no second, expected at least one in each; is a session empty?"
    ):
        collate(examples)


def test_networks_come_one_after_another_padded_to_the_longest_of_all():
    first, second = of_length(2, 3), of_length(5, 1)
    batch = stack([first, second])
    assert batch.inputs.shape == (2, 2, 5, 2)
    for row, group in zip(range(2), (first, second), strict=True):
        for place, example in enumerate(group):
            n = len(example.rated)
            assert batch.inputs[row, place, :n].equal(example.inputs)
            assert batch.inputs[row, place, n:].count_nonzero() == 0
            assert batch.rated[row, place, :n].equal(example.rated)
            assert batch.rated[row, place, n:].isnan().all()
            assert batch.valid[row, place].tolist() == [True] * n + [False] * (5 - n)
            assert batch.overall[row, place] == example.overall


def test_a_smaller_batch_is_filled_up_with_seconds_that_nobody_rated():
    batch = stack([of_length(2, 3), of_length(4), []])
    assert batch.valid.sum(-1).tolist() == [[2, 3], [4, 1], [1, 1]]
    assert batch.overall.isnan().tolist() == [[False, False], [False, True], [True, True]]
    assert batch.rated[1, 1].isnan().all()
    assert batch.rated[2].isnan().all()
    assert batch.inputs[1, 1].count_nonzero() == 0


def test_what_fills_a_batch_up_adds_nothing_to_a_loss():
    group, config = of_length(4, 3), LossConfig()
    batch, alone = stack([of_length(6, 5, 2), group]), collate(group)
    predicted, overall = torch.rand(3, 6), torch.rand(3)
    found = sums(predicted, overall, batch.rated[1], batch.overall[1], config)
    expected = sums(predicted[:2, :4], overall[:2], alone.rated, alone.overall, config)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_a_network_that_sits_out_has_no_loss_and_no_gradient():
    batch = stack([of_length(6, 5), []])
    predicted, overall = torch.rand(2, 6, requires_grad=True), torch.rand(2, requires_grad=True)
    added = sums(predicted, overall, batch.rated[1], batch.overall[1], LossConfig())
    loss = means(added, LossConfig())["loss"]
    loss.backward()
    assert added.tolist() == [[0, 0]] * 4
    assert (loss.item(), predicted.grad.count_nonzero(), overall.grad.count_nonzero()) == (0, 0, 0)


def test_one_network_has_the_batch_that_it_has_alone():
    group = of_length(4, 3, 7)
    found, expected = stack([group]), collate(group)
    for name, tensor in vars(expected).items():
        assert vars(found)[name][0].nan_to_num(math.pi).equal(tensor.nan_to_num(math.pi))


@pytest.mark.parametrize("n", [1, 3])
def test_networks_without_any_example_are_refused(refuses, n):
    with refuses(f"{n} groups without an example, expected one; is the set empty?"):
        stack([[]] * n)


def test_an_example_without_a_second_is_refused_in_any_network(refuses):
    with refuses(
        "example 3 of 4 has no second, expected at least one in each; is a session empty?"
    ):
        stack([of_length(4, 2), of_length(3, 0)])
