"""The mean of the seeds, against means that pandas and scores that `metrics` give of each seed."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from qoe_core import experiment, metrics, runs
from qoe_core.ensemble import mean_of_seeds
from qoe_core.experiment import TABLES, Experiment
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig
from qoe_core.predictions import TRACE_MEAN
from qoe_core.train_config import TrainConfig

INPUTS = FeatureConfig(qos=("indicator",), quality=("vmaf",))
IDENTITY = ["experiment", "model", "seed", "part"]
ROW = ["fold", "session"]


def asked(name, seeds=(0, 4), split="leave-content-out"):
    training = TrainConfig(n_epochs=2, batch_size=8, patience=2, device="cpu")
    model = ModelConfig(name=name, inputs=INPUTS, hidden=4, training=training)
    return Experiment(dataset="tiny", split=split, model=model, seeds=seeds)


def read(folder):
    return {name: runs.joined([folder / f"{name}.parquet"]) for name in TABLES}


@pytest.fixture(scope="module")
def few(make_session):
    """Three contents times four patterns."""
    return [make_session(c, p, seconds=10 + (c + p) % 6) for c in range(3) for p in range(4)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("runs")
        patch.setattr(runs, "RUNS", folder)
        yield folder


@pytest.fixture(scope="module")
def folders(root, few):
    """Of an ensemble that ran alone, which leaves its member's too."""
    ensemble = experiment.run(asked("gru-ensemble"), few, workers=1)
    return asked("gru").folder, ensemble


@pytest.fixture(scope="module")
def tables(folders):
    return tuple(read(folder) for folder in folders)


def by_seed(table, row):
    """Predictions with a column for each seed."""
    return table.pivot(index=row, columns="seed", values="predicted").sort_index()


def test_a_second_has_the_mean_of_what_the_seeds_said(tables):
    member, ensemble = (by_seed(found["predictions"], [*ROW, "second"]) for found in tables)
    assert list(member.columns) == [0, 4]
    assert not np.allclose(member[0], member[4])
    pd.testing.assert_series_equal(ensemble[0], member.mean(axis=1), check_names=False)


@pytest.mark.parametrize("behind", ["", TRACE_MEAN])
def test_a_session_has_the_mean_of_the_overall_scores(tables, behind):
    member, ensemble = (
        by_seed(found["overall"][found["overall"]["model"] == name + behind], ROW)
        for found, name in zip(tables, ("gru", "gru-ensemble"), strict=True)
    )
    assert len(member) == 36  # 12 sessions in each of three folds
    pd.testing.assert_series_equal(ensemble[0], member.mean(axis=1), check_names=False)


def test_scores_are_those_of_the_mean_and_not_the_mean_of_scores(tables):
    _, ensemble = tables
    keys = [*ROW, "part", "from_second", "metric"]
    found = ensemble["scores"].set_index(keys)["value"].to_dict()
    expected = {}
    for (fold, session, part), rows in ensemble["predictions"].groupby(
        [*ROW, "part"], observed=True
    ):
        for start in (0, 10):
            seconds = rows.sort_values("second")[start:]
            if len(seconds) < 3:
                continue
            half_width = (seconds["ci_high"] - seconds["ci_low"]).to_numpy() / 2
            pair = seconds["predicted"].to_numpy(), seconds["rated"].to_numpy()
            scores = metrics.session_scores(*pair, half_width)
            expected |= {(fold, session, part, start, m): v for m, v in scores.items()}
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", TABLES)
def test_tables_have_columns_and_types_of_those_of_one_seed(tables, name):
    member, ensemble = (found[name] for found in tables)
    assert list(ensemble.columns) == list(member.columns)
    numbers, expected = (found.select_dtypes("number").dtypes for found in (ensemble, member))
    assert numbers.to_dict() == expected.to_dict()


@pytest.mark.parametrize("name", ["predictions", "overall"])
def test_everything_but_predictions_is_that_of_the_sessions(tables, name):
    member, ensemble = (
        found[name].drop(columns=[*IDENTITY, "predicted"]).drop_duplicates() for found in tables
    )
    pd.testing.assert_frame_equal(ensemble.reset_index(drop=True), member.reset_index(drop=True))


def test_the_ensemble_stands_under_its_own_name(tables):
    for table in tables[1].values():
        assert set(table["model"]) <= {"gru-ensemble", f"gru-ensemble{TRACE_MEAN}"}
        assert set(table["seed"]) == {0}
    experiments = {name for table in list(tables[1].values())[:2] for name in table["experiment"]}
    assert experiments == {"tiny--leave-content-out--gru-ensemble"}


def test_what_one_seed_validated_on_and_another_trained_on_is_train(tables):
    member, ensemble = (
        found["overall"].drop_duplicates([*ROW, "seed"]).set_index(ROW)["part"].astype(str)
        for found in tables
    )
    parts = member.groupby(level=ROW).agg(lambda found: "+".join(sorted(set(found))))
    assert set(parts) >= {"train", "train+validation", "test"}
    expected = parts.replace("train+validation", "train")
    assert ensemble.sort_index().to_dict() == expected.to_dict()


def test_the_record_names_the_members_and_leads_to_no_unit(folders):
    record, member = (json.loads((f / "run.json").read_text()) for f in folders[::-1])
    assert record["members"] == "tiny--leave-content-out--gru"
    assert record["units"] == {}
    assert record["experiment"]["model"]["name"] == "gru-ensemble"
    same = set(member) - {"experiment", "units"}
    assert {name: record[name] for name in same} == {name: member[name] for name in same}


def test_a_second_run_computes_nothing_and_gives_the_same_tables(folders, few):
    before = {name: (folders[1] / f"{name}.parquet").read_bytes() for name in TABLES}
    units = {p: p.stat().st_mtime_ns for p in (folders[0] / "units").rglob("*.parquet")}
    experiment.run(asked("gru-ensemble"), few, workers=1)
    assert json.loads((folders[1] / "run.json").read_text())["computed"] == 0
    assert {p: p.stat().st_mtime_ns for p in (folders[0] / "units").rglob("*.parquet")} == units
    assert {name: (folders[1] / f"{name}.parquet").read_bytes() for name in TABLES} == before


@pytest.mark.usefixtures("folders")
def test_an_ensemble_of_one_seed_is_that_seed(few):
    request = dataclasses.replace(asked("gru-ensemble", seeds=(4,)), study="alone")
    ensemble = read(experiment.run(request, few, workers=1))
    member = read(dataclasses.replace(request, model=request.model.member).folder)
    for name in TABLES:
        found, expected = (read[name] for read in (ensemble, member))
        others = found.columns.difference(IDENTITY)
        pd.testing.assert_frame_equal(found[others], expected[others])
        assert found["part"].tolist() == expected["part"].tolist()


def test_an_ensemble_under_a_split_that_its_seeds_draw_is_refused_before_training(refuses):
    with refuses(
        "tiny--random-by-video--gru-ensemble: every seed draws another split, so there is nothing "
        "to average; expected one of ['leave-content-out', 'strict', 'video-atlas', 'released', "
        "'released-related']"
    ):
        asked("gru-ensemble", split="random-by-video")


def test_seeds_that_were_tested_on_other_sessions_of_one_fold_are_refused(tables, refuses):
    overall = tables[0]["overall"]
    seed = overall["seed"] == 4
    swapped = overall["part"].astype(str).where(~seed, "train")
    with refuses(
        "2 seeds of tiny--leave-content-out--gru were tested on different sessions, expected the "
        "same; does the seed draw the split?"
    ):
        mean_of_seeds(tables[0]["predictions"], overall.assign(part=swapped), "gru", "gru-ensemble")


def test_a_session_that_only_one_seed_looked_at_is_refused(tables, refuses):
    """Not tested on, so that the parts alone would not show it."""
    overall = tables[0]["overall"]
    left = overall[(overall["seed"] == 0) | (overall["part"] == "test")]
    with refuses(
        "2 seeds of tiny--leave-content-out--gru were tested on different sessions, expected the "
        "same; does the seed draw the split?"
    ):
        mean_of_seeds(tables[0]["predictions"], left, "gru", "gru-ensemble")


def test_a_data_set_that_is_named_like_the_model_keeps_its_name(tables):
    member = [tables[0][name] for name in ("predictions", "overall")]
    named = [table.assign(experiment="gru_set--strict--gru", dataset="gru_set") for table in member]
    found = mean_of_seeds(*named, "gru", "gru-ensemble")["predictions"]
    assert set(found["experiment"]) == {"gru_set--strict--gru-ensemble"}


@pytest.mark.parametrize(
    ("field", "empty"), [("rated", ["predictions", "scores"]), ("overall", ["overall"])]
)
@pytest.mark.usefixtures("root")
def test_a_target_that_nobody_rated_has_an_empty_table(make_session, field, empty):
    missing = {field: None, f"{field}_ci": None}
    sessions = [make_session(c, p, **missing) for c in range(2) for p in range(3)]
    request = dataclasses.replace(asked("gru-ensemble"), study=field)
    found = read(experiment.run(request, sessions, workers=1))
    assert [name for name, table in found.items() if table.empty] == empty
