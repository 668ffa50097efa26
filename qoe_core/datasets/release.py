"""Fields of released files as checked arrays: every refusal names file, field, position and cause.

Readers get their numbers only through here, so a truncated, renamed, re-typed or NaN-ridden file
stops with one ValueError instead of becoming a wrong Session.
"""

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import io

# what scipy raises on damaged bytes, found by mutating files; none of these means "our bug"
DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OSError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    AttributeError,
    UnicodeError,
    struct.error,
    zlib.error,
)


def mat_variables(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named variables of a MATLAB level-5 file, as scipy returns them.

    Raises:
        ValueError: the file cannot be read, or lacks a name (an absent file too).
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a released .mat; is the copy complete?")
    try:
        variables = io.loadmat(
            path, variable_names=list(names), verify_compressed_data_integrity=True
        )
    except DAMAGED as error:
        raise ValueError(
            f"{path}: not readable as a MATLAB file ({type(error).__name__}: {error}), "
            "expected the released bytes; is the download truncated?"
        ) from error
    for name in names:
        if name not in variables:
            raise ValueError(
                f"{path}: no variable {name!r}, expected {list(names)}; was it renamed?"
            )
    return variables


def series(
    path: Path,
    field: str,
    values: object,
    *,
    length: int | None = None,
    low: float = -math.inf,
    high: float = math.inf,
) -> Float[np.ndarray, " sample"]:
    """`values` as finite float64 in [low, high], flattened from 1 x N or N x 1.

    Raises:
        ValueError: not numeric, not one-dimensional, of another length, not finite, out of range.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: {field} has type {array.dtype}, expected numbers; was the file re-saved?"
        )
    if array.size == 0 or array.size != max(array.shape, default=1):
        raise ValueError(
            f"{path}: {field} has shape {array.shape}, expected one row or column; "
            "does it hold several videos?"
        )
    flat = array.ravel().astype(float)
    if length is not None and flat.size != length:
        raise ValueError(
            f"{path}: {field} has {flat.size} samples, expected {length}; is the file truncated?"
        )
    bad = np.flatnonzero(~(np.isfinite(flat) & (flat >= low) & (flat <= high)))
    if bad.size:
        raise ValueError(
            f"{path}: {field}[{bad[0]}] is {flat[bad[0]]}, expected a number in {low:g} to "
            f"{high:g} ({bad.size} of {flat.size} are not); is it in another unit or damaged?"
        )
    return flat


def scalar(
    path: Path, field: str, values: object, *, low: float = -math.inf, high: float = math.inf
) -> float:
    """`values` as one finite float in [low, high]; the errors of `series`."""
    return float(series(path, field, values, length=1, low=low, high=high)[0])


def text(path: Path, field: str, values: object) -> str:
    """`values` as one non-empty string, as MATLAB character arrays arrive."""
    array = np.asarray(values)
    if array.dtype.kind != "U" or array.size != 1 or not str(array.ravel()[0]).strip():
        raise ValueError(
            f"{path}: {field} is {array!r:.60}, expected one non-empty text; was the field renamed?"
        )
    return str(array.ravel()[0])


def csv_table(path: Path, numbers: Sequence[str], texts: Sequence[str] = ()) -> pd.DataFrame:
    """The named columns of a CSV file: `numbers` finite float64, `texts` non-empty strings.

    Raises:
        ValueError: unreadable, no rows, a missing column, or a cell that is not what it should be.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a released CSV; is the copy complete?")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (ValueError, pd.errors.ParserError, OSError) as error:
        raise ValueError(
            f"{path}: not readable as CSV ({error}), expected the released bytes; is it truncated?"
        ) from error
    missing = [name for name in (*numbers, *texts) if name not in table.columns]
    if missing or table.columns.has_duplicates:
        raise ValueError(
            f"{path}: has columns {list(table.columns)}, expected each of "
            f"{[*numbers, *texts]} once; was the file re-saved?"
        )
    if table.empty:
        raise ValueError(f"{path}: has no rows; is it truncated?")
    for name in numbers:
        table[name] = _numbers(path, name, table[name])
    for name in texts:
        empty = np.flatnonzero(table[name].str.strip() == "")
        if empty.size:
            raise ValueError(f"{path}, row {empty[0]}: {name} is empty, expected text; truncated?")
    return table[[*numbers, *texts]]


def _numbers(path: Path, name: str, cells: pd.Series) -> pd.Series:
    values = pd.to_numeric(cells, errors="coerce").astype(float)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"{path}, row {bad[0]}: {name} is {cells.iloc[bad[0]]!r}, expected a finite number "
            f"({bad.size} of {len(cells)} are not); is the file damaged?"
        )
    return values
