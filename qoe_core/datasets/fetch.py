"""Copy a released data set from its public repository or a mirror, each file pinned by sha256.

The list `checksums/<name>.txt` decides which files belong to a release: lines of sha256sum, paths
inside the release's folder. A path listed twice has two right versions (the original and a
re-saved copy). A file appears under its name only after its checksum was found right.
"""

import os
import re
import shutil
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

import pooch
from tqdm import tqdm

from qoe_core.datasets.entry import Release

CHECKSUMS = Path(__file__).parent / "checksums"
NOTICES = Path(__file__).parent / "notices"  # licence texts that no source repository carries
RAW_FILES = "https://raw.githubusercontent.com"
TIMEOUT_S = 30
LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<file>\S.*)")


def checksums(name: str) -> dict[str, tuple[str, ...]]:
    """The right sha256 digests of each file of the release called `name`.

    Raises:
        ValueError: a line is not `digest  path`, or a path could leave the release's folder.
    """
    listed = CHECKSUMS / f"{name}.txt"
    digests: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(listed.read_text(encoding="utf-8").splitlines(), start=1):
        match = LINE.fullmatch(line)
        if match is None or not _stays_inside(match["file"]):
            raise ValueError(
                f"{listed}, line {number}: {line!r}, expected a sha256, two spaces and a relative "
                "path without ..; was the list edited?"
            )
        digests[match["file"]] = (*digests.get(match["file"], ()), match["digest"])
    return digests


def _stays_inside(file: str) -> bool:
    path = PurePosixPath(file)
    return not (
        path.is_absolute() or str(path) != file or ".." in path.parts or set(file) & set("\\:")
    )


def damaged(release: Release, folder: Path) -> list[str]:
    """One sentence for each listed file that is absent from `folder` or has another checksum."""
    problems = []
    for file, digests in checksums(release.name).items():
        if not (folder / file).is_file():
            problems.append(f"{release.name}: {file} is missing; is the copy complete?")
            continue
        digest = pooch.file_hash(str(folder / file), alg="sha256")
        if digest not in digests:
            problems.append(_other_checksum(release, file, digest, digests))
    return problems


def _other_checksum(release: Release, file: str, digest: str, digests: tuple[str, ...]) -> str:
    return (
        f"{release.name}: {file} has sha256 {digest}, expected {' or '.join(digests)}; "
        "is it truncated, or another version of the release?"
    )


def fetch(release: Release, to: Path, mirror: str | None = None) -> list[str]:
    """Copy the listed files into `to`/<folder of the release>; returns those to copy by hand.

    `mirror` is a folder or an http(s) address laid out like `paths.DATA`; the default is the
    public repository of each file at its pinned commit. Files that are already there with a right
    checksum are kept, so a second call continues the first. Whether a mirror may be used is
    between its owner and the authors: it is allowed for data sets without a licence too.

    Raises:
        ValueError: no licence allows a copy of the public source, or a file has another checksum.
        ConnectionError: a file cannot be had (offline, absent); says what to copy by hand.
    """
    if release.licence is None and mirror is None:
        raise ValueError(
            f"{release.name}: not fetched, because no licence is stated for its public source; "
            f"is there a copy you may use?\n{release.how_to_get()}"
        )
    folder = to / release.folder
    by_hand = []
    for file, digests in tqdm(checksums(release.name).items(), desc=release.name, unit="file"):
        target = folder / file
        if target.is_file() and pooch.file_hash(str(target), alg="sha256") in digests:
            continue
        address = _address(release, file, mirror)
        if address is None:
            by_hand.append(file)
        else:
            _copy(release, file, address, to, digests)
    notice = NOTICES / f"{release.name}.txt"
    if notice.is_file() and folder.is_dir():
        shutil.copyfile(notice, folder / "NOTICE.txt")
    return by_hand


def _address(release: Release, file: str, mirror: str | None) -> str | None:
    if mirror is not None:
        if urlsplit(mirror).scheme in ("http", "https"):
            return f"{mirror.rstrip('/')}/{quote(f'{release.folder}/{file}')}"
        return str(Path(mirror).expanduser() / release.folder / file)
    source = release.source(file)
    if source.remote is None:
        return None
    repository, commit = source.origin.split("@")
    remote = source.remote + file.removeprefix(source.local)
    return f"{RAW_FILES}/{repository}/{commit}/{quote(remote)}"


def _copy(release: Release, file: str, address: str, to: Path, digests: tuple[str, ...]) -> None:
    target = to / release.folder / file
    to.mkdir(parents=True, exist_ok=True)
    part = to / f"{release.name}.part"  # no release folder appears before its first right file
    try:
        if urlsplit(address).scheme in ("http", "https"):
            pooch.HTTPDownloader(timeout=TIMEOUT_S)(address, str(part), None)
        else:
            shutil.copyfile(address, part)
        digest = pooch.file_hash(str(part), alg="sha256")
        if digest not in digests:
            raise ValueError(_other_checksum(release, file, digest, digests) + f" From {address}")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, target)
    except OSError as error:
        raise ConnectionError(
            f"{release.name}: {address} cannot be had ({error!s:.160}), expected {file}; "
            f"is this machine offline, or the mirror incomplete?\n{release.how_to_get()}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
