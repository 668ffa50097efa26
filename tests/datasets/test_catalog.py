"""The catalog and its command line: what is listed, found, read and refused."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qoe_core import paths
from qoe_core.datasets import catalog
from qoe_core.datasets.__main__ import main
from qoe_core.datasets.entry import Counts, count
from qoe_core.datasets.fetch import checksums, damaged


def test_every_entry_has_a_checksum_list_that_its_sources_cover():
    for name, release in catalog.CATALOG.items():
        assert all(release.source(file) for file in checksums(name))


def test_every_source_of_every_entry_covers_a_listed_file():
    for name, release in catalog.CATALOG.items():
        used = {release.source(file) for file in checksums(name)}
        assert used == set(release.sources)


def test_origins_are_pinned_to_whole_commits():
    for release in catalog.CATALOG.values():
        for source in release.sources:
            repository, commit = source.origin.split("@")
            assert repository.count("/") == 1
            assert len(commit) == 40
            assert int(commit, 16) >= 0


def test_names_and_folders_are_unique():
    folders = {release.folder for release in catalog.CATALOG.values()}
    assert len(folders) == len(catalog.CATALOG) == len(catalog.RELEASES) == 9


def test_the_longest_prefix_decides_the_source(tiny):
    assert tiny.source("license").remote == "release/"
    assert tiny.source("scores/river.csv").remote == "a b/"


def test_a_file_that_no_source_covers_is_refused(tiny):
    only_scores = dataclasses.replace(tiny, sources=tiny.sources[1:])
    with pytest.raises(ValueError, match=r"no source covers license, expected .*'scores/'"):
        only_scores.source("license")


def test_nothing_is_found_without_qoe_data(tiny):
    assert catalog.found() == []


def test_a_data_set_with_a_folder_is_found_and_read(tiny_on_disk):
    assert catalog.found() == ["tiny"]
    assert [session.name for session in catalog.read("tiny")] == ["low road", "river"]


def test_read_without_qoe_data_says_how_to_get_the_data(tiny):
    with pytest.raises(ValueError, match="QOE_DATA is not set") as refusal:
        catalog.read("tiny")
    for fact in ("https://github.com/owner/repository at commit c0ffee: release/", "fetch tiny"):
        assert fact in str(refusal.value)


def test_read_of_an_absent_folder_names_it(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DATA", tmp_path)
    with pytest.raises(ValueError, match="has no folder Tiny; was it never copied there"):
        catalog.read("tiny")


def test_an_unknown_name_is_refused_with_the_known_ones(tiny):
    with pytest.raises(ValueError, match="'tinny', expected one of tiny"):
        catalog.read("tinny")


def test_counts_are_those_of_the_files(tiny_on_disk):
    assert count(catalog.read("tiny")) == Counts(2, 2, 5, 2, 10.0, 60.0)


def test_every_wrong_count_is_named_with_the_expected_one(tiny):
    problems = tiny.mismatches(Counts(2, 1, 4, 2, 10.0, 60.004))
    assert [problem.split(";")[0] for problem in problems] == [
        "tiny: n_contents is 1, expected 2",
        "tiny: n_seconds is 4, expected 5",
    ]


def test_a_fuller_extent_of_a_release_is_accepted(tiny):
    assert tiny.mismatches(Counts(9, 3, 1000, 7, 0.0, 1.0)) == []
    assert len(tiny.mismatches(Counts(8, 3, 1000, 7, 0.0, 1.0))) == 1


def test_damaged_names_absent_and_changed_files(tiny, tiny_on_disk):
    (tiny_on_disk / "license").unlink()
    (tiny_on_disk / "scores" / "river.csv").write_text("50,61")
    problems = damaged(tiny, tiny_on_disk)
    assert len(problems) == 2
    assert "scores/river.csv has sha256" in problems[0]
    assert "license is missing" in problems[1]


def test_list_says_what_is_found_and_what_may_be_done_with_it(tiny_on_disk, capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    for fact in (
        "tiny: Tiny scores, 2 sessions of 2 contents or 9 sessions of 3 contents",
        "target   continuous, scale 0 to 100",
        "licence  any purpose; may be redistributed",
        "https://github.com/owner/scores @ beef",
        f"found in {tiny_on_disk.parent}, folder Tiny",
    ):
        assert fact in printed


def test_list_without_qoe_data_says_how_to_set_it(tiny, capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "not found, folder Tiny" in printed
    assert "QOE_DATA is not set. Set QOE_DATA to the folder" in printed


def test_check_prints_the_counts_and_succeeds(tiny_on_disk, capsys):
    assert main(["check"]) == 0
    assert capsys.readouterr().out == (
        "tiny: 2 sessions, 2 contents, 5 seconds, 2 stalls, scores 10.00 to 60.00\n"
    )


def test_check_of_a_changed_file_fails_and_names_it(tiny_on_disk, capsys):
    (tiny_on_disk / "scores" / "river.csv").write_text("50,60,70")
    assert main(["check", "tiny"]) == 1
    printed = capsys.readouterr().out
    assert "MISMATCH tiny: scores/river.csv has sha256" in printed
    assert "MISMATCH tiny: n_seconds is 6, expected 5" in printed
    assert "MISMATCH tiny: highest is 70, expected 60" in printed


def test_check_prints_a_readers_refusal_as_a_mismatch(tiny_on_disk, capsys):
    (tiny_on_disk / "scores" / "river.csv").write_text("50,600")
    assert main(["check"]) == 1
    printed = capsys.readouterr().out
    assert "MISMATCH tiny: tiny/river: rated, second 1 is 600.0, expected 0.0 to 100.0" in printed


def test_check_with_nothing_found_explains_qoe_data_and_succeeds(tiny, capsys):
    assert main(["check"]) == 0
    assert "No data set was found (QOE_DATA is None). Set QOE_DATA" in capsys.readouterr().out


def test_check_of_a_name_that_is_not_found_fails(tiny, capsys):
    assert main(["check", "tiny"]) == 1
    assert "MISMATCH tiny: tiny: QOE_DATA is not set" in capsys.readouterr().out


def test_check_of_an_unknown_name_fails(tiny, capsys):
    assert main(["check", "huge"]) == 1
    assert "no data set is called 'huge'" in capsys.readouterr().err


def test_the_module_runs_as_a_command():
    without_data = {name: value for name, value in os.environ.items() if name != "QOE_DATA"}
    ran = subprocess.run(
        [sys.executable, "-m", "qoe_core.datasets"],
        cwd=Path(paths.ROOT),
        env=without_data,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(f"{name}: " in ran.stdout for name in catalog.CATALOG)
    assert ran.stderr == ""


@pytest.mark.human
@pytest.mark.skipif(
    paths.DATA is None,
    reason="QOE_DATA is not set; set it to the folder of the released data sets",
)
def test_the_released_data_are_as_the_catalog_says(capsys):
    assert main(["check"]) == 0, capsys.readouterr().out
