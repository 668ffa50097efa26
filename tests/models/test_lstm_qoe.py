"""LSTM-QoE: its protocol, and what its rectifier and its window do."""

import numpy as np
import pytest
import torch

from qoe_core.inputs import FeatureConfig
from qoe_core.models.lstm_qoe import LSTMQoE
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.train_config import TrainConfig

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))


@pytest.fixture
def row():
    training = TrainConfig(n_epochs=2, batch_size=16, noise=0.3, device="cpu", precision="bfloat16")
    return build(ModelConfig(name="lstm_qoe", inputs=INPUTS, training=training))


def test_its_recipe_is_the_published_one_whatever_others_have(row):
    recipe = row.training
    assert (recipe.n_epochs, recipe.batch_size, recipe.kept_from) == (50, 1, 5)
    assert (recipe.learning_rate, recipe.decay, recipe.weight_decay) == (1e-3, 1.0, 0.0)
    assert (recipe.noise, recipe.loss.plcc, recipe.loss.change, recipe.loss.overall) == (0, 0, 0, 0)


def test_the_device_and_the_precision_are_those_that_were_asked_for(row):
    assert (row.training.device, row.training.precision) == ("cpu", "bfloat16")


def test_it_keeps_sessions_apart_to_select_its_epoch(row):
    assert row.stops_early


def test_it_has_the_parameters_of_two_lstm_layers_of_22_units():
    # 4 gates of (inputs + units) weights and one bias each, then 22 weights and a bias
    expected = 4 * 22 * (3 + 22 + 1) + 4 * 22 * (22 + 22 + 1) + 23
    assert sum(p.numel() for p in LSTMQoE(3).parameters()) == expected


def test_no_score_is_below_the_lowest_label():
    module = LSTMQoE(3)
    torch.nn.init.constant_(module.head.bias, -1.0)
    continuous, _ = module(torch.randn(2, 9, 3), torch.ones(2, 9, dtype=torch.bool))
    assert continuous.min() == 0


def test_the_score_of_a_session_is_the_mean_of_its_valid_seconds():
    valid = torch.arange(9) < torch.tensor([9, 4])[:, None]
    continuous, overall = LSTMQoE(3)(torch.rand(2, 9, 3), valid)
    expected = [continuous[0].mean().item(), continuous[1, :4].mean().item()]
    assert overall.tolist() == pytest.approx(expected)


def test_a_gradient_does_not_reach_the_window_before():
    inputs = torch.rand(1, 8, 3, requires_grad=True)
    continuous, _ = LSTMQoE(3)(inputs, torch.ones(1, 8, dtype=torch.bool))
    continuous[0, 5].backward()
    assert inputs.grad[0, :4].abs().max() == 0
    assert inputs.grad[0, 4:6].abs().min() > 0


def test_it_learns_the_rating_and_says_nothing_of_the_whole(row, sessions):
    fitted = row.fit(sessions[:6], sessions[6:8], seed=0)
    predicted = fitted.predict(sessions[0])
    rated = sessions[0].rated
    assert predicted.overall is None
    assert np.abs(predicted.continuous - rated).mean() < np.abs(rated.mean() - rated).mean()
