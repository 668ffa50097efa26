"""What a row of the history says of the validation sessions, checked against numpy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from qoe_core import checkpoint
from qoe_core.batches import Example
from qoe_core.experiment import Experiment, plan
from qoe_core.inputs import FeatureConfig
from qoe_core.losses import LossConfig
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.train_config import TrainConfig
from qoe_core.training import CHECKPOINT, fit


class FirstInput(nn.Module):
    """Scores every second with its first input, and a session with the mean of them."""

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, inputs, valid):
        scores = inputs[..., 0] + 0 * self.nothing
        return scores, (scores * valid).sum(1) / valid.sum(1)


def validated(module, examples, batch_size=4, loss=None):
    """The only row of a training that cannot depend on the batch size, having one session."""
    config = TrainConfig(n_epochs=1, batch_size=batch_size, device="cpu", loss=loss or LossConfig())
    return fit(module, examples[:1], examples, config, seed=0).iloc[0]


@pytest.mark.parametrize("huber", [None, 0.1])
def test_the_validation_row_does_not_depend_on_the_batches(examples, huber):
    examples[3] = Example(examples[3].inputs, examples[3].rated * 0 + 0.5, examples[3].overall)
    examples[4] = Example(examples[4].inputs, examples[4].rated * math.nan, examples[4].overall)
    rows = []
    for batch_size in (1, 3, 8):
        torch.manual_seed(0)
        module = Recurrent(3, RecurrentConfig(hidden=8))
        row = validated(module, examples, batch_size, LossConfig(huber=huber))
        rows.append({n: row[n] for n in row.index if n.startswith(("validation", "metrics"))})
    assert len(rows[0]) == 7  # five losses, two metrics
    assert rows[1] == pytest.approx(rows[0], rel=1e-6)
    assert rows[2] == pytest.approx(rows[0], rel=1e-6)


def test_the_validation_mse_is_over_all_seconds(examples):
    errors = np.concatenate([(e.inputs[:, 0] - e.rated).numpy() for e in examples])
    row = validated(FirstInput(), examples)
    assert row["validation/mse"] == pytest.approx(np.mean(errors**2), rel=1e-5)
    assert row["metrics/validation_rmse"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=1e-5)


def test_the_validation_plcc_is_the_mean_over_sessions(examples):
    plcc = [stats.pearsonr(e.inputs[:, 0], e.rated).statistic for e in examples]
    row = validated(FirstInput(), examples)
    # 1e-5: the floor of 1e-8 under variances of labels from 0.001 on
    assert row["metrics/validation_plcc"] == pytest.approx(np.mean(plcc), rel=1e-5)
    assert row["validation/plcc"] == pytest.approx(1 - np.mean(plcc), rel=1e-5)


def test_the_validation_loss_is_the_weighted_sum_of_its_terms(examples):
    weights = {"mse": 2.0, "plcc": 0.5, "change": 4.0, "overall": 3.0}
    row = validated(FirstInput(), examples, loss=LossConfig(**weights))
    terms = [row[f"validation/{name}"] for name in weights]
    assert row["validation/loss"] == pytest.approx(np.dot([*weights.values()], terms), rel=1e-12)


def test_labels_that_never_vary_have_no_validation_plcc(examples):
    flat = [Example(e.inputs, e.rated * 0 + 0.5, e.overall) for e in examples]
    row = validated(FirstInput(), flat)
    assert [name for name in row.index if name.startswith("metrics/")] == [
        "metrics/validation_rmse"
    ]


def test_validation_batches_hold_sessions_of_similar_length(examples):
    class Recorder(FirstInput):
        lengths = []

        def forward(self, inputs, valid):
            if not self.training:
                self.lengths.append(valid.sum(1).tolist())
            return super().forward(inputs, valid)

    shuffled = [examples[place] for place in (4, 9, 0, 7, 2, 8, 1, 6, 3, 5)]
    validated(Recorder(), shuffled)
    assert sorted(Recorder.lengths) == [[7, 6], [11, 10, 9, 8], [15, 14, 13, 12]]


def test_the_training_row_is_over_all_seconds_whatever_the_batches(examples):
    config = TrainConfig(n_epochs=1, batch_size=3, noise=0.0, device="cpu")
    row = fit(FirstInput(), examples, [], config, seed=0).iloc[0]
    errors = np.concatenate([(e.inputs[:, 0] - e.rated).numpy() for e in examples])
    assert row["train/mse"] == pytest.approx(np.mean(errors**2), rel=1e-5)


class Falling(FirstInput):
    """Worse on validation sessions every epoch."""

    def forward(self, inputs, valid):
        scores, overall = super().forward(inputs, valid)
        if self.training:
            self.worse = getattr(self, "worse", 0) + 1
            return scores, overall
        return scores + self.worse, overall


@pytest.mark.parametrize(("patience", "n_epochs"), [(None, 9), (2, 3)])
def test_only_patience_ends_training_before_its_last_epoch(examples, patience, n_epochs):
    config = TrainConfig(n_epochs=9, patience=patience, device="cpu")
    history = fit(Falling(), examples[:7], examples[7:], config, seed=0)
    assert history["validation/loss"].is_monotonic_increasing
    assert len(history) == n_epochs


@pytest.mark.parametrize(
    ("kept_from", "n_epochs", "kept"), [(1, 3, 1), (2, 4, 2), (5, 7, 5), (8, 9, 8), (99, 9, 9)]
)
def test_the_best_epoch_is_looked_for_from_one_on(examples, tmp_path, kept_from, n_epochs, kept):
    """Patience counts from there too."""
    config = TrainConfig(n_epochs=9, patience=2, kept_from=kept_from, device="cpu")
    history = fit(Falling(), examples[:7], examples[7:], config, seed=0, folder=tmp_path)
    assert len(history) == n_epochs
    assert checkpoint.load(tmp_path / CHECKPOINT)[1]["best_epoch"] == [kept]


@pytest.mark.parametrize("patience", [None, 2])
def test_only_a_network_with_patience_keeps_a_validation_part(sessions, patience):
    model = ModelConfig(
        name="gru",
        inputs=FeatureConfig(qos=("indicator",), quality=("vmaf",)),
        training=TrainConfig(patience=patience, device="cpu"),
    )
    assert build(model).stops_early == (patience is not None)
    for unit in plan(Experiment(dataset="tiny", split="strict", model=model), sessions):
        parts = {part: len(members) for part, members in unit.split.parts.items()}
        assert (parts["validation"] > 0) == (patience is not None)
        assert parts["train"] + parts["validation"] == 15  # 5 contents times 3 patterns
