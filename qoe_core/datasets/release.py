"""Fields of released files as checked arrays: every refusal names file, field, position and cause.

Readers get their numbers only through here, so a truncated, renamed, re-typed or NaN-ridden file
stops with one ValueError instead of becoming a wrong Session.
"""

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core.datasets.level5 import read_variables

MAX_HEIGHT_PX = 8640.0  # of an encoded frame: twice 8K
NUMBER = re.compile(r" *[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)? *")


def mat_variables(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The named variables of a MATLAB level-5 file, in the forms of `scipy.io.loadmat`.

    Raises:
        ValueError: the file cannot be read to its end, or lacks a name (an absent file too).
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a released .mat; is the copy complete?")
    try:
        variables = read_variables(path.read_bytes(), names)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path}: not readable as a MATLAB file ({error}), expected the released bytes; "
            "is the download truncated?"
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


def matrix(path: Path, field: str, values: object) -> Float[np.ndarray, "row column"]:
    """`values` as float64 with both axes kept; whether they are finite is the caller's to check.

    Raises:
        ValueError: not numeric, not two-dimensional, empty.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.ndim != 2 or array.size == 0:
        raise ValueError(
            f"{path}: {field} has type {array.dtype} and shape {array.shape}, expected numbers in "
            "rows and columns; was the file re-saved?"
        )
    return array.astype(float)


def scalar(
    path: Path, field: str, values: object, *, low: float = -math.inf, high: float = math.inf
) -> float:
    """`values` as one finite float in [low, high]; the errors of `series`."""
    return float(series(path, field, values, length=1, low=low, high=high)[0])


def agree(
    path: Path, stated: Mapping[str, object], derived: Mapping[str, float | int], source: str
) -> None:
    """Refuse a stated number more than a millionth away from the one derived from `source`.

    Raises:
        ValueError: the errors of `scalar`, or a contradiction.
    """
    for field, expected in derived.items():
        found = scalar(path, field, stated[field])
        if abs(found - expected) > 1e-6:
            raise ValueError(
                f"{path}: {field} is {found:.9g}, expected {expected:.9g} from {source}; "
                "do they belong to different videos?"
            )


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
        ValueError: unreadable, no rows, no line break at the end, a row of another length than the
            header, a missing or doubled column, or a cell that is not what it should be.
    """
    header, rows = _csv_rows(path)
    for name in (*numbers, *texts):
        if header.count(name) != 1:
            raise ValueError(
                f"{path}: has columns {header}, expected each of {[*numbers, *texts]} once; "
                "was the file re-saved?"
            )
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise ValueError(
                f"{path}, row {number}: has {len(row)} cells, expected {len(header)}; truncated?"
            )
    cells = {name: [row[header.index(name)] for row in rows] for name in (*numbers, *texts)}
    for name in texts:
        empty = [number for number, cell in enumerate(cells[name]) if not cell.strip()]
        if empty:
            raise ValueError(f"{path}, row {empty[0]}: {name} is empty, expected text; truncated?")
    return pd.DataFrame(cells | {name: _numbers(path, name, cells[name]) for name in numbers})


def _csv_rows(path: Path) -> tuple[list[str], list[list[str]]]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a released CSV; is the copy complete?")
    try:
        content = path.read_text(encoding="utf-8")
        header, *rows = csv.reader(content.splitlines(), strict=True)
    except (ValueError, csv.Error, OSError) as error:
        raise ValueError(
            f"{path}: not readable as CSV ({error}), expected the released bytes; is it truncated?"
        ) from error
    if not rows or not content.endswith("\n"):
        raise ValueError(
            f"{path}: has {len(rows)} rows after its header, expected at least one, and a line "
            "break after the last; is it truncated?"
        )
    return header, rows


def _numbers(path: Path, name: str, cells: Sequence[str]) -> Float[np.ndarray, " row"]:
    values = np.array([float(cell) if NUMBER.fullmatch(cell) else math.nan for cell in cells])
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise ValueError(
            f"{path}, row {bad[0]}: {name} is {cells[bad[0]]!r}, expected a finite number "
            f"({bad.size} of {len(cells)} are not); is the file damaged?"
        )
    return values


def json_fields(path: Path, names: Sequence[str]) -> dict[str, object]:
    """The named fields of a JSON file that holds one object.

    Raises:
        ValueError: unreadable, nested too deeply, a field twice or missing, NaN or Infinity.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file, expected a released JSON; is the copy complete?")
    try:
        content = json.loads(
            path.read_bytes().decode("utf-8"),
            object_pairs_hook=_unique_fields,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError, OSError) as error:
        raise ValueError(
            f"{path}: not readable as JSON ({type(error).__name__}: {error}), expected the "
            "released bytes; is the download truncated?"
        ) from error
    missing = [name for name in names if not isinstance(content, dict) or name not in content]
    if missing:
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: no field {missing}, has {found}; was it renamed?")
    return {name: content[name] for name in names}


def _unique_fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError(f"a field is given twice in {[name for name, _ in pairs]}")
    return fields


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
