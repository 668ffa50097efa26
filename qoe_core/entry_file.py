"""One entry of the store as one file: tensors by name, written whole or not at all, always checked.

The file is valid safetensors. Its metadata are texts; "checksum" among them is the XXH3-128 of the
whole file with zeros in the place of the checksum, so it covers names, types, shapes, texts and
bytes. XXH3 finds damage, not intent: it is no signature.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from xxhash import xxh3_128_hexdigest

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}  # by their names in safetensors
UNFINISHED = ".tmp"  # ends the name under which a file is written
_CHECKSUM = re.compile(rb'"checksum":"([0-9a-f]{32})"')  # a quote inside a text is escaped
_ZEROS = b"0" * 32


class DamagedError(ValueError):
    """An entry's bytes are not those that were written, or belong to another key."""


def write(path: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> int:
    """Write an entry under a temporary name beside `path`, flush it to disk, then rename it.

    Args:
        path: where; its folder is made, and a file that is there is replaced.
        tensors: contiguous and on the CPU, of a type in DTYPES.
        texts: what `texts_and_shapes` gives back; "key" is what `read` compares.

    Returns:
        Bytes written.
    """
    whole = save(dict(tensors), metadata={**texts, "checksum": _ZEROS.decode()})
    start, end = _CHECKSUM.search(whole).span(1)
    parts = whole[:start], xxh3_128_hexdigest(whole).encode(), memoryview(whole)[end:]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{uuid4().hex}{UNFINISHED}")
    try:
        with unfinished.open("xb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return len(whole)


def read(path: Path | str, key: str) -> dict[str, Tensor]:
    """The tensors of an entry, checked, in the order of their names; marks the file as used now.

    They are views of one new buffer, which is the one copy that reading makes.

    Raises:
        DamagedError: the checksum differs or is missing, or the entry belongs to another key.
        OSError: no such file, or it cannot be read.
    """
    with open(path, "rb") as file:
        with suppress(OSError):  # whoever may only read leaves the order of eviction to others
            os.utime(file.fileno())
        size = os.fstat(file.fileno()).st_size
        buffer = torch.empty(size, dtype=torch.uint8, device="cpu")
        raw = memoryview(buffer.numpy())
        file.readinto(raw)
    start = 8 + int.from_bytes(raw[:8], "little")  # of the tensors' bytes
    header = str(raw[8:start], "utf-8", "replace")
    found = _CHECKSUM.search(raw, 8, min(start, len(raw)))
    if found is None:
        raise DamagedError(f"{len(raw)} bytes without a checksum, cut off or not of this store")
    expected = found[1].decode()
    raw[slice(*found.span(1))] = _ZEROS
    checksum = xxh3_128_hexdigest(raw)
    if checksum != expected:
        raise DamagedError(f"checksum is {checksum}, expected {expected}")
    records = json.loads(header)
    other = records.pop("__metadata__")["key"]
    if other != key:
        raise DamagedError(f"belongs to another key, {other}; was the file copied or renamed?")
    return {name: _view(buffer[start:], **records[name]) for name in sorted(records)}


def _view(data: Tensor, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    return data[slice(*data_offsets)].view(DTYPES[dtype]).view(shape)


def texts_and_shapes(path: Path) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """The metadata of an entry and the shapes of its tensors, from its header alone, unchecked.

    Raises:
        SafetensorError: the header is damaged.
        OSError: no such file, or it cannot be read.
    """
    with safe_open(path, framework="pt") as file:
        names = sorted(file.keys())
        return file.metadata() or {}, {n: tuple(file.get_slice(n).get_shape()) for n in names}
