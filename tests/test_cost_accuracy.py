"""The Pareto front by hand, and of costs what holds on every machine."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from qoe_core import cost, cost_accuracy, runs
from qoe_core.cost_accuracy import costs, pareto_front
from qoe_core.experiment import Experiment
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig

INPUTS = FeatureConfig(qos=("indicator", "switch"), quality=("vmaf",))
MODELS = [
    *("constant", "ridge", "gru", "gru-ensemble", "dual_attention-frames"),
    *("dual_attention", "dual_attention-not_causal", "echo_state"),
]
COUNTS = ["parameters", "multiply_adds_per_second"]


@pytest.mark.parametrize(
    ("price", "gain", "front"),
    [
        ([1, 2, 3], [0.8, 0.7, 0.9], [True, False, True]),
        ([1, 1, 2], [0.8, 0.7, 0.8], [True, False, False]),
        ([1, 1, 2], [0.8, 0.8, 0.9], [True, True, True]),
        ([3, 2, 1], [0.7, 0.8, 0.9], [False, False, True]),
        ([1, np.nan, 2], [0.8, 0.9, 0.7], [True, False, False]),
        ([1, 2, 3], [np.nan, 0.8, 0.9], [False, True, True]),
        ([1], [0.0], [True]),
    ],
)
def test_the_front_is_what_no_other_model_beats(price, gain, front):
    assert pareto_front(np.array(price, float), np.array(gain, float)).tolist() == front


def test_nothing_on_the_front_is_beaten_and_everything_off_it_is():
    rng = np.random.default_rng(0)
    price, gain = rng.integers(0, 6, (2, 40)).astype(float)
    front = pareto_front(price, gain)
    for i in range(40):
        beaten = any(
            price[j] <= price[i]
            and gain[j] >= gain[i]
            and (price[j], gain[j]) != (price[i], gain[i])
            for j in range(40)
        )
        assert front[i] == (not beaten)


@pytest.fixture(scope="module")
def table(tmp_path_factory, make_session):
    """Costs of finished experiments, of which nothing is read but run.json."""
    sessions = [make_session(c, p, seconds=10 + 2 * c) for c in range(3) for p in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "RUNS", tmp_path_factory.mktemp("runs"))
        patch.setattr(cost_accuracy, "MEASURED_S", 1e-3)
        patch.setattr(cost, "MEASURED_S", 1e-3)
        for name in MODELS:
            row = ModelConfig(name=name, inputs=INPUTS, hidden=12)
            asked = Experiment(
                dataset="tiny", split="leave-content-out", model=row, study="chapter"
            )
            asked.folder.mkdir(parents=True)
            record = json.dumps({"experiment": dataclasses.asdict(asked)})
            (asked.folder / "run.json").write_text(record)
        yield costs("chapter", "tiny", "leave-content-out", MODELS, sessions).set_index("model")


def test_rows_that_see_nothing_or_frames_are_left_out(table):
    assert list(table.index) == [
        m for m in MODELS if m not in ("constant", "dual_attention-frames")
    ]
    assert ["model", *table.columns] == cost_accuracy.COLUMNS


def test_a_session_of_median_length_is_measured(table):
    assert set(table["seconds"]) == {12}


def test_every_row_takes_time(table):
    assert (table["ms_per_second"] > 0).all()


def test_counts_of_a_network_are_those_of_cost_for_the_sizes_it_was_run_with(table):
    module = ModelConfig(name="gru", inputs=INPUTS, hidden=12).module(2, 1)
    counted = dataclasses.asdict(cost.cost(module, 12, 3))
    assert table.loc["gru", COUNTS].to_list() == [counted[name] for name in COUNTS]


def test_what_is_no_network_has_no_counts(table):
    assert table.loc["ridge", [*COUNTS, "streaming_ms_per_second"]].isna().all()
    assert table.loc["ridge", "networks"] == 0


def test_an_ensemble_costs_as_much_as_its_members(table):
    assert table.loc["gru-ensemble", "networks"] == 3
    assert (table.loc["gru-ensemble", COUNTS] == 3 * table.loc["gru", COUNTS]).all()


def test_only_causal_networks_stream(table):
    streams = table["streaming_ms_per_second"].notna()
    assert list(streams.index[streams]) == ["gru", "gru-ensemble", "dual_attention"]


def test_streaming_scores_every_prefix_from_the_start():
    seen = []

    class Watched(nn.Module):
        def forward(self, inputs, valid):
            seen.append(inputs.shape[1])
            return inputs.mean(-1), inputs.mean((1, 2))

    cost_accuracy._streaming(Watched(), torch.rand(1, 4, 2))
    assert seen[:2] == [4, 4]  # whether it is causal
    assert seen[2:6] == [1, 2, 3, 4]
