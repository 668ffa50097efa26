"""Any function of a file's content, computed once: kept on disk, and in memory before the disk.

An entry's key is the digest of the file's content and of everything else the function depends on,
so an edited file or a new setting cannot meet an old entry. Several processes may share a folder.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock

import pandas as pd
from safetensors import SafetensorError
from torch import Tensor

from qoe_core import entry_file, file_function, paths
from qoe_core.cache import Cache
from qoe_core.entry_file import UNFINISHED, DamagedError
from qoe_core.file_function import FileFunction

GB = 1_000_000_000
ROOM = 0.9  # eviction goes down to this part of the budget, so that it is rare; our choice
ABANDONED_S = 3600  # an unfinished file this old has no writer any more; our choice
SETTLED_NS = 2_000_000_000  # a younger file may change again without a new time stamp (FAT: 2 s)
_HEX = "[0-9a-f]"
_FILES = f"{_HEX * 2}/{_HEX * 64}.safetensors*"  # only what this store writes is ever deleted
COLUMNS = ["entry", "function", "source", "shapes", "bytes", "last_use", "problem"]
_LOG = logging.getLogger(__name__)


class Store:
    """What functions said of files, so that each is asked once.

    `counters`: gets answered from "memory" or "disk" or "computed"; entries found "damaged",
    "evicted" from disk by this object, and "unsaved" because the disk refused them.
    """

    def __init__(
        self,
        folder: Path = paths.STORE,
        *,
        disk_bytes: int = 20 * GB,
        memory_bytes: int = GB,
        policy: str = "second_chance",
    ):
        """Use `folder`, which is made on the first write.

        Args:
            folder: `<two digits>/<key>.safetensors` in it; see `entry_file`.
            disk_bytes: when entries exceed this, the least recently used go, down to ROOM of it;
                last use is the file's modification time, which every read from disk renews.
            memory_bytes: bytes of tensors kept in this process.
            policy: which go first from memory; see `Cache`.
        """
        self.folder = folder
        self.disk_bytes = disk_bytes
        names = ("memory", "disk", "computed", "damaged", "evicted", "unsaved")
        self.counters = dict.fromkeys(names, 0)
        self._memory = Cache(policy, memory_bytes)
        self._contents: dict[Path, tuple[tuple[int, ...], str]] = {}  # stamp and digest of files
        self._used_bytes: int | None = None  # on disk as far as known; None before the first look
        self._warned = False
        self._lock = Lock()

    def get(self, path: Path, function: FileFunction) -> dict[str, Tensor]:
        """The result of `function` for the file, from memory, else from disk, else computed.

        Tensors are in the order of their names and belong to the caller: what memory keeps is a
        copy. Threads or processes that ask for the same new entry at once each compute it.

        Raises:
            OSError: the file cannot be read. Trouble with the store's folder only warns, once.
            TypeError, ValueError: the identity or the result is not what `FileFunction` says, or
                the file changed meanwhile.
            Whatever `function` raises.
        """
        content, identity = self._content(path), file_function.identity_text(function)
        key = _key(content, identity)
        if (kept := self._memory.get(key)) is not None:
            self._count("memory")
            return _copies(kept)
        tensors = self._read(key)
        if tensors is None:
            tensors = file_function.result(function, path)
            if self._content(path) != content:
                raise ValueError(
                    f"{path}: changed while {function.identity['name']} was reading it, expected "
                    "a finished file; is it still being written?"
                )
            self._count("computed")
            self._write(key, identity, path.name, tensors)
        size = sum(tensor.nbytes for tensor in tensors.values())
        return _copies(tensors) if self._memory.put(key, tensors, size) else tensors

    def key(self, path: Path, function: FileFunction) -> str:
        """The name of the entry: a digest of the file's content and of the function's identity.

        Cheap to ask again: a file is hashed anew only after its stamp has changed.
        """
        return _key(self._content(path), file_function.identity_text(function))

    def has(self, path: Path, function: FileFunction) -> bool:
        """Whether there is an entry, in memory or on disk; a damaged one counts."""
        key = self.key(path, function)
        return key in self._memory or os.path.exists(self._path(key))

    def contents(self) -> pd.DataFrame:
        """One row an entry on disk, the last used first; headers are read, checksums are not.

        Columns: entry (its key), function and source (their names), shapes (by tensor), bytes,
        last_use (UTC), problem (why the header cannot be read, else empty).
        """
        rows = []
        for used_ns, size, path in sorted(self._files(), reverse=True):
            texts, shapes, name, problem = {}, {}, "", ""
            try:
                texts, shapes = entry_file.texts_and_shapes(path)
                name = json.loads(texts.get("identity", "{}")).get("name", "")
            except FileNotFoundError:  # evicted by another process
                continue
            except (SafetensorError, OSError, ValueError) as error:
                problem = str(error)
            source, used = texts.get("source", ""), pd.Timestamp(used_ns, unit="ns", tz="UTC")
            rows.append((path.stem, name, source, shapes, size, used, problem))
        return pd.DataFrame(rows, columns=COLUMNS)

    def _content(self, path: Path) -> str:
        """SHA-256 of a file; remembered until its stamp changes, once that is sure to show."""
        status = path.stat()
        times = status.st_mtime_ns, status.st_ctime_ns
        stamp = (status.st_dev, status.st_ino, status.st_size, *times)
        known, digest = self._contents.get(path, ((), ""))
        if known == stamp:
            return digest
        now = time.time_ns()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if now - max(times) > SETTLED_NS:
            self._contents[path] = (stamp, digest)
        return digest

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def _read(self, key: str) -> dict[str, Tensor] | None:
        """What the disk has, or None; damage is reported, to be replaced by what is computed."""
        path = self._path(key)
        try:
            tensors = entry_file.read(path, key)
        except DamagedError as error:
            self._count("damaged")
            _LOG.warning("%s: damaged entry, computed again: %s", path, error)
            return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._warn(error)
            return None
        self._count("disk")
        return tensors

    def _write(self, key: str, identity: str, source: str, tensors: Mapping[str, Tensor]) -> None:
        """Keep an entry on disk and make room; a disk that refuses it only warns."""
        printable = source.encode(errors="backslashreplace").decode()
        texts = {"key": key, "identity": identity, "source": printable}
        try:
            size = entry_file.write(self._path(key), tensors, texts)
        except OSError as error:
            self._count("unsaved")
            self._warn(error)
            return
        with self._lock:
            if self._used_bytes is not None:
                self._used_bytes += size
            if self._used_bytes is None or self._used_bytes > self.disk_bytes:
                self._used_bytes = self._make_room(self._path(key))

    def _make_room(self, newest: Path) -> int:
        """Look at what is there, other writers' entries too; evict if it is too much."""
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        if used <= self.disk_bytes:
            return used
        for _, size, path in files:
            if used <= ROOM * self.disk_bytes:
                break
            if path == newest:
                continue
            try:
                path.unlink()
                self.counters["evicted"] += 1
            except FileNotFoundError:  # evicted by another process, which makes room as well
                pass
            except OSError as error:
                self._warn(error)
                continue
            used -= size
        return used

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Last use (ns), bytes and path of each entry; abandoned unfinished files are deleted."""
        for path in self.folder.glob(_FILES):
            try:
                status = path.stat()
                if path.suffix != UNFINISHED:
                    yield status.st_mtime_ns, status.st_size, path
                elif time.time() - status.st_mtime > ABANDONED_S:
                    path.unlink()
            except OSError:  # another process was faster, or this one may not
                continue

    def _count(self, name: str) -> None:
        with self._lock:
            self.counters[name] += 1

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            _LOG.warning(
                "%s: the store's folder fails (%s); what it does not keep is computed again next "
                "time",
                self.folder,
                error,
            )


def _key(content: str, identity: str) -> str:
    return hashlib.sha256(f"{content}\n{identity}".encode()).hexdigest()


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}
