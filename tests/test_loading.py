"""Which sessions make a batch; batches come in the order asked for, whoever loads them."""

import pytest
import torch
from torch import Tensor

from qoe_core.batches import collate
from qoe_core.loading import Loader, in_turn, of_similar_length

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


@pytest.mark.parametrize(("n", "size"), [(1, 1), (1, 4), (7, 3), (8, 4), (40, 16), (3, 8)])
def test_an_epoch_of_similar_lengths_holds_every_session_once(n, size):
    batches = of_similar_length(torch.randint(5, 90, (n,)).tolist(), size)
    assert sorted(place for batch in batches for place in batch) == list(range(n))


@pytest.mark.parametrize(("n", "size"), [(7, 3), (8, 4), (40, 16), (3, 8)])
def test_all_batches_of_similar_lengths_but_one_are_full(n, size):
    sizes = sorted(map(len, of_similar_length(list(range(10, 10 + n)), size)))
    assert sizes == sorted([size] * (n // size) + [n % size] * (n % size > 0))


def padded_seconds(lengths, batches):
    return sum(max(lengths[i] for i in b) - lengths[j] for b in batches for j in b)


def test_sessions_of_two_lengths_need_no_padding():
    lengths = [10, 100] * 8
    assert padded_seconds(lengths, in_turn(range(16), 4)) == 8 * 90
    assert padded_seconds(lengths, of_similar_length(lengths, 4)) == 0


def test_similar_lengths_need_a_third_of_the_padding_of_random_ones_at_most():
    lengths = torch.randint(20, 80, (200,)).tolist()
    similar = padded_seconds(lengths, of_similar_length(lengths, 16))
    assert similar < padded_seconds(lengths, in_turn(torch.randperm(200).tolist(), 16)) / 3


def drawn(seed, n=40):
    torch.manual_seed(seed)
    return of_similar_length(list(range(20, 20 + n)), 4)


def test_the_same_seed_draws_the_same_batches():
    assert drawn(1) == drawn(1)


def test_another_draw_puts_other_sessions_together():
    first, second = ({frozenset(batch) for batch in drawn(seed)} for seed in (1, 2))
    assert len(first & second) < 5  # of 10


def test_the_small_batch_is_now_of_short_sessions_now_of_long_ones():
    first = [min(min(drawn(seed, n=42), key=len)) for seed in range(20)]  # of places by length
    assert min(first) < 10
    assert max(first) > 30


def test_batches_of_similar_length_are_in_no_order_of_length():
    firsts = [batch[0] for batch in drawn(1)]
    assert firsts not in (sorted(firsts), sorted(firsts, reverse=True))


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no GPU; runs on any machine with one"
)
def test_batches_for_a_gpu_come_from_pinned_memory(examples):
    batch = collate(examples[:2]).pin_memory()
    assert batch.inputs.is_pinned()
    assert next(iter(Loader(examples, torch.device("cuda")).epoch([[0]]))).inputs.is_cuda
