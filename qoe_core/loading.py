"""Batches of sessions: which go together, loaded in the background, pinned where there is a GPU.

Which examples make a batch is decided before any is loaded, so the batches are the same whatever
the number of background processes.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch.utils.data import DataLoader

from qoe_core.batches import Batch, Example, collate

JITTER = 0.1  # of a length, up and down: how far sessions that share a batch may differ


class Loader:
    """Padded batches of `examples`, which may be read from disk when they are asked for.

    Background processes are started at the first epoch and kept for the next ones; each takes what
    it needs to read examples with it, so `examples` must be picklable.

    Raises:
        ValueError: a negative number of processes.
    """

    def __init__(self, examples: Sequence[Example], device: torch.device, workers: int = 0):
        """`workers` processes load ahead; with 0 the caller loads."""
        if workers < 0:
            raise ValueError(f"workers is {workers}, expected 0 (none) or a number of processes")
        self.device = device
        self.examples = examples
        self._batches: list[Sequence[int]] = []  # of the epoch; the sampler below is this list
        self._loader = DataLoader(
            examples,
            batch_sampler=self._batches,
            num_workers=workers,
            collate_fn=collate,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
            multiprocessing_context="spawn" if workers else None,
            generator=torch.Generator(),  # the loader draws a seed per epoch; not from ours
        )

    @cached_property
    def lengths(self) -> list[int]:
        """Seconds of each example; asking for it reads every example once."""
        return [len(example.rated) for example in self.examples]

    def epoch(self, batches: Sequence[Sequence[int]]) -> Iterator[Batch]:
        """The examples at the given places, batch by batch, on the device."""
        self._batches[:] = batches
        for batch in self._loader:
            yield batch.to(self.device)


def in_turn(order: Sequence[int], size: int) -> list[Sequence[int]]:
    """`order` cut into batches of `size`; the last may be smaller.

    >>> in_turn([4, 2, 0, 1, 3], 2)
    [[4, 2], [0, 1], [3]]
    """
    return [order[start : start + size] for start in range(0, len(order), size)]


def of_similar_length(lengths: Sequence[int], size: int) -> list[Sequence[int]]:
    """Places of all `lengths` in shuffled batches of `size` that need little padding.

    Each length is moved by up to JITTER, so that every draw puts other sessions together; what the
    size does not divide makes one smaller batch anywhere. Draws from torch's global generator.
    """
    moved = torch.tensor(lengths) * (1 + JITTER * (2 * torch.rand(len(lengths)) - 1))
    order = moved.argsort().tolist()
    n_full, rest = divmod(len(order), size)
    start = size * int(torch.randint(n_full + 1, ()))
    parts = order[:start], order[start : start + rest], order[start + rest :]
    batches = [batch for part in parts for batch in in_turn(part, size)]
    return [batches[place] for place in torch.randperm(len(batches))]
