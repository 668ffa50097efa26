"""What the store can keep: a pure function of one file's content, and what it may return."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from qoe_core.entry_file import DTYPES


@runtime_checkable
class FileFunction(Protocol):
    """A pure function of one file's content."""

    @property
    def identity(self) -> Mapping[str, object]:
        """Everything the result depends on besides the content; JSON-able, "name" among it."""
        ...

    def __call__(self, path: Path) -> Mapping[str, Tensor]:
        """At least one contiguous CPU tensor, by name."""
        ...


def identity_text(function: FileFunction) -> str:
    """The identity as canonical JSON.

    Raises:
        ValueError: it has no name.
        TypeError: it is not JSON; a NaN is not.
    """
    identity = dict(function.identity)
    if not isinstance(identity.get("name"), str):
        raise ValueError(f"identity of {function!r} is {identity}, expected a text under 'name'")
    try:
        return json.dumps(identity, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"identity of {identity['name']} is not JSON: {error}, expected texts, finite numbers, "
            "lists and dicts of these"
        ) from error


def result(function: FileFunction, path: Path) -> dict[str, Tensor]:
    """What the function says of a file, in the order of the tensors' names.

    The tensors are copies, so a function that uses its buffers again changes none of them.

    Raises:
        TypeError, ValueError: it is not at least one contiguous CPU tensor by name, of a type in
            DTYPES.
        Whatever `function` raises.
    """
    name = function.identity["name"]
    tensors = function(path)
    if not isinstance(tensors, Mapping):
        raise TypeError(f"{name} returned {type(tensors).__name__}, expected tensors by name")
    if not tensors:
        raise ValueError(f"{name} returned no tensor, expected at least one")
    for key, tensor in tensors.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise TypeError(
                f"{name} returned {type(tensor).__name__} under {key!r}, expected a tensor under "
                "a text"
            )
        if key == "__metadata__":
            raise ValueError(f"{name} returned a tensor named {key}, which safetensors keeps")
        kinds = tensor.layout, tensor.device.type
        if kinds != (torch.strided, "cpu") or not tensor.is_contiguous():
            raise ValueError(
                f"{name} returned {key} with {tensor.layout} on {tensor.device}, or not "
                "contiguous, expected a contiguous CPU tensor; is a .cpu().contiguous() missing?"
            )
        if tensor.dtype not in DTYPES.values():
            raise ValueError(
                f"{name} returned {key} as {tensor.dtype}, expected one of {[*DTYPES]}"
            )
    return {key: tensors[key].detach().clone() for key in sorted(tensors)}
