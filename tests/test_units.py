"""What is trained together, and what a bundle leaves when it is finished, stopped or broken."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from qoe_core import checkpoint, experiment, runs, units
from qoe_core.experiment import Experiment, plan
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig
from qoe_core.runs import HISTORY
from qoe_core.train_config import TrainConfig
from qoe_core.units import Bundle, bundles, run_bundle

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))
TABLES = ["overall.parquet", "predictions.parquet", "scores.parquet"]


def asked(name="gru", seeds=(0,), dropout=0.0, split="leave-content-out", **changes):
    training = TrainConfig(**{"n_epochs": 2, "sessions_at_once": 8, "device": "cpu"} | changes)
    sizes = {"hidden": 4, "dropout": dropout, "training": training}
    model = ModelConfig(name=name, inputs=INPUTS, **sizes)
    return Experiment(dataset="tiny", split=split, model=model, seeds=seeds)


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs")


@pytest.fixture
def few(make_session):
    """Six contents times two patterns: as many units of a seed, in three bundles of two."""
    return [make_session(c, p, seconds=12 + (c + p) % 6) for c in range(6) for p in range(2)]


@pytest.fixture
def pair(few):
    """The first of those bundles."""
    return bundles(plan(asked(), few))[0]


def sizes(request, sessions):
    return [len(bundle.units) for bundle in bundles(plan(request, sessions))]


def files(unit):
    return {path: path.stat().st_mtime_ns for path in unit.folder.rglob("*") if path.is_file()}


def tables(unit):
    return {name: (unit.folder / name).read_bytes() for name in TABLES}


@pytest.mark.parametrize("seeds", [(0,), (4, 1, 2)])
@pytest.mark.parametrize("split", ["leave-content-out", "random-by-video"])
def test_bundles_hold_every_unit_once_and_in_order(few, seeds, split):
    planned = plan(asked(seeds=seeds, split=split), few)
    held = [unit for bundle in bundles(planned) for unit in bundle.units]
    assert [unit.folder for unit in held] == [unit.folder for unit in planned]


@pytest.mark.parametrize(
    ("at_once", "seeds", "expected"),
    [
        *((64, (0,), [6]), (8, (0,), [2, 2, 2]), (4, (0,), [1] * 6), (3, (0,), [1] * 6)),
        *((64, (0, 1), [12]), (11, (0, 1), [2] * 6), (64, (0, 1, 2, 3), [12, 12])),
        *((20, (0, 1, 2, 3), [5] * 4 + [4]), (16, (0, 1, 2, 3), [4] * 6)),
    ],
)
def test_a_bundle_is_bounded_by_the_sessions_at_once(few, at_once, seeds, expected):
    """Networks take batches of four; all of them are spread evenly."""
    assert sizes(asked(seeds=seeds, sessions_at_once=at_once), few) == expected


@pytest.mark.parametrize(("fewest", "expected"), [(1, [3, 3]), (3, [3, 3]), (4, [6]), (9, [6])])
def test_two_cores_have_a_bundle_each_where_both_get_enough_networks(
    few, monkeypatch, fewest, expected
):
    monkeypatch.setattr(units, "FEWEST", fewest)
    assert sizes(asked(sessions_at_once=64), few) == expected


@pytest.mark.parametrize(
    ("name", "dropout"), [("gru", 0.1), ("tcn", 0.1), ("dual_attention-paper", 0.0)]
)
def test_networks_with_dropout_are_alone(few, name, dropout):
    assert sizes(asked(name, dropout=dropout), few) == [1] * 6


def test_the_dual_stage_network_without_dropout_is_not_alone(few):
    assert sizes(asked("dual_attention"), few) == [2, 2, 2]


@pytest.mark.parametrize("name", ["ridge", "constant"])
def test_models_that_are_no_networks_are_alone(few, name):
    assert sizes(asked(name), few) == [1] * 6


def test_bundles_do_not_depend_on_what_is_finished(few, pair):
    run_bundle(Bundle(pair.units[1:]))
    again = bundles(plan(asked(), few))
    assert [unit.is_finished for unit in again[0].units] == [False, True]
    assert again[0].checkpoint == pair.checkpoint
    assert [len(bundle.units) for bundle in again] == [2, 2, 2]


def test_bundles_have_checkpoints_of_their_own(few):
    paths = {bundle.checkpoint for bundle in bundles(plan(asked(seeds=(0, 1)), few))}
    assert len(paths) == 6


def test_the_name_of_a_bundle_spans_its_units(pair):
    assert pair.name == "gru, fold content_0, seed 0 to fold content_1, seed 0"
    assert Bundle(pair.units[:1]).name == "gru, fold content_0, seed 0"


def test_a_finished_bundle_leaves_all_of_its_units_and_no_checkpoint(pair):
    run_bundle(pair)
    assert all(unit.is_finished for unit in pair.units)
    left = {path for path in pair.checkpoint.parent.iterdir()}
    assert left == {unit.folder for unit in pair.units}
    for unit in pair.units:
        assert pd.read_parquet(unit.folder / HISTORY)["epoch"].tolist() == [0, 1]
        facts = json.loads((unit.folder / "unit.json").read_text())
        assert 0 < facts["seconds"] < 60  # its share of the training, and its tables


def test_units_of_a_bundle_say_what_they_say_alone(pair, tmp_path):
    run_bundle(pair)
    for unit in pair.units:
        alone = dataclasses.replace(unit, folder=tmp_path / unit.folder.name)
        run_bundle(Bundle([alone]))
        for name, columns in (("predictions", ["predicted"]), ("overall", ["predicted"])):
            together, by_itself = (
                pd.read_parquet(u.folder / f"{name}.parquet")[columns] for u in (unit, alone)
            )
            np.testing.assert_allclose(together, by_itself, rtol=0, atol=1e-5)
        histories = [pd.read_parquet(u.folder / HISTORY) for u in (unit, alone)]
        np.testing.assert_allclose(*histories, rtol=1e-4, atol=1e-5)


def test_a_finished_member_is_not_written_again(pair):
    run_bundle(pair)
    kept, lost = pair.units
    before, expected = files(kept), tables(lost)
    (lost.folder / "scores.parquet").unlink()
    run_bundle(pair)
    assert files(kept) == before
    assert tables(lost) == expected


def test_what_is_left_of_a_bundle_leaves_out_what_is_finished(pair):
    assert pair.rest.units == pair.units
    run_bundle(Bundle(pair.units[:1]))
    assert pair.rest.units == pair.units[1:]
    run_bundle(pair.rest)
    assert pair.rest is None


def test_a_bundle_that_was_begun_goes_on_with_all_of_its_units(pair):
    run_bundle(Bundle(pair.units[:1]))
    pair.checkpoint.write_bytes(b"begun")
    assert pair.rest is pair


def test_a_bundle_that_could_not_be_written_goes_on_from_its_checkpoint(pair):
    first, second = pair.units
    in_the_way = second.folder / "predictions.parquet"
    in_the_way.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        run_bundle(pair)
    assert [len(rows) for rows in checkpoint.load(pair.checkpoint)[1]["rows"]] == [2, 2]
    assert [first.is_finished, second.is_finished] == [True, False]
    before = files(first), pair.checkpoint.stat().st_mtime_ns
    with pytest.raises(IsADirectoryError):
        run_bundle(pair)
    assert (files(first), pair.checkpoint.stat().st_mtime_ns) == before  # nothing was trained again
    in_the_way.rmdir()
    run_bundle(pair)
    assert second.is_finished
    assert not pair.checkpoint.exists()


def test_a_checkpoint_behind_the_last_table_of_a_bundle_is_removed(few):
    request = asked()
    experiment.run(request, few, workers=1)
    kept = bundles(plan(request, few))[0].checkpoint
    kept.write_bytes(b"killed before it was removed")
    experiment.run(request, few, workers=1)
    assert not kept.exists()


@pytest.fixture
def flat(make_session):
    """Six contents of which the ratings of one vary: only its fold cannot train."""
    same = {"rated": np.full(14, 50.0), "rated_ci": None, "overall": None, "overall_ci": None}
    varied = {"rated_ci": None, "overall": None, "overall_ci": None}
    return [make_session(c, 0, **(varied if c == 3 else same)) for c in range(6)]


def test_a_member_that_cannot_be_trained_is_named_and_the_others_are_finished(flat, refuses):
    with refuses(
        "1 of 2 failed: gru, fold content_3, seed 0: all 70 training ratings are 50.0, expected "
        "a range; is the training part a single session?",
        RuntimeError,
    ):
        experiment.run(asked(), flat, workers=1)
    finished = [unit.is_finished for unit in plan(asked(), flat)]
    assert finished == [True, True, True, False, True, True]


def test_a_bundle_that_diverges_names_the_member(few, refuses):
    (pair, *_) = bundles(
        plan(asked(learning_rate=1e30, decay=1.0, batch_size=16, sessions_at_once=32), few)
    )
    with refuses(
        "fold content_0, seed 0: loss is inf at epoch 1, batch 0; is the learning rate 1e+30 too "
        "high?",
        FloatingPointError,
    ):
        run_bundle(pair)


def test_what_training_takes_is_expected_from_seconds_and_epochs(few, monkeypatch):
    monkeypatch.setattr(units, "SECOND_S", 0.5)
    (pair, *_) = bundles(plan(asked(n_epochs=7), few))
    seconds = sum(session.n_seconds for unit in pair.units for session in unit.split.train)
    assert pair.expected_s == 0.5 * 7 * seconds
    assert bundles(plan(asked("ridge"), few))[0].expected_s == 0
