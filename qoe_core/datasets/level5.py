"""Variables of a MATLAB level-5 file from its bytes; whatever is wrong with them is a ValueError.

Numbers, logicals, characters and cells of these come out as from `scipy.io.loadmat`; structs,
objects, functions and sparse matrices are refused. scipy itself follows an unchecked pointer when a
type code is damaged (its pull requests 25349 and 25829): one flipped byte can end the process.

Source: MathWorks, MAT-File Format, "Level 5 MAT-File Format": a header of 128 bytes, then elements,
each a type, a number of bytes and the bytes, padded to multiples of 8 unless compressed.
"""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

HEADER_BYTES = 128
ORDERS = {b"\x00\x01IM": "<", b"\x01\x00MI": ">"}  # version 0x0100, then the byte order
MATRIX, COMPRESSED = 14, 15  # types of elements
NUMBERS = dict(zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13), "bBhHiIfdqQ", strict=True))
LETTERS = {1: "ascii", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
CELL, CHARACTERS, DOUBLE, UINT64 = 1, 4, 6, 15  # classes; all numbers lie between the last two
COMPLEX = 0x0800  # flag of a matrix
MAX_BYTES = 2**28  # of a decompressed variable; released ones stay below 2**24
MAX_DEPTH = 8  # of cells in cells


@dataclass(frozen=True)
class Matrix:
    """The parts of a matrix element, not decoded yet."""

    name: str
    flags: int
    shape: tuple[int, ...]
    parts: list[tuple[int, bytes]]


def read_variables(content: bytes, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The variables among `names` that the file holds, in the number types they are stored in.

    Raises:
        ValueError: no level-5 file, not whole (even behind the last wanted variable), a name stored
            twice, or a wanted variable of another class.
    """
    order = ORDERS.get(content[HEADER_BYTES - 4 : HEADER_BYTES])
    if order is None:
        raise ValueError("no level-5 header")
    try:
        return _variables(content[HEADER_BYTES:], names, order)
    except (struct.error, zlib.error) as error:
        raise ValueError(f"damaged element: {error}") from error


def _variables(content: bytes, names: Sequence[str], order: str) -> dict[str, np.ndarray]:
    seen, found = set(), {}
    for kind, payload in _elements(content, order):
        if kind == COMPRESSED:
            ((kind, payload),) = _elements(_decompressed(payload), order)
        matrix = _matrix(kind, payload, order)
        if matrix.name in seen:
            raise ValueError(f"variable {matrix.name!r} is stored twice")
        seen.add(matrix.name)
        if matrix.name in names:
            found[matrix.name] = _array(matrix, order, depth=0)
    return found


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and bytes of consecutive elements, which must end exactly where `content` does."""
    position = 0
    while position < len(content):
        kind, n_bytes = struct.unpack_from(f"{order}II", content, position)
        start = position + 8
        if kind >> 16:  # small: type and size share 4 bytes, the data are the next 4
            kind, n_bytes = kind & 0xFFFF, kind >> 16
            start, position = position + 4, position + 8
        else:
            position = start + n_bytes + (-n_bytes % 8 if kind != COMPRESSED else 0)
        if start + n_bytes > position or position > len(content):
            raise ValueError(f"{len(content)} bytes where an element ends at {position}")
        yield kind, content[start : start + n_bytes]


def _decompressed(payload: bytes) -> bytes:
    """Not asked for its end: MATLAB leaves that out where the content has exactly 16384 bytes."""
    stream = zlib.decompressobj()
    content = stream.decompress(payload, MAX_BYTES)
    if stream.unconsumed_tail or stream.unused_data:
        raise ValueError(f"compressed element goes on after {len(content)} bytes")
    return content


def _matrix(kind: int, payload: bytes, order: str) -> Matrix:
    """Split a matrix element; one without bytes is an empty matrix without a name."""
    if kind != MATRIX:
        raise ValueError(f"element of type {kind} where a matrix was expected")
    if not payload:
        return Matrix("", DOUBLE, (0, 0), [(9, b"")])
    (_, flags), (_, shape), (_, name), *parts = _elements(payload, order)
    sizes = tuple(np.frombuffer(shape, f"{order}i").tolist())
    if min(sizes, default=-1) < 0:
        raise ValueError(f"matrix of shape {sizes}")
    return Matrix(name.decode("ascii"), struct.unpack(f"{order}II", flags)[0], sizes, parts)


def _array(matrix: Matrix, order: str, depth: int) -> np.ndarray:
    """Decode a matrix; values are stored with the first axis running fastest."""
    kind = matrix.flags & 0xFF
    if kind == CELL and depth < MAX_DEPTH:
        cells = [_array(_matrix(*part, order), order, depth + 1) for part in matrix.parts]
        flat = np.empty(len(cells), object)
        flat[:] = cells
        return flat.reshape(matrix.shape, order="F")
    if kind == CHARACTERS and len(matrix.parts) == 1:
        return _strings(*matrix.parts[0], matrix.shape, order)
    is_complex = bool(matrix.flags & COMPLEX)
    if not DOUBLE <= kind <= UINT64 or len(matrix.parts) != 1 + is_complex:
        raise ValueError(f"{matrix.name!r} has class {kind}, expected numbers, text or cells")
    real, *imaginary = (_numbers(*part, matrix.shape, order) for part in matrix.parts)
    return real + 1j * imaginary[0] if imaginary else real


def _numbers(kind: int, payload: bytes, shape: tuple[int, ...], order: str) -> np.ndarray:
    if kind not in NUMBERS:
        raise ValueError(f"numbers of type {kind}")
    stored = np.frombuffer(payload, order + NUMBERS[kind])
    return stored.astype(NUMBERS[kind]).reshape(shape, order="F")


def _strings(kind: int, payload: bytes, shape: tuple[int, ...], order: str) -> np.ndarray:
    """One string a row; none where there are no characters."""
    if kind not in LETTERS:
        raise ValueError(f"characters of type {kind}")
    wide = LETTERS[kind] in ("utf-16", "utf-32")
    letters = payload.decode(LETTERS[kind] + ("-le" if order == "<" else "-be") * wide)
    if len(shape) != 2 or math.prod(shape) != len(letters):
        raise ValueError(f"{len(letters)} characters in shape {shape}")
    return np.array([letters[row :: shape[0]] for row in range(shape[0]) if letters], dtype=str)
