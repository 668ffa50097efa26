"""The network trained: gradients, silent sessions, one batch by heart, and a problem to solve."""

import pytest
import torch

from qoe_core.batches import Example, collate
from qoe_core.losses import LossConfig, total
from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.train_config import TrainConfig
from qoe_core.training import fit

QOS, VIDEO = 2, 2
SIZES = {"kernel": 5, "video_convolutions": 3, "qos_convolutions": 2, "qos_layers": 2}
VARIANTS = {
    "full": {},
    "sinusoidal": {"positions": "sinusoidal"},
    "spans": {"video_span": 3, "qos_span": 5},
    "learned": {"positions": "learned"},
    "not causal": {"causal": False},
    "without cross_feature": {"cross_feature": False},
    "without long_time": {"long_time": False},
    "without gate": {"gate": False},
}


def network(n_qos=QOS, n_video=VIDEO, **changes):
    """A small network as it is trained."""
    return DualAttention(n_qos, n_video, DualAttentionConfig(**{"width": 12, **SIZES, **changes}))


def played(*lengths):
    """Sessions whose rating is the quality shown less what stalled in the last three seconds.

    Inputs: stalled, noise, quality, noise. Overall is the mean rating.
    """
    made = []
    for length in lengths:
        stalled = (torch.rand(length) < 0.15).float()
        quality = 0.8 * torch.rand(()) + 0.2 * torch.rand(length)
        late = torch.nn.functional.pad(stalled, (2, 0)).unfold(0, 3, 1).mean(1)
        rated = quality - 0.5 * late
        inputs = torch.stack([stalled, torch.rand(length), quality, torch.rand(length)], dim=1)
        made.append(Example(inputs, rated, rated.mean()))
    return made


def losses_of(module, examples):
    batch = collate(examples)
    scores = module(batch.inputs, batch.valid)
    return total(*scores, batch.rated, batch.overall, LossConfig())


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=list(VARIANTS))
@pytest.mark.parametrize(("n_qos", "n_video"), [(QOS, VIDEO), (4, 0), (0, 4), (3, 1)])
def test_gradient_reaches_every_parameter(changes, n_qos, n_video):
    module = network(n_qos, n_video, **changes)
    losses_of(module, played(12, 9, 5))["loss"].backward()
    unreached = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


@pytest.mark.parametrize("causal", [True, False])
def test_padding_has_no_gradient(causal):
    batch, module = collate(played(12, 9)), network(causal=causal)
    batch.inputs.requires_grad_()
    scores = module(batch.inputs, batch.valid)
    total(*scores, batch.rated, batch.overall, LossConfig())["loss"].backward()
    assert batch.inputs.grad[1, 9:].abs().max() == 0
    assert batch.inputs.grad[1, :9].abs().sum(1).min() > 0


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=list(VARIANTS))
@pytest.mark.parametrize("length", [1, 12])
def test_a_session_without_any_input_has_finite_scores_loss_and_gradient(changes, length):
    """All inputs 0: what was never shown, or stalled throughout with nothing else known."""
    module = network(**changes)
    nothing = Example(torch.zeros(length, 4), torch.zeros(length), torch.tensor(0.0))
    terms = losses_of(module, [nothing])
    terms["loss"].backward()
    assert terms["loss"].isfinite()
    assert all(p.grad.isfinite().all() for p in module.parameters())


def test_a_session_of_one_second_trains_both_heads():
    module = network()
    losses_of(module, played(1))["loss"].backward()
    for head in (module.continuous, module.overall):
        assert head.head.weight.grad.abs().max() > 0


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=list(VARIANTS))
def test_bfloat16_scores_are_near_those_of_float32(changes):
    batch, module = collate(played(12, 9)), network(**{"width": 32, **changes}).eval()
    with torch.no_grad():
        expected = module(batch.inputs, batch.valid)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = module(batch.inputs, batch.valid)
    # 8 bits of mantissa are 0.4 % of states of 1 to 3, over some ten products in a row
    for score, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(score.float(), reference, rtol=0, atol=0.04)


def test_bfloat16_gradients_are_finite():
    module = network()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        continuous, overall = module(torch.rand(2, 9, 4), torch.ones(2, 9, dtype=torch.bool))
    terms = total(
        continuous.float(), overall.float(), torch.rand(2, 9), torch.rand(2), LossConfig()
    )
    terms["loss"].backward()
    assert all(p.grad.isfinite().all() for p in module.parameters())


def test_overfits_one_batch():
    examples = played(12, 9, 7, 5)
    config = TrainConfig(n_epochs=100, learning_rate=1e-2, decay=0.99, noise=0.0, device="cpu")
    history = fit(network(), examples, [], config, seed=0)
    final = history["train/mse"].iloc[-1], history["train/overall"].iloc[-1]
    assert max(final) < 1e-3, f"could not memorise 33 seconds: {final}"


def test_a_trained_network_beats_the_constant_on_new_sessions():
    examples = played(*[*range(4, 10)] * 16)
    train, new = collate(examples), collate(played(*range(4, 10)))
    module = network(video_convolutions=1, qos_convolutions=1, qos_layers=1)
    config = TrainConfig(n_epochs=20, batch_size=32, learning_rate=1e-2, decay=0.95, device="cpu")
    fit(module, examples, [], config, seed=0)
    with torch.inference_mode():
        continuous, overall = module(new.inputs, new.valid)
    for predicted, rated, known in (
        (continuous, new.rated, train.rated),
        (overall, new.overall, train.overall),
    ):
        ours, constant = (score - rated for score in (predicted, known.nanmean()))
        assert ours.square().nanmean() < 0.5 * constant.square().nanmean()
