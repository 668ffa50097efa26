"""Networks of a finished experiment, which was really run."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from qoe_core import experiment, runs
from qoe_core.experiment import Experiment
from qoe_core.inputs import FeatureConfig, features
from qoe_core.models.table_rows import ModelConfig
from qoe_core.train_config import TrainConfig
from qoe_core.trained import Trained, row, was_run
from tests.conftest import make_session

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))
WHERE = {"study": "chapter", "dataset": "tiny", "split": "leave-content-out"}
SESSIONS = [make_session(c, p, seconds=12) for c in range(3) for p in range(2)]
NAME = "content_1_pattern_0"


def ran(model):
    """The folder of a finished experiment."""
    row = ModelConfig(
        name=model, inputs=INPUTS, hidden=8, training=TrainConfig(n_epochs=1, device="cpu")
    )
    asked = Experiment(**WHERE, model=row, seeds=(0,))
    return experiment.run(asked, SESSIONS, workers=1)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of runs with a network, an ensemble of it, and a ridge."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "RUNS", folder)
        for model in ("gru-ensemble", "ridge"):
            ran(model)
    return folder


@pytest.fixture(autouse=True)
def _runs(root, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", root)


@pytest.fixture
def trained():
    return Trained(**WHERE, model="gru")


def test_the_fold_of_a_session_is_the_one_that_tested_it(trained):
    assert trained.fold(NAME) == "content_1"
    assert NAME not in trained.trained_on("content_1")
    assert {name.partition("_p")[0] for name in trained.trained_on("content_1")} == {
        "content_0",
        "content_2",
    }


def test_the_network_says_what_was_written_of_the_session(trained, root):
    table = runs.load(*WHERE.values(), ["gru"], "predictions")
    (session,) = [session for session in SESSIONS if session.name == NAME]
    said = trained.network("content_1").predict(session).continuous
    rows = table[(table["session"] == NAME) & (table["part"] == "test")]
    rated = [s.rated for s in SESSIONS if s.content != "content_1"]
    low, high = np.min(rated), np.max(rated)
    np.testing.assert_allclose((said - low) / (high - low), rows["predicted"], atol=1e-5)


def test_the_baseline_is_the_mean_over_the_seconds_of_the_training_sessions(trained):
    network = trained.network("content_1")
    seen = [features(s, INPUTS) for s in SESSIONS if s.content != "content_1"]
    expected = np.mean([network.scaling(values) for values in seen], axis=(0, 1))
    np.testing.assert_allclose(trained.baseline("content_1", SESSIONS), expected)


def test_a_baseline_needs_all_training_sessions(trained, refuses):
    with refuses(
        "1 of 4 training sessions of fold 'content_1' are not among the 5 given, expected all: "
        "content_0_pattern_0 is missing; are they those of tiny?"
    ):
        trained.baseline("content_1", SESSIONS[1:])


def test_what_was_not_run_is_refused_with_how_to_run_it(root, refuses):
    assert not was_run(*WHERE.values(), "lstm")
    with refuses(
        f"{root}/chapter/tiny--leave-content-out/lstm: not run; `make results` runs it, or "
        "notebooks/02_train.ipynb with study='chapter', dataset='tiny', "
        "split='leave-content-out', model='lstm'"
    ):
        Trained(**WHERE, model="lstm")


def test_a_row_without_weights_is_refused(refuses):
    with refuses(
        "'ridge' is no network, expected a row of ['rnn', 'lstm', 'gru', 'tcn', 'lstm_qoe', "
        "'dual_attention']; the others keep no weights"
    ):
        Trained(**WHERE, model="ridge")


def test_an_ensemble_is_refused_for_one_of_its_members(refuses):
    with refuses(
        "'gru-ensemble' is the mean of several networks, expected one of them: choose 'gru' and a "
        "seed"
    ):
        Trained(**WHERE, model="gru-ensemble")


def test_another_seed_is_refused(root, refuses):
    with refuses(f"{root}/chapter/tiny--leave-content-out/gru: no seed 7, expected one of [0]"):
        Trained(**WHERE, model="gru", seed=7)


def test_a_session_that_was_not_tested_is_refused(trained, refuses):
    with refuses(
        "'zebra' is not a test session of 'gru' on tiny, leave-content-out, seed 0; is the name "
        "that of another data set?"
    ):
        trained.fold("zebra")


def test_another_fold_is_refused(trained, root, refuses):
    folder, folds = root / "chapter/tiny--leave-content-out/gru", ["content_0", "content_1"]
    folds.append("content_2")
    with refuses(
        f"{folder}: no weights of fold zebra, seed 0, expected a fold of {folds}; were they "
        "deleted after the run?"
    ):
        trained.network("zebra")
    with refuses(f"{folder}: no fold 'zebra', expected one of {folds}"):
        trained.trained_on("zebra")


@pytest.fixture
def copied(root, tmp_path, monkeypatch):
    """The folder of the network, alone under another root, to be changed."""
    source = root / "chapter/tiny--leave-content-out/gru"
    target = tmp_path / "chapter/tiny--leave-content-out/gru"
    for path in source.rglob("*"):
        if path.suffix in (".json", ".parquet", ".safetensors"):
            there = target / path.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_bytes(path.read_bytes())
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    return target


def rewrite(folder, change):
    record = runs.record(folder)
    change(record)
    (folder / "run.json").write_text(json.dumps(record))


def test_weights_of_other_sizes_are_refused(copied):
    rewrite(copied, lambda record: record["experiment"]["model"].update(hidden=9))
    with pytest.raises(ValueError, match="was it saved with other sizes"):
        Trained(**WHERE, model="gru").network("content_1")


def test_a_unit_outside_of_its_folder_is_never_opened(copied):
    outside = f"../../../../{copied.name}/units"
    rewrite(copied, lambda record: record["units"].update({"fold content_1, seed 0": outside}))
    with pytest.raises(ValueError, match="no weights of fold content_1, seed 0"):
        Trained(**WHERE, model="gru").network("content_1")


def test_a_record_of_another_version_is_refused(copied):
    rewrite(copied, lambda record: record["experiment"]["model"]["network"].update(new=1))
    with pytest.raises(ValueError, match=r"unexpected keyword argument 'new'.*run it again\Z"):
        Trained(**WHERE, model="gru")


def test_of_several_folds_that_tested_a_session_one_has_to_be_chosen(copied, refuses):
    table = pd.read_parquet(copied / "predictions.parquet")
    table[table["session"] == NAME].assign(part="test").to_parquet(copied / "predictions.parquet")
    found = Trained(**WHERE, model="gru")
    assert found.folds(NAME) == ["content_0", "content_1", "content_2"]
    with refuses(
        f"{NAME!r} was tested in 3 folds under leave-content-out, expected one; choose one of "
        "['content_0', 'content_1', 'content_2']"
    ):
        found.fold(NAME)


def test_it_reads_and_never_writes(trained, root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    trained.network(trained.fold(NAME))
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert dataclasses.is_dataclass(trained)


def test_a_row_has_the_sizes_and_options_that_it_was_run_with():
    asked = ModelConfig(name="echo_state", inputs=INPUTS, hidden=7, peer={"units": 9})
    as_stored = json.loads(json.dumps(dataclasses.asdict(asked)))
    assert row("echo_state", as_stored) == asked
