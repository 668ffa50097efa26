"""Work over many units: done once each, in this process or in others, and failures are named.

The units are paths and the work is to touch them: both can be sent to a worker.
"""

from pathlib import Path

import pytest
import torch

from qoe_core import parallel


@pytest.fixture
def units(tmp_path):
    """Five files to touch, the second in a folder that does not exist."""
    return [tmp_path / name for name in ("a", "missing/b", "c", "d", "e")]


@pytest.fixture
def refused(units):
    return (
        f"1 of 5 failed: b: [Errno 2] No such file or directory: '{units[1]}'",
        RuntimeError,
    )


def touched(units):
    return [unit.name for unit in units if unit.exists()]


def test_every_unit_is_done(units):
    parallel.each(Path.touch, [units[0], *units[2:]], workers=1, title="touching")
    assert touched(units) == ["a", "c", "d", "e"]


def test_a_unit_that_fails_is_named(units, refuses, refused):
    with refuses(*refused):
        parallel.each(Path.touch, units, workers=1, title="touching")


def test_units_after_one_that_fails_are_done(units):
    with pytest.raises(RuntimeError, match="1 of 5 failed"):
        parallel.each(Path.touch, units, workers=1, title="touching")
    assert touched(units) == ["a", "c", "d", "e"]


def test_workers_do_all_units_and_name_the_one_that_fails(units, refuses, refused, monkeypatch):
    monkeypatch.setattr(parallel, "POOL_START_S", 0.0)
    with refuses(*refused):
        parallel.each(Path.touch, units, workers=2, title="touching")
    assert touched(units) == ["a", "c", "d", "e"]


def test_long_work_goes_to_workers_without_a_first_try_here(units):
    # what is defined in a test can be called here, but cannot be sent to a worker
    def touch(unit):
        unit.touch()

    with pytest.raises(RuntimeError, match="5 of 5 failed: .*pickle"):
        parallel.each(touch, units, workers=2, title="touching", expected_s=60.0)
    assert touched(units) == []


def test_a_single_unit_that_is_left_is_done_here(units, monkeypatch):
    monkeypatch.setattr(parallel, "POOL_START_S", 0.0)

    def touch(unit):
        unit.touch()

    parallel.each(touch, units[2:4], workers=2, title="touching")
    assert touched(units) == ["c", "d"]


def test_an_error_keeps_its_cause(units):
    with pytest.raises(RuntimeError) as caught:
        parallel.each(Path.touch, units, workers=1, title="touching")
    assert isinstance(caught.value.__cause__.__cause__, FileNotFoundError)


def test_no_units_are_no_work():
    parallel.each(Path.touch, [], workers=None, title="nothing")


def test_a_unit_is_done_with_one_thread(tmp_path):
    threads = []
    torch.set_num_threads(2)
    try:
        parallel.each(
            lambda unit: threads.append(torch.get_num_threads()), [tmp_path], workers=1, title=""
        )
        assert (threads, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(1)
