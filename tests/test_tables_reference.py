"""Which row of a table the others are compared with."""

import numpy as np
import pandas as pd
import pytest

from qoe_core import runs, tables
from qoe_core.tables import OURS

ASKED = {"study": "chapter", "dataset": "tiny", "split": "leave-content-out"}
PLCC = {"ridge": 0.6, "gru": 0.7, OURS: 0.9, f"{OURS}-qos": 0.8}
MODELS = list(PLCC)
SESSIONS = [f"s{number:02d}" for number in range(12)]
CONTENTS = ["abcd"[number % 4] for number in range(12)]


def scores_of(model):
    noise = np.random.default_rng([*model.encode()]).uniform(-0.04, 0.04, len(SESSIONS))
    same = {"model": model, "seed": 0, "part": "test", "from_second": 0, "metric": "plcc"}
    found = pd.DataFrame({"session": SESSIONS, "content": CONTENTS, "value": PLCC[model] + noise})
    return found.assign(**same)


def overall_of(model):
    """The network's trace mean is the best row of all."""
    rated = np.linspace(0, 1, len(SESSIONS))
    noise = np.random.default_rng([1, *model.encode()]).normal(0, 1 - PLCC[model], len(SESSIONS))
    found = pd.DataFrame({"session": SESSIONS, "content": CONTENTS, "rated": rated})
    found = found.assign(model=model, predicted=rated + noise)
    derived = found.assign(model=f"{model}, trace mean", predicted=rated + noise / 10)
    unknown = {"ci_low": np.nan, "ci_high": np.nan, "label_low": 0.0, "label_high": 1.0}
    return pd.concat([found, derived]).assign(**unknown, seed=0, fold="", part="test")


@pytest.fixture(autouse=True)
def _finished(tmp_path, monkeypatch):
    """Four experiments as `run` would have left them."""
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    for model in MODELS:
        folder = runs.run_folder(**ASKED, model=model)
        folder.mkdir(parents=True)
        scores_of(model).to_parquet(folder / "scores.parquet")
        overall_of(model).to_parquet(folder / "overall.parquet")


def references(table, target):
    chosen = table[(table["target"] == target) & (table["metric"] == "plcc")]
    return chosen.set_index("model")["reference"].to_dict()


def test_the_best_baseline_is_never_a_row_of_the_network():
    found = references(tables.results(**ASKED, models=MODELS), "continuous")
    assert found == {"ridge": "gru", "gru": "", OURS: "gru", f"{OURS}-qos": "gru"}


def test_nor_is_it_the_trace_mean_of_the_network():
    found = references(tables.results(**ASKED, models=MODELS), "overall")
    assert set(found.values()) == {"", "gru, trace mean"}


def test_the_network_is_better_than_the_best_baseline():
    found = tables.results(**ASKED, models=MODELS).set_index(["target", "metric", "model"])
    assert found.loc[("continuous", "plcc", OURS), "verdict"] == "better"
    assert found.loc[("continuous", "plcc", OURS), "diff_mean"] > 0.1


def test_a_named_reference_is_that_of_every_other_row():
    found = tables.results(**ASKED, models=MODELS, reference=OURS)
    expected = {"ridge": OURS, "gru": OURS, OURS: "", f"{OURS}-qos": OURS}
    assert references(found, "continuous") == expected
    assert set(references(found, "overall").values()) == {OURS, ""}


def test_rows_of_the_network_alone_can_have_one_of_them_as_reference():
    models = [OURS, f"{OURS}-qos"]
    found = tables.results(**ASKED, models=models, reference=OURS)
    assert references(found, "continuous") == {OURS: "", f"{OURS}-qos": OURS}


def test_a_metric_that_the_reference_has_no_value_of_is_not_compared():
    path = runs.run_folder(**ASKED, model=OURS) / "scores.parquet"
    scores_of(OURS)[:0].astype(object).to_parquet(path)
    found = tables.results(**ASKED, models=MODELS, reference=OURS)
    assert set(references(found, "continuous").values()) == {""}


def test_a_reference_that_is_not_among_the_models_is_refused(refuses):
    with refuses(
        "reference is 'dual_attention', expected 'best baseline' or one of ['ridge', 'gru']; "
        "is its row missing from the models?"
    ):
        tables.results(**ASKED, models=["ridge", "gru"], reference=OURS)


def test_rows_of_the_network_alone_have_no_best_baseline(refuses):
    with refuses(
        "models are ['dual_attention'], all of them rows of dual_attention, expected a baseline "
        "too; is one of them to be the reference?"
    ):
        tables.results(**ASKED, models=[OURS])
