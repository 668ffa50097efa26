"""The modules of the network rows: padding, masks, gradients, memory for one batch."""

import pytest
import torch
from jaxtyping import TypeCheckError

from qoe_core.batches import Example, collate
from qoe_core.inputs import FeatureConfig
from qoe_core.losses import LossConfig, total
from qoe_core.models.recurrent import CELLS, Heads, RecurrentConfig
from qoe_core.models.table_rows import LSTM_QOE, NETWORKS, ModelConfig, build
from qoe_core.models.tcn import TCNConfig
from qoe_core.train_config import TrainConfig
from qoe_core.training import fit

INPUTS = FeatureConfig(qos=("recency", "representation", "switch"))


def made(name, dropout=0.1):
    """A module of the row `name` on three inputs."""
    return build(ModelConfig(name=name, inputs=INPUTS, hidden=16, dropout=dropout)).make(2, 1)


def batch_of(*lengths):
    """Examples of these lengths; rating and overall score follow the inputs."""
    inputs = [torch.rand(length, 3) for length in lengths]
    return [Example(x, x.cumsum(0).mean(1) / len(x), x.mean()) for x in inputs]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (3, 2), (2, 17), (1, 300)])
def test_there_is_one_score_a_second_and_one_a_session(name, batch, time):
    valid = torch.ones(batch, time, dtype=torch.bool)
    continuous, overall = made(name)(torch.rand(batch, time, 3), valid)
    assert (continuous.shape, overall.shape) == ((batch, time), (batch,))


@pytest.mark.parametrize("name", NETWORKS)
def test_inputs_without_a_batch_axis_are_refused(name):
    with pytest.raises(TypeCheckError, match="batch time feat"):
        made(name)(torch.rand(12, 3), torch.ones(12, dtype=torch.bool))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("extra", [1, 50])
def test_scores_do_not_depend_on_the_amount_of_padding(name, extra):
    module, (short, _) = made(name).eval(), batch_of(9, 9 + extra)
    alone = collate([short])
    inputs = torch.nn.functional.pad(alone.inputs, (0, 0, 0, extra))
    valid = torch.nn.functional.pad(alone.valid, (0, extra))
    expected = module(alone.inputs, alone.valid)
    continuous, overall = module(inputs, valid)
    torch.testing.assert_close((continuous[:, :9], overall), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_do_not_depend_on_the_other_sessions_of_the_batch(name):
    module, (short, *others) = made(name).eval(), batch_of(9, 4, 40)
    alone, among = collate([short]), collate([others[0], short, others[1]])
    expected = module(alone.inputs, alone.valid)
    continuous, overall = module(among.inputs, among.valid)
    torch.testing.assert_close((continuous[1:2, :9], overall[1:2]), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_do_not_depend_on_what_stands_in_the_padding(name):
    module, batch = made(name).eval(), collate(batch_of(12, 9))
    expected = module(batch.inputs, batch.valid)
    batch.inputs[1, 9:] = 1e3
    continuous, overall = module(batch.inputs, batch.valid)
    assert continuous[1, :9].equal(expected[0][1, :9])
    assert overall.equal(expected[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_has_no_gradient(name):
    batch = collate(batch_of(12, 9))
    batch.inputs.requires_grad_()
    terms = total(*made(name)(batch.inputs, batch.valid), batch.rated, batch.overall, LossConfig())
    terms["loss"].backward()
    assert batch.inputs.grad[1, 9:].abs().max() == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_reaches_every_parameter(name):
    module, batch = made(name), collate(batch_of(12, 9))
    scores = module(batch.inputs, batch.valid)
    total(*scores, batch.rated, batch.overall, LossConfig())["loss"].backward()
    unreached = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_have_no_gradient_from_later_seconds(name):
    inputs = torch.rand(1, 12, 3, requires_grad=True)
    continuous, _ = made(name)(inputs, torch.ones(1, 12, dtype=torch.bool))
    continuous[0, 6].backward()
    assert inputs.grad[0, 7:].abs().max() == 0
    assert inputs.grad[0, 6].abs().max() > 0


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != LSTM_QOE])
def test_overfits_one_batch(name):
    examples = batch_of(12, 9, 7)
    config = TrainConfig(n_epochs=300, batch_size=3, learning_rate=2e-2, decay=0.99, device="cpu")
    history = fit(made(name, dropout=0.0), examples, [], config, seed=0)
    final = history["train/mse"].iloc[-1], history["train/overall"].iloc[-1]
    assert max(final) < 1e-3, f"could not memorise 28 seconds: {final}"


def test_the_overall_score_reads_the_mean_of_the_valid_states():
    heads, states = Heads(4), torch.rand(1, 5, 4)
    valid = torch.tensor([[True, True, True, False, False]])
    expected = heads.overall(states[:, :3].mean(1))[:, 0]
    torch.testing.assert_close(heads(states, valid)[1], expected, rtol=0, atol=1e-7)


def test_batches_are_padded_with_nothing():
    batch = collate(batch_of(2, 3))
    assert batch.valid.tolist() == [[True, True, False], [True, True, True]]
    assert batch.rated.isnan().tolist() == [[False, False, True], [False, False, False]]


@pytest.mark.parametrize(
    "sizes", [{"cell": "mlp"}, {"hidden": 0}, {"n_layers": 0}, {"window": 0}, {"window": -1}]
)
def test_sizes_of_a_recurrent_network_are_refused(refuses, sizes):
    shown = {"cell": "gru", "hidden": 32, "n_layers": 1, "dropout": 0.0, "window": None} | sizes
    written = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    with refuses(
        f"RecurrentConfig({written}): expected a cell of {list(CELLS)} and sizes of at least 1"
    ):
        RecurrentConfig(**sizes)


@pytest.mark.parametrize(
    "sizes", [{"filters": 0}, {"kernel": 0}, {"dilations": ()}, {"dilations": (1, 0)}]
)
def test_sizes_of_a_convolutional_network_are_refused(refuses, sizes):
    shown = {"filters": 32, "kernel": 3, "dilations": (1, 2, 4), "dropout": 0.0} | sizes
    written = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    with refuses(f"TCNConfig({written}): expected sizes and dilations of at least 1"):
        TCNConfig(**sizes)
