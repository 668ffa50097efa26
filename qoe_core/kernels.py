"""What the compiled loops on a CPU are made of; those of networks in single precision.

A loop of a network goes through one session of it at a time, whose numbers stay in the cache, where
torch goes through all of them with every operation. It fills arrays that it is given, all
contiguous. Whoever calls one has the same formulas for other devices; tests compare the two.
"""

import hashlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import numba
import numpy as np
import torch
from torch import Tensor

HERE = Path(__file__)
# compiled code on disk knows the file it is from, not this one, of which parts are in it too
VERSION = hashlib.sha256(HERE.read_bytes()).hexdigest()[:16]
numba.config.CACHE_DIR = str(HERE.parent / "__pycache__" / f"compiled-{VERSION}")
FAST = {"contract", "reassoc", "nsz", "arcp"}  # what is not finite stays so
F = np.float32
ONE, TWO, HALF = F(1), F(2), F(0.5)
LOG2_E = F(1.4426950408889634)
LN_2 = F(0.693359375), F(-2.12194440e-4)  # in two parts: the first times an exponent is exact
LOWEST, HIGHEST = F(-87.0), F(88.0)  # of a normal result
LEAST = F(-np.finfo(np.float32).max)


def compiled(function: Callable, **options: object) -> Callable:
    """Compile at the first call, without what checks shapes in tests; keep the code on disk."""
    options = {"cache": True} | options
    return numba.njit(fastmath=FAST, error_model="numpy", **options)(inspect.unwrap(function))


def inlined(function: Callable) -> Callable:
    """Compile into what calls it."""
    return compiled(function, cache=False, inline="always")


def suit(*tensors: Tensor) -> bool:
    """Whether the functions below are for tensors of this kind."""
    return all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)


def arrays(*tensors: Tensor) -> list[np.ndarray]:
    """What the functions below take; the same memory where a tensor is contiguous."""
    return [tensor.detach().contiguous().numpy() for tensor in tensors]


def side_by_side(
    function: Callable, n: int, places: Sequence[int | None], tensors: Sequence[Tensor]
) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    """What a rule for torch.vmap returns, if the first axis may hold those of `n` networks as well.

    They lie at the axis that `places` says of each tensor, None for one that all share.
    """
    pairs = zip(tensors, places, strict=True)
    whole = [t.expand(n, *t.shape) if d is None else t.movedim(d, 0) for t, d in pairs]
    outputs = function(*(t.flatten(0, 1) for t in whole))
    return tuple(output.unflatten(0, (n, -1)) for output in outputs), (0,) * len(outputs)


@inlined
def exp(x):
    """Exponential within a few units in the last place; a tiny number for all below LOWEST.

    2**n times the Taylor polynomial of the rest, which is at most ln(2) / 2; no branch, no table,
    so that a compiler does eight at once.
    """
    bounded = min(max(x, LOWEST), HIGHEST)
    n = np.floor(bounded * LOG2_E + HALF)
    r = bounded - n * LN_2[0] - n * LN_2[1]
    value = ((F(1 / 5040) * r + F(1 / 720)) * r + F(1 / 120)) * r + F(1 / 24)
    value = (((value * r + F(1 / 6)) * r + HALF) * r + ONE) * r + ONE
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return value * power


@inlined
def add_product(result, row, matrix):
    """Add the product of a row and a matrix, four of its rows at a time."""
    n = len(row)
    whole = n - n % 4
    for j in range(0, whole, 4):
        a, b, c, d = row[j], row[j + 1], row[j + 2], row[j + 3]
        first, second, third, fourth = matrix[j], matrix[j + 1], matrix[j + 2], matrix[j + 3]
        for g in range(len(result)):
            result[g] += a * first[g] + b * second[g] + c * third[g] + d * fourth[g]
    for j in range(whole, n):
        a, first = row[j], matrix[j]
        for g in range(len(result)):
            result[g] += a * first[g]
