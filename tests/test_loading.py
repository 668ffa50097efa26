"""Which sessions make a step; examples come in the order asked for, whoever loads them."""

import os
from dataclasses import replace

import pytest
import torch

from qoe_core.batches import Example, collate
from qoe_core.loading import Loader, in_turn, of_similar_length, together


def same(first, second):
    """Whether two examples hold the same numbers."""
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    return all(a == b if isinstance(a, str) else torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("workers", [0, 2])
def test_examples_are_the_same_whatever_the_number_of_workers(examples, workers):
    parts = [examples[:6], examples[6:], []]
    loader = Loader(parts, workers)
    for steps in (
        [[[3, 1, 4], [0, 3], []], [[0], [], []], [[], [2, 1], []]],
        [[[5, 4], [3, 2], []]],
    ):
        loaded = list(loader.epoch(steps))
        assert [[len(group) for group in step] for step in loaded] == [
            [len(places) for places in step] for step in steps
        ]
        for step, found in zip(steps, loaded, strict=True):
            for part, places, group in zip(parts, step, found, strict=True):
                assert all(same(part[i], e) for i, e in zip(places, group, strict=True))


class Signed(list):
    """Examples whose overall score is the process that reads them."""

    def __getitem__(self, place):
        return replace(super().__getitem__(place), overall=torch.tensor(os.getpid()) + 0.0)


@pytest.fixture(scope="module", params=[0, 1])
def signed(request):
    """The number of background processes, and a loader of two signed examples that has them."""
    examples = [Example(torch.rand(4, 3), torch.rand(4), torch.rand(())) for _ in range(2)]
    return request.param, Loader([Signed(examples)], request.param)


def test_an_epoch_draws_nothing_from_the_global_generator(signed):
    before = torch.get_rng_state()
    list(signed[1].epoch([[[0, 1]], [[0]]]))
    assert torch.get_rng_state().equal(before)


def test_examples_are_read_by_other_processes_where_that_is_asked_for(signed):
    workers, loader = signed
    for _ in range(2):
        ((group,),) = loader.epoch([[[0, 1]]])
        here = [example.overall.item() == os.getpid() for example in group]
        assert here == [not workers] * 2


def test_lengths_are_seconds_of_each_example_of_each_part(examples):
    assert Loader([examples[:2], [], examples[7:]]).lengths == [[6, 7], [], [13, 14, 15]]


def test_no_steps_make_an_empty_epoch(examples):
    assert list(Loader([examples]).epoch([])) == []


def test_a_negative_number_of_workers_is_refused(examples, refuses):
    with refuses("workers is -1, expected 0 (none) or a number of processes"):
        Loader([examples], workers=-1)


def similar(lengths, size, seed=0):
    """Batches of similar length, drawn from a seed."""
    return of_similar_length(lengths, size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("n", "size"), [(1, 1), (1, 4), (7, 3), (8, 4), (40, 16), (3, 8)])
def test_an_epoch_of_similar_lengths_holds_every_session_once(n, size):
    batches = similar(torch.randint(5, 90, (n,)).tolist(), size)
    assert sorted(place for batch in batches for place in batch) == list(range(n))


@pytest.mark.parametrize(("n", "size"), [(7, 3), (8, 4), (40, 16), (3, 8)])
def test_all_batches_of_similar_lengths_but_one_are_full(n, size):
    sizes = sorted(map(len, similar(list(range(10, 10 + n)), size)))
    assert sizes == sorted([size] * (n // size) + [n % size] * (n % size > 0))


def padded_seconds(lengths, batches):
    return sum(max(lengths[i] for i in b) - lengths[j] for b in batches for j in b)


def test_sessions_of_two_lengths_need_no_padding():
    lengths = [10, 100] * 8
    assert padded_seconds(lengths, in_turn(range(16), 4)) == 8 * 90
    assert padded_seconds(lengths, similar(lengths, 4)) == 0


def test_similar_lengths_need_a_third_of_the_padding_of_random_ones_at_most():
    lengths = torch.randint(20, 80, (200,)).tolist()
    padded = padded_seconds(lengths, similar(lengths, 16))
    assert padded < padded_seconds(lengths, in_turn(torch.randperm(200).tolist(), 16)) / 3


def drawn(seed, n=40):
    return similar(list(range(20, 20 + n)), 4, seed)


def test_the_same_seed_draws_the_same_batches():
    assert drawn(1) == drawn(1)


def test_another_draw_puts_other_sessions_together():
    first, second = ({frozenset(batch) for batch in drawn(seed)} for seed in (1, 2))
    assert len(first & second) < 5  # of 10


def test_the_small_batch_is_now_of_short_sessions_now_of_long_ones():
    first = [min(min(drawn(seed, n=42), key=len)) for seed in range(20)]  # of places by length
    assert min(first) < 10
    assert max(first) > 30


def test_batches_of_similar_length_come_longest_first():
    shortest = [min(batch) for batch in drawn(1)]  # places are by length here
    longest = [max(batch) for batch in drawn(1)]
    # a session is moved by a tenth of its length, so by 6 places at most, past batches of 4
    assert all(before > after - 12 for before, after in zip(shortest, longest[1:], strict=False))
    assert longest[0] > 30
    assert shortest[-1] < 10


def test_drawing_batches_of_similar_length_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    drawn(1)
    assert torch.get_rng_state().equal(before)


def steps_of(*numbers, seed=0):
    """The steps of networks with so many batches; a batch is its rank, twice."""
    return together([[[rank, rank] for rank in range(n)] for n in numbers], seed)


def test_every_batch_of_every_network_comes_once():
    for network, n in enumerate((5, 2, 0, 7)):
        met = sorted(step[network][0] for step in steps_of(5, 2, 0, 7) if step[network])
        assert met == list(range(n))


def test_networks_meet_at_batches_of_one_rank():
    for step in steps_of(5, 2, 7):
        assert len({tuple(batch) for batch in step if batch}) == 1


def test_a_network_with_fewer_batches_sits_the_others_out():
    steps = steps_of(5, 2, 7)
    assert len(steps) == 7
    assert [sum(bool(step[network]) for step in steps) for network in range(3)] == [5, 2, 7]


@pytest.mark.parametrize("others", [(), (2,), (1, 9), (30,)])
def test_the_order_of_a_networks_batches_does_not_depend_on_the_others(others):
    def order(*numbers):
        return [step[0] for step in steps_of(*numbers, seed=4) if step[0]]

    assert order(8, *others) == order(8)


def test_the_steps_are_in_no_order_of_length():
    orders = [[step[0][0] for step in steps_of(10, seed=seed)] for seed in range(3)]
    assert len(set(map(tuple, orders))) == 3
    assert not any(order in (sorted(order), sorted(order)[::-1]) for order in orders)


@pytest.mark.parametrize("batches", [[], [[], []]])
def test_without_a_batch_there_is_no_step(batches):
    assert together(batches, 0) == []


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no GPU; runs on any machine with one"
)
def test_batches_for_a_gpu_come_from_pinned_memory(examples):
    batch = collate(examples[:2])
    assert batch.to(torch.device("cuda")).inputs.is_cuda
    assert batch.inputs.pin_memory().is_pinned()
