"""Fetching from folders and from a server on this machine; nothing here needs a network."""

import dataclasses
import functools
import hashlib
import http.server
import threading

import pytest

from qoe_core import paths
from qoe_core.datasets import catalog, fetch
from qoe_core.datasets.__main__ import main


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and remembers what was asked for."""

    requested: list[str] = []

    def log_message(self, format, *args):
        self.requested.append(self.path)


@pytest.fixture
def serve():
    """A function that serves a folder over HTTP and returns its address; ended after the test."""
    servers = []

    def start(folder):
        QuietHandler.requested = []
        handler = functools.partial(QuietHandler, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def files_below(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_mirror_is_copied_whole(tiny, tiny_mirror, tmp_path):
    assert fetch.fetch(tiny, tmp_path / "to", str(tiny_mirror)) == []
    assert files_below(tmp_path / "to") == files_below(tiny_mirror)


def test_a_served_mirror_is_copied_whole(tiny, tiny_mirror, tmp_path, serve):
    assert fetch.fetch(tiny, tmp_path / "to", serve(tiny_mirror)) == []
    assert files_below(tmp_path / "to") == files_below(tiny_mirror)


def test_the_default_address_is_the_pinned_commit_of_each_source(
    tiny, tiny_mirror, tmp_path, serve, monkeypatch
):
    (tiny_mirror / "owner/repository/c0ffee").mkdir(parents=True)
    (tiny_mirror / "owner/scores/beef").mkdir(parents=True)
    (tiny_mirror / "Tiny").rename(tiny_mirror / "owner/repository/c0ffee/release")
    (tiny_mirror / "owner/repository/c0ffee/release/scores").rename(
        tiny_mirror / "owner/scores/beef/a b"
    )
    monkeypatch.setattr(fetch, "RAW_FILES", serve(tiny_mirror))
    assert fetch.fetch(tiny, tmp_path / "to") == []
    assert sorted(files_below(tmp_path / "to" / "Tiny")) == [
        "license",
        "scores/low road.csv",
        "scores/river.csv",
    ]


def test_a_second_fetch_asks_only_for_what_is_missing(tiny, tiny_mirror, tmp_path, serve):
    address = serve(tiny_mirror)
    fetch.fetch(tiny, tmp_path / "to", address)
    QuietHandler.requested.clear()
    (tmp_path / "to/Tiny/scores/river.csv").unlink()
    fetch.fetch(tiny, tmp_path / "to", address)
    assert QuietHandler.requested == ["/Tiny/scores/river.csv"]


def test_a_truncated_file_on_disk_is_fetched_again(tiny, tiny_mirror, tmp_path):
    (tmp_path / "to/Tiny/scores").mkdir(parents=True)
    (tmp_path / "to/Tiny/scores/river.csv").write_text("50")
    fetch.fetch(tiny, tmp_path / "to", str(tiny_mirror))
    assert (tmp_path / "to/Tiny/scores/river.csv").read_text() == "50,60"


def test_another_checksum_is_refused_with_both_digests(tiny, tiny_mirror, tmp_path, serve):
    (tiny_mirror / "Tiny/scores/river.csv").write_text("50,61")
    with pytest.raises(ValueError, match="is it truncated, or another version") as refusal:
        fetch.fetch(tiny, tmp_path / "to", serve(tiny_mirror))
    for text in ("50,60", "50,61"):
        assert hashlib.sha256(text.encode()).hexdigest() in str(refusal.value)
    assert "tiny: scores/river.csv has sha256" in str(refusal.value)


def test_a_file_with_another_checksum_is_not_left_behind(tiny, tiny_mirror, tmp_path):
    (tiny_mirror / "Tiny/scores/river.csv").write_text("50,61")
    with pytest.raises(ValueError, match=r"river\.csv"):
        fetch.fetch(tiny, tmp_path / "to", str(tiny_mirror))
    assert list(files_below(tmp_path / "to/Tiny")) == ["scores/low road.csv"]


def test_either_of_two_listed_checksums_is_right(tiny, tiny_mirror, tmp_path):
    saved_again = hashlib.sha256(b"50, 60").hexdigest()
    with (fetch.CHECKSUMS / "tiny.txt").open("a") as listed:
        listed.write(f"{saved_again}  scores/river.csv\n")
    (tiny_mirror / "Tiny/scores/river.csv").write_text("50, 60")
    fetch.fetch(tiny, tmp_path / "to", str(tiny_mirror))
    assert fetch.damaged(tiny, tmp_path / "to/Tiny") == []
    assert fetch.damaged(tiny, tiny_mirror / "Tiny") == []


@pytest.mark.parametrize(
    "file", ["../evil", "scores/../../evil", "/evil", "C:/evil", "a\\evil", "./evil", "a//evil"]
)
def test_a_listed_path_that_could_leave_the_folder_is_refused(tiny, file):
    (fetch.CHECKSUMS / "tiny.txt").write_text(f"{'0' * 64}  {file}\n")
    with pytest.raises(ValueError, match=r"tiny\.txt, line 1: .* expected a sha256, two spaces"):
        fetch.checksums("tiny")


def test_a_listed_line_without_a_whole_digest_is_refused(tiny):
    (fetch.CHECKSUMS / "tiny.txt").write_text(f"{'0' * 63}  license\n")
    with pytest.raises(ValueError, match="was the list edited"):
        fetch.checksums("tiny")


def test_offline_says_what_to_copy_from_where_to_where(tiny, tmp_path, serve, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "RAW_FILES", "http://127.0.0.1:9")  # the discard port: refused
    assert main(["fetch", "tiny", "--to", str(tmp_path / "to")]) == 1
    said = capsys.readouterr().err
    for fact in (
        "http://127.0.0.1:9/owner/scores/beef/a%20b/low%20road.csv cannot be had",
        "is this machine offline",
        "https://github.com/owner/scores at commit beef: a b/",
        "to $QOE_DATA/Tiny/scores/",
    ):
        assert fact in said
    assert "Traceback" not in said
    assert list((tmp_path / "to").iterdir()) == []


def test_a_file_that_a_server_lacks_is_named(tiny, tiny_mirror, tmp_path, serve):
    (tiny_mirror / "Tiny/license").unlink()
    with pytest.raises(ConnectionError, match=r"Tiny/license cannot be had \(404"):
        fetch.fetch(tiny, tmp_path / "to", serve(tiny_mirror))


def test_a_mirror_folder_that_lacks_a_file_is_named(tiny, tiny_mirror, tmp_path):
    (tiny_mirror / "Tiny/license").unlink()
    with pytest.raises(ConnectionError, match="or the mirror incomplete"):
        fetch.fetch(tiny, tmp_path / "to", str(tiny_mirror))


def test_without_a_licence_the_public_source_is_refused(tiny, tmp_path):
    unlicensed = dataclasses.replace(tiny, licence=None)
    with pytest.raises(ValueError, match="no licence is stated for its public source") as refusal:
        fetch.fetch(unlicensed, tmp_path / "to")
    assert "ask the authors for permission:\n    Nobody, 2000" in str(refusal.value)
    assert not (tmp_path / "to").exists()


def test_without_a_licence_an_own_copy_may_be_fetched(tiny, tiny_mirror, tmp_path):
    unlicensed = dataclasses.replace(tiny, licence=None)
    assert fetch.fetch(unlicensed, tmp_path / "to", str(tiny_mirror)) == []
    assert files_below(tmp_path / "to") == files_below(tiny_mirror)


def test_files_without_a_known_address_are_returned_to_be_copied_by_hand(tiny, tmp_path):
    unknown = dataclasses.replace(
        tiny, sources=(dataclasses.replace(tiny.sources[0], remote=None),)
    )
    assert fetch.fetch(unknown, tmp_path / "to") == list(fetch.checksums("tiny"))


def test_every_licence_that_names_a_notice_has_one_to_copy():
    named = {name for name, release in catalog.CATALOG.items() if "NOTICE" in str(release.licence)}
    assert named == {path.stem for path in fetch.NOTICES.glob("*.txt")}


def test_the_notice_of_a_licence_is_put_beside_the_files(tiny, tiny_mirror, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "NOTICES", tmp_path)
    (tmp_path / "tiny.txt").write_text("keep this notice")
    fetch.fetch(tiny, tmp_path / "to", str(tiny_mirror))
    assert (tmp_path / "to/Tiny/NOTICE.txt").read_text() == "keep this notice"


def test_the_command_shows_the_licence_then_fetches_what_check_accepts(
    tiny, tiny_mirror, tmp_path, serve, monkeypatch, capsys
):
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    assert main(["fetch", "tiny", "--from", serve(tiny_mirror)]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("Tiny scores; cite Nobody, 2000.\nLicence: any purpose.\n")
    assert "3/3" in shown.err  # the progress bar
    assert main(["check", "tiny"]) == 0


def test_the_command_names_the_files_to_copy_by_hand_and_fails(tiny, tmp_path, monkeypatch, capsys):
    unknown = dataclasses.replace(
        tiny, sources=(dataclasses.replace(tiny.sources[0], remote=None),)
    )
    monkeypatch.setattr(catalog, "CATALOG", {"tiny": unknown})
    assert main(["fetch", "tiny", "--to", str(tmp_path / "to")]) == 1
    assert "3 files have no known address and must be copied by hand" in capsys.readouterr().err


def test_the_command_without_a_folder_says_how_to_give_one(tiny, capsys):
    assert main(["fetch", "tiny"]) == 1
    assert "no folder to copy to; give --to FOLDER. Set QOE_DATA" in capsys.readouterr().err


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None,
    reason="QOE_DATA is not set; set it to the folder of the released data sets",
)
def test_a_whole_release_fetched_from_a_server_passes_the_check(
    tmp_path, serve, monkeypatch, capsys
):
    address = serve(paths.DATA)
    monkeypatch.setattr(paths, "DATA", tmp_path)
    assert main(["fetch", "waterloo1", "--from", address]) == 0
    assert main(["check", "waterloo1"]) == 0, capsys.readouterr().out
