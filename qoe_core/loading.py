"""Batches of sessions in a given order, loaded in the background and pinned where there is a GPU.

Which examples make a batch is the caller's decision and nothing else is drawn here, so the batches
are the same whatever the number of background processes.
"""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import DataLoader

from qoe_core.batches import Batch, Example, collate


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
        self.n_examples = len(examples)
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
