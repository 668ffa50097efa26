"""Batches come in the order asked for, whoever loads them."""

import pytest
import torch
from torch import Tensor

from qoe_core.batches import collate
from qoe_core.loading import Loader, in_turn

CPU = torch.device("cpu")


def same(first, second):
    def tensors(batch):
        return [value for value in vars(batch).values() if isinstance(value, Tensor)]

    pairs = zip(tensors(first), tensors(second), strict=True)
    return all(torch.equal(a.nan_to_num(-1), b.nan_to_num(-1)) for a, b in pairs)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_the_same_whatever_the_number_of_workers(examples, workers):
    loader = Loader(examples, CPU, workers)
    for order in ([3, 1, 4, 0, 9, 2], [9, 8, 7]):
        expected = [collate([examples[i] for i in batch]) for batch in in_turn(order, 4)]
        loaded = list(loader.epoch(in_turn(order, 4)))
        assert len(loaded) == len(expected)
        assert all(map(same, loaded, expected))


def test_an_epoch_draws_nothing_from_the_global_generator(examples):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    list(Loader(examples, CPU).epoch([[0, 1], [2]]))
    assert torch.equal(torch.rand(1), expected)


def test_no_batches_make_an_empty_epoch(examples):
    assert list(Loader(examples, CPU).epoch([])) == []


def test_a_negative_number_of_workers_is_refused(examples, refuses):
    with refuses("workers is -1, expected 0 (none) or a number of processes"):
        Loader(examples, CPU, workers=-1)


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no GPU; runs on any machine with one"
)
def test_batches_for_a_gpu_come_from_pinned_memory(examples):
    batch = collate(examples[:2]).pin_memory()
    assert batch.inputs.is_pinned()
    assert next(iter(Loader(examples, torch.device("cuda")).epoch([[0]]))).inputs.is_cuda
