"""Ways in which a released MATLAB file arrives damaged, drawn by Hypothesis."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from scipy import io

FLIPPED = "bytes flipped"  # may leave a valid file; every other kind must be refused
WHOLE = ("dropped", "renamed", "text", "struct", "cell")  # of a variable
LEAF = ("complex", "nan", "inf", "shorter")  # of an array, in a cell where there are cells


def damage(
    draw: Callable,
    path: Path,
    variables: Mapping[str, np.ndarray],
    contradictions: Mapping[str, Callable[[dict], None]],
) -> str:
    """Write `variables` to `path`, damaged in one drawn way; returns the way."""
    kind = draw(st.sampled_from([FLIPPED, "truncated", *WHOLE, *LEAF, *contradictions]))
    changed = dict(variables)
    name = draw(st.sampled_from(sorted(variables)))
    if kind in WHOLE:
        _change_whole(changed, name, kind)
    elif kind in LEAF:
        changed[name] = _changed_leaf(draw, changed[name], kind)
    elif kind in contradictions:
        contradictions[kind](changed)
    io.savemat(path, changed, do_compression=draw(st.booleans()))
    content = bytearray(path.read_bytes())
    if kind == FLIPPED:
        for at in draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
            content[at] ^= draw(st.integers(1, 255))
    if kind == "truncated":  # the last 8 bytes can be padding
        content = content[: draw(st.integers(0, len(content) - 9))]
    path.write_bytes(content)
    return kind


def _change_whole(variables: dict, name: str, kind: str) -> None:
    value = variables.pop(name)
    if kind == "renamed":
        variables[f"{name}_2"] = value
    elif kind == "text":
        variables[name] = "12.5"
    elif kind == "struct":
        variables[name] = {"value": value}
    elif kind == "cell":
        variables[name] = np.empty((1, 1), object)
        variables[name][0, 0] = value


def _changed_leaf(draw: Callable, value: np.ndarray, kind: str) -> np.ndarray:
    value = value.copy()
    if value.dtype == object:
        at = draw(st.integers(0, value.size - 1))
        value.flat[at] = _changed_leaf(draw, np.asarray(value.flat[at]), kind)
        return value
    if value.dtype.kind == "U":
        return np.array([[7.0]])
    if kind == "complex":
        return value + 1j
    if kind == "shorter":
        return value[:-1] if len(value) > 1 else value[:, :-1]
    value = value.astype(float)
    value.flat[draw(st.integers(0, value.size - 1))] = float(kind)
    return value
