"""Training begins from the weights of a saved network, or refuses before it changes anything."""

import pytest
import torch
from torch import nn

from qoe_core import checkpoint
from qoe_core.checkpoint import load_weights
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.train_config import TrainConfig


def network(sessions, hidden=4, qos=("indicator",)):
    """A network after one epoch."""
    inputs = FeatureConfig(qos=qos, quality=("vmaf",))
    training = TrainConfig(n_epochs=1, device="cpu")
    config = ModelConfig(name="gru", inputs=inputs, hidden=hidden, training=training)
    return build(config).fit(sessions[:4], [], seed=0)


@pytest.fixture
def saved(sessions, tmp_path):
    """A network and the file that it was saved to."""
    fitted = network(sessions)
    fitted.save(tmp_path / "weights.safetensors")
    return fitted.module, tmp_path / "weights.safetensors"


def copied(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def equal(first, second):
    return first.keys() == second.keys() and all(first[n].equal(second[n]) for n in first)


def test_training_can_begin_from_the_weights_of_a_saved_network(sessions, saved):
    module = network(sessions[4:]).module
    assert not equal(copied(module), copied(saved[0]))
    load_weights(module, saved[1])
    assert equal(copied(module), copied(saved[0]))


@pytest.mark.parametrize(
    ("sizes", "name", "there", "here"),
    [
        ({"hidden": 5}, "layers.0.recurrent", (4, 12), (5, 15)),
        ({"qos": ("indicator", "recency")}, "layers.0.gates.weight", (12, 2), (12, 3)),
    ],
)
def test_weights_of_another_network_are_refused(sessions, saved, refuses, sizes, name, there, here):
    module = network(sessions, **sizes).module
    before = copied(module)
    with refuses(
        f"{saved[1]}: {name} is of shape {there} there and of shape {here} in this Recurrent; was "
        "it saved with other sizes, another number of inputs or by another kind of network?"
    ):
        load_weights(module, saved[1])
    assert equal(copied(module), before)


def test_weights_that_differ_in_their_last_tensor_only_change_nothing(saved, tmp_path):
    weights, state = checkpoint.load(saved[1])
    last = list(saved[0].state_dict())[-1]
    checkpoint.save(tmp_path / "a", weights | {last: torch.zeros(7)}, state)
    before = copied(saved[0])
    with torch.no_grad():
        for parameter in saved[0].parameters():
            parameter.add_(1)
    changed = copied(saved[0])
    with pytest.raises(ValueError, match=rf"{last} is of shape \(7,\) there"):
        load_weights(saved[0], tmp_path / "a")
    assert equal(copied(saved[0]), changed)
    assert not equal(changed, before)


@pytest.mark.parametrize(
    ("module", "name", "there", "here"),
    [
        (nn.Linear(2, 3), "weight", "missing", "of shape (3, 2)"),
        (nn.Identity(), "heads.continuous.bias", "of shape (1,)", "missing"),
    ],
)
def test_weights_of_another_kind_of_network_are_refused(saved, refuses, module, name, there, here):
    with refuses(
        f"{saved[1]}: {name} is {there} there and {here} in this {type(module).__name__}; was "
        "it saved with other sizes, another number of inputs or by another kind of network?"
    ):
        load_weights(module, saved[1])
