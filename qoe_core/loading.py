"""Which sessions go together into a training step, for one network or many; read ahead if asked.

A step holds the places of its sessions for each network, none for one that sits it out. All is
decided before any example is read, so the steps are the same whatever the number of background
processes, and the same for a network whatever others are trained beside it.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import ConcatDataset, DataLoader

from qoe_core.batches import Example

JITTER = 0.1  # of a length, up and down: how far sessions that share a batch may differ

Step = Sequence[Sequence[int]]  # for each network the places of its sessions


class Loader:
    """The examples of several networks, which may be read from disk when they are asked for.

    Background processes are started at the first epoch and kept for the next ones; each takes what
    it needs to read examples with it, so the examples must be picklable.

    Raises:
        ValueError: a negative number of processes.
    """

    def __init__(self, parts: Sequence[Sequence[Example]], workers: int = 0):
        """`parts` has the examples of each network; `workers` processes load ahead, if any."""
        if workers < 0:
            raise ValueError(f"workers is {workers}, expected 0 (none) or a number of processes")
        self.parts = parts
        self._steps: list[list[int]] = []  # of the epoch; the sampler below is this list
        self._ahead = None
        if workers:
            self._ahead = DataLoader(
                ConcatDataset(parts),
                batch_sampler=self._steps,
                num_workers=workers,
                collate_fn=list,
                persistent_workers=True,
                multiprocessing_context="spawn",
                generator=torch.Generator(),  # the loader draws a seed per epoch; not from ours
            )

    @cached_property
    def _facts(self) -> list[list[tuple[int, str]]]:
        return [[(len(example.rated), example.content) for example in part] for part in self.parts]

    @property
    def lengths(self) -> list[list[int]]:
        """Seconds of each example of each network; asking for it reads every example, but once."""
        return [[length for length, _ in facts] for facts in self._facts]

    @property
    def contents(self) -> list[list[str]]:
        """Content of each example of each network; read as `lengths` are."""
        return [[content for _, content in facts] for facts in self._facts]

    def epoch(self, steps: Sequence[Step]) -> Iterator[list[list[Example]]]:
        """The examples of each network, step by step."""
        if self._ahead is None:
            for step in steps:
                yield [
                    [part[place] for place in places]
                    for part, places in zip(self.parts, step, strict=True)
                ]
            return
        starts = np.cumsum([0, *map(len, self.parts)])[:-1].tolist()
        self._steps[:] = [
            [start + place for start, places in zip(starts, step, strict=True) for place in places]
            for step in steps
        ]
        for step, examples in zip(steps, self._ahead, strict=True):
            left = iter(examples)
            yield [[next(left) for _ in places] for places in step]


def in_turn(order: Sequence[int], size: int) -> list[Sequence[int]]:
    """`order` cut into batches of `size`; the last may be smaller.

    >>> in_turn([4, 2, 0, 1, 3], 2)
    [[4, 2], [0, 1], [3]]
    """
    return [order[start : start + size] for start in range(0, len(order), size)]


def of_similar_length(
    lengths: Sequence[int], size: int, generator: torch.Generator
) -> list[Sequence[int]]:
    """Places of all `lengths` in batches of `size` that need little padding, longest first.

    Each length is moved by up to JITTER, so that every draw puts other sessions together; what the
    size does not divide makes one smaller batch anywhere.
    """
    moved = torch.rand(len(lengths), generator=generator)
    moved = torch.tensor(lengths) * (1 + JITTER * (2 * moved - 1))
    order = moved.argsort(descending=True).tolist()
    n_full, rest = divmod(len(order), size)
    start = size * int(torch.randint(n_full + 1, (), generator=generator))
    parts = order[:start], order[start : start + rest], order[start + rest :]
    return [batch for part in parts for batch in in_turn(part, size)]


def of_one_content(
    lengths: Sequence[int], contents: Sequence[str], size: int, generator: torch.Generator
) -> list[Sequence[int]]:
    """Places of all `contents` in batches of `size` that hold one content each, longest first.

    Which sessions of a content share a batch is drawn; what the size does not divide makes a
    smaller batch of that content.
    """
    batches = []
    for content in sorted(set(contents)):
        places = [place for place, other in enumerate(contents) if other == content]
        order = torch.randperm(len(places), generator=generator).tolist()
        batches += in_turn([places[i] for i in order], size)
    return sorted(batches, key=lambda batch: -max(lengths[place] for place in batch))


def together(batches: Sequence[Sequence[Sequence[int]]], seed: int) -> list[Step]:
    """The steps of an epoch, from the batches of each network in order of length.

    Networks meet at batches of the same rank, whose lengths are similar, in an order that is drawn
    from `seed`; one with fewer batches sits the rest out, wherever they come.
    """
    most = max(map(len, batches), default=0)
    # the first draws are the same whatever their number
    order = np.random.default_rng(seed).random(most).argsort()
    return [[of_one[rank] if rank < len(of_one) else [] for of_one in batches] for rank in order]
