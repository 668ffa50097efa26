"""Digests that change with what they stand for and with nothing else."""

import dataclasses
import hashlib
import shutil
import subprocess
import time

import numpy as np
import psutil
import pytest

from qoe_core import paths, provenance
from qoe_core.provenance import (
    code_digest,
    commit,
    file_digest,
    loaded_commit,
    record,
    session_digest,
    stamp,
)


@pytest.fixture
def session(make_session):
    return make_session(0, 1, ratings=np.full((3, 14), 50.0))


def nudged(array):
    """The array with its last value raised by the smallest step that the type knows."""
    changed = array.copy()
    changed.flat[-1] = np.nextafter(changed.flat[-1], np.inf)
    return changed


@pytest.mark.parametrize(
    "name", ["stalls", "bitrate_kbps", "height_px", "rated", "rated_ci", "ratings"]
)
def test_the_digest_of_a_session_changes_with_the_last_bit_of_an_array(session, name):
    changed = dataclasses.replace(session, **{name: nudged(getattr(session, name))})
    assert session_digest(changed) != session_digest(session)


def test_the_digest_of_a_session_changes_with_the_last_bit_of_a_metric(session):
    changed = dataclasses.replace(session, quality={"vmaf": nudged(session.quality["vmaf"])})
    assert session_digest(changed) != session_digest(session)


def test_the_digest_of_a_session_changes_when_two_metrics_are_exchanged(session):
    vmaf, ssim = session.quality["vmaf"], np.linspace(0, 1, 14)
    both = [{"vmaf": vmaf, "ssim": ssim}, {"vmaf": ssim, "ssim": vmaf}]
    digests = {session_digest(dataclasses.replace(session, quality=quality)) for quality in both}
    assert len(digests) == 2


@pytest.mark.parametrize("name", ["stalls", "bitrate_kbps", "height_px", "rated_ci", "ratings"])
def test_the_digest_of_a_session_changes_when_an_array_is_taken_away(session, name):
    nothing = np.empty((0, 2)) if name == "stalls" else None
    changed = dataclasses.replace(session, bitrate_kbps=None)
    if name != "bitrate_kbps":
        session = changed
        changed = dataclasses.replace(session, **{name: nothing})
    assert session_digest(changed) != session_digest(session)


@pytest.mark.parametrize(
    "change",
    [
        *({"dataset": "other"}, {"name": "other"}, {"content": "other"}, {"pattern": "other"}),
        *({"device": "other"}, {"duration_s": 13.9}, {"scale": (0.0, 200.0)}, {"overall": 50.0}),
        {"overall_ci": None},
    ],
)
def test_the_digest_of_a_session_changes_with_what_it_is(session, change):
    assert session_digest(dataclasses.replace(session, **change)) != session_digest(session)


def test_equal_sessions_have_equal_digests(make_session):
    assert session_digest(make_session(2, 3)) == session_digest(make_session(2, 3))


@pytest.fixture
def copied_code(tmp_path, monkeypatch):
    """The package in a folder of its own, where its files can be changed."""
    shutil.copytree(paths.ROOT / "qoe_core", tmp_path / "qoe_core")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return tmp_path / "qoe_core"


def test_the_digest_of_the_code_ignores_comments_and_layout(copied_code):
    before = code_digest()
    path = copied_code / "training.py"
    path.write_text("# a comment\n\n\n" + path.read_text().replace("(\n", "(  # another\n\n"))
    assert code_digest() == before


@pytest.mark.parametrize("name", ["session.py", "inputs.py", "models/tcn.py", "predictions.py"])
def test_the_digest_of_the_code_changes_with_one_statement(copied_code, name):
    before = code_digest()
    path = copied_code / name
    path.write_text(path.read_text() + "\nCHANGED = 1\n")
    assert code_digest() != before


def test_a_file_of_a_row_of_its_own_is_in_its_digest_only(copied_code):
    own = copied_code / "peers/narx.py"
    before, others = code_digest(own), code_digest()
    own.write_text(own.read_text() + "\nCHANGED = 1\n")
    assert code_digest(own) != before
    assert code_digest() == others


def test_the_digest_of_the_code_does_not_change_with_the_figures(copied_code):
    before = code_digest()
    (copied_code / "figures.py").write_text("")
    assert code_digest() == before


def test_the_digest_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"bits" * 100_000)
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"bits" * 100_000).hexdigest()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with one committed file; gives its folder and its commit."""
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@localhost"]
    git = ["git", "-C", str(tmp_path), *identity, "-c", "commit.gpgsign=false"]
    (tmp_path / "code.py").write_text("A = 1\n")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.txt").write_text("1\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "One"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    return tmp_path, head.stdout.strip()


def test_the_commit_of_a_clean_tree_is_its_name(repository):
    assert commit() == repository[1]


def test_the_commit_says_when_tracked_files_differ(repository):
    (repository[0] / "code.py").write_text("A = 2\n")
    assert commit() == repository[1] + "+changes"


def test_new_files_and_redrawn_figures_are_no_changes(repository):
    (repository[0] / "new.py").write_text("B = 1\n")
    (repository[0] / "figures" / "a.txt").write_text("2\n")
    assert commit() == repository[1]


def test_the_commit_is_unknown_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "unknown"


def test_the_commit_is_unknown_where_git_is_not_installed(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit() == "unknown"


@pytest.fixture
def recorded(session, tmp_path):
    (tmp_path / "log.csv").write_bytes(b"second,bitrate\n")
    read = dataclasses.replace(session, sources=(tmp_path / "log.csv",))
    return record([read]), read


def test_a_record_names_the_packages(recorded):
    assert recorded[0]["packages"]["numpy"] == np.__version__


def test_a_record_holds_the_digest_of_every_file_that_was_read(recorded):
    assert recorded[0]["files"] == {
        "log.csv": hashlib.sha256(b"second,bitrate\n").hexdigest(),
    }


def test_a_record_holds_the_digest_of_every_session(recorded):
    assert recorded[0]["sessions"] == {recorded[1].name: session_digest(recorded[1])}


def test_a_stamp_counts_seconds_since_the_start():
    assert 61.0 <= stamp(time.perf_counter() - 61.04, "cpu")["seconds"] < 65


@pytest.fixture
def begun(repository):
    """The repository, in a process that has not asked for its commit yet."""
    loaded_commit.cache_clear()
    yield repository
    loaded_commit.cache_clear()


def test_a_stamp_names_commit_and_device(begun):
    stamped = stamp(time.perf_counter(), "cpu")
    assert (stamped["commit"], stamped["device"]) == (begun[1], "cpu")


def test_later_stamps_name_the_code_that_was_loaded_and_not_what_was_edited_since(begun):
    stamp(time.perf_counter(), "cpu")
    (begun[0] / "code.py").write_text("A = 2\n")
    assert stamp(time.perf_counter(), "cpu")["commit"] == begun[1]


def test_a_stamp_holds_the_peak_memory_of_the_process():
    held = psutil.Process().memory_info().rss / 2**20
    # what is held now cannot exceed the peak; 2 MB for what is allocated in between
    assert held - 2 < stamp(time.perf_counter(), "cpu")["peak_memory_mb"] < 20_000


def test_a_record_holds_the_peak_memory(recorded):
    assert 100 < recorded[0]["peak_memory_mb"] < 20_000  # torch alone takes 100 MB
