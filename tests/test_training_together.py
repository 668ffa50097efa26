"""Networks that are trained at once do what they do one by one, and what plain torch does."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from qoe_core import checkpoint, losses, training
from qoe_core.batches import Example, collate
from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.models.tcn import TCN, TCNConfig
from qoe_core.train_config import TrainConfig, learning_rate
from qoe_core.training import CHECKPOINT, Run, fit, fit_all

CONFIG = TrainConfig(n_epochs=6, batch_size=2, learning_rate=2e-3, patience=1, device="cpu")
NETWORKS = {
    "rnn": lambda: Recurrent(3, RecurrentConfig(cell="rnn", hidden=6)),
    "lstm": lambda: Recurrent(3, RecurrentConfig(cell="lstm", hidden=6, window=4)),
    "gru": lambda: Recurrent(3, RecurrentConfig(cell="gru", hidden=6, n_layers=2)),
    "tcn": lambda: TCN(3, TCNConfig(filters=6, dilations=(1, 2))),
    "dual_attention": lambda: DualAttention(
        2, 1, DualAttentionConfig(width=8, cross_heads=1, heads=2, qos_layers=2)
    ),
}


class Halting(Recurrent):
    """Is interrupted when the steps that are left to all of its kind are taken."""

    left = math.inf

    def forward(self, inputs, valid):
        Halting.left -= 1
        if Halting.left < 0:
            raise KeyboardInterrupt
        return super().forward(inputs, valid)


@torch.no_grad()
def rated_by(module, examples):
    """Examples with the scores of an untrained module, which gets worse at them."""
    scored = []
    for example in examples:
        batch = collate([example])
        continuous, overall = module(batch.inputs, batch.valid)
        scored.append(Example(example.inputs, continuous[0], overall[0]))
    return scored


def runs_of(make, examples):
    """Runs of 7, 3 and 5 sessions; the first gets worse on its validation, the last has none."""
    modules = []
    for seed in range(3):
        torch.manual_seed(seed)
        modules.append(make())
    train = examples[:7], examples[4:7], examples[5:]
    validation = rated_by(modules[0], examples[7:]), examples[:4], []
    return [
        Run(module=m, train=t, validation=v, seed=seed, name=f"run {seed}")
        for seed, (m, t, v) in enumerate(zip(modules, train, validation, strict=True))
    ]


def alone(run, config):
    """A module that was trained as `run` says and beside nothing, and its history."""
    module = copy.deepcopy(run.module)
    return module, fit(module, run.train, run.validation, config, run.seed)


def effective(module):
    """Its weights, but for the biases of keys: a softmax cancels them, so that their gradient is
    rounding and AdamW walks them at random."""
    weights = []
    for name, tensor in module.named_parameters():
        if name.endswith("project.bias"):
            queries, _, values = tensor.chunk(3)
            tensor = torch.cat([queries, values])
        weights.append(tensor.detach().flatten())
    return torch.cat(weights)


def same(first, second, history, expected):
    """Weights and histories are those of one another."""
    torch.testing.assert_close(effective(first), effective(second), rtol=0, atol=1e-5)
    assert list(history.columns) == list(expected.columns)
    assert history.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("bucketed", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_at_once_are_what_they_are_one_by_one(examples, name, bucketed):
    config = replace(CONFIG, bucketed=bucketed)
    runs = runs_of(NETWORKS[name], examples)
    expected = [alone(run, config) for run in runs]
    histories = fit_all(runs, config)
    assert len({len(history) for history in histories}) > 1  # one stops early
    for run, history, (module, of_one) in zip(runs, histories, expected, strict=True):
        same(run.module, module, history, of_one)
        batch = collate(examples[:3])
        with torch.inference_mode():
            found, reference = (m(batch.inputs, batch.valid) for m in (run.module, module))
        torch.testing.assert_close(found, reference, rtol=0, atol=1e-5)


def test_networks_stop_at_epochs_of_their_own(examples):
    histories = fit_all(runs_of(NETWORKS["gru"], examples), CONFIG)
    for history in histories[:2]:
        best = history["validation/loss"].argmin() + 1
        assert len(history) == min(CONFIG.n_epochs, best + CONFIG.patience)
    assert [len(histories[0]) < len(histories[2]), len(histories[2])] == [True, CONFIG.n_epochs]


@pytest.mark.parametrize("others", [[1], [2, 1], [1, 1, 2]])
def test_a_networks_numbers_do_not_depend_on_what_is_trained_beside_it(examples, others):
    found = []
    for beside in ([], others):
        runs = runs_of(NETWORKS["gru"], examples)
        first, rest = runs[0], [runs[i] for i in beside]
        rest = [replace(run, module=copy.deepcopy(run.module)) for run in rest]
        found.append((first.module, fit_all([*rest, first], CONFIG)[-1]))
    (module, history), (beside, among) = found
    same(beside, module, among, history)


@pytest.mark.parametrize("bucketed", [True, False])
def test_one_batch_an_epoch_trains_as_a_loop_in_plain_torch(examples, bucketed):
    """Without noise, and all sessions in each step, nothing is drawn."""
    config = TrainConfig(
        n_epochs=8, batch_size=16, bucketed=bucketed, clip_norm=0.5, noise=0.0, device="cpu"
    )
    runs = runs_of(NETWORKS["gru"], examples)
    expected = [copy.deepcopy(run.module) for run in runs]
    for run, module in zip(runs, expected, strict=True):
        optimizer = torch.optim.AdamW(module.parameters(), weight_decay=config.weight_decay)
        batch = collate(run.train)
        for epoch in range(config.n_epochs):
            optimizer.param_groups[0]["lr"] = learning_rate(config, epoch, 0.5)
            scores = module(batch.inputs, batch.valid)
            optimizer.zero_grad()
            losses.total(*scores, batch.rated, batch.overall, config.loss)["loss"].backward()
            nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm)
            optimizer.step()
    fit_all([replace(run, validation=[]) for run in runs], config)
    for run, module in zip(runs, expected, strict=True):
        torch.testing.assert_close(effective(run.module), effective(module), rtol=0, atol=1e-5)


def make_halting():
    return Halting(3, RecurrentConfig(hidden=4))


@pytest.mark.parametrize("steps", [7, 16, 25])
def test_a_stack_that_was_interrupted_ends_with_the_bits_of_one_that_was_not(
    examples, tmp_path, monkeypatch, steps
):
    """In its second epoch, in a later one, and after a network stopped."""
    monkeypatch.setattr(training, "STORE_EVERY_S", 0.0)
    monkeypatch.setattr(Halting, "left", math.inf)
    whole = runs_of(make_halting, examples)
    expected = fit_all(whole, CONFIG, tmp_path / "whole")
    halted = runs_of(make_halting, examples)
    Halting.left = steps
    with pytest.raises(KeyboardInterrupt):
        fit_all(halted, CONFIG, tmp_path / "halted")
    at_stop = len(checkpoint.load(tmp_path / "halted")[1]["rows"][2])
    Halting.left = math.inf
    resumed = runs_of(make_halting, examples)
    histories = fit_all(resumed, CONFIG, tmp_path / "halted")
    assert 1 <= at_stop < CONFIG.n_epochs
    assert (tmp_path / "halted").read_bytes() == (tmp_path / "whole").read_bytes()
    assert all(a.equals(b) for a, b in zip(histories, expected, strict=True))
    for run, reference in zip(resumed, whole, strict=True):
        assert effective(run.module).equal(effective(reference.module))


def test_the_stack_of_other_networks_is_refused_as_a_checkpoint(examples, tmp_path, refuses):
    runs = runs_of(NETWORKS["gru"], examples)
    config = replace(CONFIG, n_epochs=1)
    fit_all(runs, config, tmp_path / CHECKPOINT)
    with refuses(
        f"{tmp_path / CHECKPOINT}: belongs to another run: seed is [0, 1, 2] there and [1, 0, 2] "
        "here; n_train is [7, 3, 5] there and [3, 7, 5] here; train into another folder or delete "
        "this one"
    ):
        fit_all([runs[1], runs[0], runs[2]], config, tmp_path / CHECKPOINT)


@pytest.mark.parametrize("broken", [0, 2])
def test_a_network_that_diverges_is_named(examples, refuses, broken):
    runs = runs_of(NETWORKS["gru"], examples)
    inputs = [Example(e.inputs * math.inf, e.rated, e.overall) for e in runs[broken].train]
    runs[broken] = replace(runs[broken], train=inputs)
    config = replace(CONFIG, decay=1.0)
    with pytest.raises(FloatingPointError, match=rf"\Arun {broken}: loss is nan at epoch 0, batch"):
        fit_all(runs, config)


def test_a_network_whose_validation_diverges_is_named(examples, refuses):
    runs = runs_of(NETWORKS["gru"], examples)
    wide = [Example(e.inputs * math.inf, e.rated, e.overall) for e in runs[1].validation[:1]]
    runs[1] = replace(runs[1], validation=wide)
    with refuses(
        "run 1: validation loss is nan at epoch 0, batch 0; is the learning rate 0.002 too high?",
        FloatingPointError,
    ):
        fit_all(runs, replace(CONFIG, decay=1.0, batch_size=8))


def test_every_network_has_curves_of_its_own(examples, tmp_path):
    runs = runs_of(NETWORKS["gru"], examples)
    watched = [replace(run, board=tmp_path / run.name) for run in runs[:2]]
    histories = fit_all([*watched, runs[2]], CONFIG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run 0", "run 1"]
    for run, history in zip(watched, histories, strict=False):
        events = EventAccumulator(str(run.board)).Reload()
        curve = [scalar.value for scalar in events.Scalars("validation/loss")]
        assert curve == pytest.approx(history["validation/loss"].tolist(), rel=1e-6)
