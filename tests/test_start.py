"""Training that goes on from the weights of another experiment: whose, and whose never."""

import json
import shutil

import numpy as np
import pytest

from qoe_core import experiment, runs
from qoe_core.checkpoint import load
from qoe_core.experiment import Experiment, plan
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import LSTM_QOE, NETWORKS, ModelConfig, build
from qoe_core.runs import WEIGHTS
from qoe_core.train_config import TrainConfig

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))
SOURCE = "first/tiny--leave-content-out/gru"
FOREIGN = "first/other--leave-content-out/gru"
CHAIN = "chain/other--leave-content-out/gru"
NOT_RUN = "expected <study>/<dataset>--<split>/<model> of a finished experiment under"
NOT_ITS_OWN = (
    "expected a network, on the same data set the same split, fold and seed, and on another one no "
    "start from this one, since others were trained on what this fold tests"
)


def row(name="gru", inputs=INPUTS, **changes):
    settings = {"n_epochs": 1, "batch_size": 8, "device": "cpu"}
    training = TrainConfig(**settings | changes)
    return ModelConfig(name=name, inputs=inputs, hidden=4, training=training)


def asked(start="", dataset="tiny", study="second", seeds=(0, 4), model=None, **changes):
    settings = {"dataset": dataset, "split": "leave-content-out", "study": study} | changes
    return Experiment(**settings, model=model or row(), seeds=seeds, start=start)


@pytest.fixture(scope="module")
def few(make_session):
    """Three contents times two patterns."""
    return [make_session(c, p) for c in range(3) for p in range(2)]


@pytest.fixture(scope="module")
def others(make_session):
    """Another data set of the same size."""
    return [make_session(c, p, seconds=12, dataset="other") for c in range(3) for p in range(2)]


@pytest.fixture(scope="module")
def root(tmp_path_factory, few, others):
    """Runs of SOURCE, a ridge, FOREIGN, CHAIN, which went on from SOURCE, and one from CHAIN."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("root") / "runs"
        patch.setattr(runs, "RUNS", folder)
        experiment.run(asked(study="first"), few, workers=1)
        experiment.run(asked(study="first", model=row("ridge")), few, workers=1)
        experiment.run(asked(study="first", dataset="other"), others, workers=1)
        experiment.run(asked(SOURCE, "other", "chain"), others, workers=1)
        experiment.run(asked(CHAIN, "other", "longer"), others, workers=1)
        shutil.copytree(folder / "first", folder.parent / "outside")
        yield folder


def tensors(folder):
    return load(folder / WEIGHTS)[0]


def furthest(unit, start):
    """The largest difference of any weight of a unit that was trained to one in `start`."""
    there, here = tensors(start.parent), tensors(unit.folder)
    assert there.keys() == here.keys()
    return max((there[name] - here[name]).abs().max().item() for name in here)


def unit_of(source, fold, seed, root):
    """The weights that `run` left for a fold and seed."""
    units = json.loads((root / source / "run.json").read_text())["units"]
    return root / source / "units" / units[f"fold {fold}, seed {seed}"] / WEIGHTS


def test_on_the_same_data_set_a_unit_goes_on_from_its_own_fold_and_seed(root, few):
    for unit in plan(asked(SOURCE), few):
        assert unit.start == unit_of(SOURCE, unit.split.fold, unit.seed, root)


def test_on_another_data_set_a_unit_goes_on_from_the_first_fold_with_its_seed(root, few):
    for unit in plan(asked(FOREIGN), few):
        assert unit.start == unit_of(FOREIGN, "content_0", unit.seed, root)


def test_training_begins_at_the_weights_of_the_start(root, few):
    # AdamW moves a weight by at most about the learning rate: 1e-9 in the one step of an epoch
    slow = asked(SOURCE, study="slow", model=row(learning_rate=1e-9))
    experiment.run(slow, few, workers=1)
    units = plan(slow, few)
    starts = [unit_of(SOURCE, unit.split.fold, unit.seed, root) for unit in units]
    assert max(furthest(*pair) for pair in zip(units, starts, strict=True)) < 1e-8
    assert min(furthest(*pair) for pair in zip(units, reversed(starts), strict=True)) > 1e-3


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != LSTM_QOE])
def test_every_network_can_go_on(sessions, tmp_path, name):
    first = build(row(name)).fit(sessions[:8], [], seed=0)
    first.save(tmp_path / WEIGHTS)
    slow = build(row(name, learning_rate=1e-9), start=tmp_path / WEIGHTS)
    second = slow.fit(sessions[:8], [], seed=1)
    scores = [model.predict(sessions[-1]).continuous for model in (first, second)]
    np.testing.assert_allclose(*scores, rtol=0, atol=1e-4)  # of a rating range of about 100


def test_the_start_is_a_part_of_what_a_unit_is(root, few):
    plans = [plan(asked(start), few) for start in ("", SOURCE, FOREIGN)]
    assert len({unit.folder for units in plans for unit in units}) == 18
    assert [unit.folder for unit in plan(asked(SOURCE), few)] == [u.folder for u in plans[1]]


def test_other_bytes_of_the_start_make_another_unit(root, few):
    before = plan(asked(SOURCE), few)
    found = before[0].start.read_bytes()
    before[0].start.write_bytes(found + b" ")
    after = plan(asked(SOURCE), few)
    before[0].start.write_bytes(found)
    changed = [a.folder != b.folder for a, b in zip(before, after, strict=True)]
    assert changed == [True] + [False] * 5


@pytest.mark.parametrize(
    ("start", "changes", "unit"),
    [
        # another split tests what this one was trained on
        (SOURCE, {"split": "strict"}, "strict, fold content_0+patterns_0, seed 0"),
        (SOURCE, {"seeds": (1,)}, "leave-content-out, fold content_0, seed 1"),
        (FOREIGN, {"seeds": (1,)}, "leave-content-out, fold content_0, seed 1"),
        # a model without weights
        ("first/tiny--leave-content-out/ridge", {}, "leave-content-out, fold content_0, seed 0"),
    ],
)
def test_weights_that_are_not_its_own_are_refused(root, few, refuses, start, changes, unit):
    with refuses(f"{start}: no weights that tiny, {unit} may go on from; {NOT_ITS_OWN}"):
        plan(asked(start, **changes), few)


@pytest.mark.parametrize("start", [CHAIN, CHAIN.replace("chain", "longer")])
def test_weights_that_went_on_from_this_data_set_elsewhere_are_refused(root, few, refuses, start):
    """They know what all folds but the first test."""
    with refuses(
        f"{start}: no weights that tiny, leave-content-out, fold content_0, seed 0 may go on from; "
        f"{NOT_ITS_OWN}"
    ):
        plan(asked(start), few)


@pytest.mark.parametrize(
    "start",
    [
        *("../x/y--z/w", "../outside/other--leave-content-out/gru", f"first/../{FOREIGN}"),
        *("/first/other--leave-content-out/gru", f"{FOREIGN}/", f"{FOREIGN}/../gru", "gru"),
        *(f"./{FOREIGN}", f"{FOREIGN}\n", "second/tiny--leave-content-out/tcn"),
    ],
)
def test_what_is_no_finished_experiment_is_refused(root, few, refuses, start):
    with refuses(f"start is {start!r}, {NOT_RUN} {root}; has it been run?"):
        plan(asked(start), few)


def test_an_experiment_cannot_go_on_from_itself(refuses):
    """Each run would start from the last one and never be finished."""
    with refuses(f"start is {SOURCE!r}, the experiment itself; expected another"):
        asked(SOURCE, study="first")


def test_a_fold_of_the_same_name_in_another_split_is_another_fold(root, refuses):
    folder = root / "named" / "tiny--strict" / "gru"
    (folder / "units" / "d").mkdir(parents=True)
    (folder / "units" / "d" / WEIGHTS).touch()
    record = {"experiment": {"start": ""}, "units": {"fold a, seed 0": "d"}}
    (folder / "run.json").write_text(json.dumps(record))
    with refuses(
        "named/tiny--strict/gru: no weights that tiny, leave-content-out, fold a, seed 0 may go "
        f"on from; {NOT_ITS_OWN}"
    ):
        runs.weights("named/tiny--strict/gru", "tiny", "leave-content-out", "a", 0)


def test_two_experiments_that_went_on_from_one_another_are_not_followed_for_ever(root, refuses):
    """As when the first was run again after the second."""
    paths = ["one/other--strict/gru", "two/other--strict/gru"]
    for path, start in zip(paths, reversed(paths), strict=True):
        (root / path).mkdir(parents=True)
        record = {"experiment": {"start": start}, "units": {}}
        (root / path / "run.json").write_text(json.dumps(record))
    with refuses(
        f"{paths[0]}: no weights that tiny, strict, fold a, seed 0 may go on from; {NOT_ITS_OWN}"
    ):
        runs.weights(paths[0], "tiny", "strict", "a", 0)


@pytest.mark.parametrize("name", ["ridge", "constant"])
def test_a_row_without_weights_cannot_go_on(tmp_path, refuses, name):
    with refuses(f"{name!r} has no weights to go on from, expected {NETWORKS}"):
        build(row(name), start=tmp_path / WEIGHTS)


def test_weights_of_other_inputs_are_refused(root, few, refuses):
    """As many columns, so that the shapes would fit."""
    other = FeatureConfig(qos=("recency", "indicator"), quality=("vmaf",))
    path = unit_of(SOURCE, "content_0", 0, root)
    there, here = (
        json.dumps({"qos": list(config.qos), "quality": ["vmaf"], "frames": None})
        for config in (INPUTS, other)
    )
    with refuses(
        f"{path}: trained on inputs {there}, expected {here}; choose the same qos and quality"
    ):
        build(row(inputs=other), start=path).fit(few, [], seed=0)
