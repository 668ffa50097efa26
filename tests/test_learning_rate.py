"""What an epoch does to its steps: the learning rate of each, and the noise on its inputs."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from qoe_core.batches import Example
from qoe_core.train_config import TrainConfig, learning_rate
from qoe_core.training import fit

COSINE = TrainConfig(n_epochs=20, learning_rate=0.1, device="cpu")  # warm-up: two epochs
SHORT = TrainConfig(n_epochs=3, device="cpu")


class Recorder(nn.Module):
    """One level for every second; keeps the inputs it is given, and may draw numbers itself."""

    seen = {True: [], False: []}  # by whether it is in training; of all modules, for it is copied

    def __init__(self, n_drawn=0):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(()))
        self.n_drawn = n_drawn

    def forward(self, inputs, valid):
        self.seen[self.training].append(inputs.clone())
        torch.rand(self.n_drawn)
        scores = inputs.sum(-1) * 0 + self.level
        return scores, scores[:, 0]


def seen(examples, config=SHORT, seed=0, n_drawn=0):
    """Inputs of every training step and of every validation, one session each."""
    Recorder.seen = {True: [], False: []}
    fit(Recorder(n_drawn), examples[:1], examples[1:2], config, seed)
    return Recorder.seen[True], Recorder.seen[False]


@pytest.mark.parametrize(
    ("epoch", "done", "rate"),
    [
        *((0, 0.0, 0.0), (0, 0.5, 0.025), (1, 0.0, 0.05), (1, 0.5, 0.075)),
        (2, 0.0, 0.1),
        # a quarter, a half and three quarters of the way down: 18 epochs
        *((6, 0.5, 0.05 + 0.05 * math.sqrt(0.5)), (11, 0.0, 0.05)),
        *((15, 0.5, 0.05 - 0.05 * math.sqrt(0.5)), (19, 1.0, 0.0)),
    ],
)
def test_the_rate_warms_up_and_falls_along_half_a_cosine(epoch, done, rate):
    assert learning_rate(COSINE, epoch, done) == pytest.approx(rate, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("n_epochs", [1, 7, 40])
def test_the_rate_is_never_above_the_highest(n_epochs):
    config = replace(COSINE, n_epochs=n_epochs)
    rates = [learning_rate(config, 0, n_epochs * share / 1000) for share in range(1001)]
    assert max(rates) == rates[100] == pytest.approx(0.1, rel=1e-12)
    assert rates[:101] == sorted(rates[:101])
    assert rates[100:] == sorted(rates[100:], reverse=True)


@pytest.mark.parametrize(("epoch", "rate"), [(0, 0.1), (1, 0.05), (3, 0.0125)])
@pytest.mark.parametrize("done", [0.0, 0.5, 1.0])
def test_with_decay_the_rate_falls_by_the_epoch_and_not_within_it(epoch, rate, done):
    assert learning_rate(replace(COSINE, decay=0.5), epoch, done) == rate


@pytest.fixture
def pulled(examples):
    """A level pulled upwards in three steps an epoch, and the history."""
    high = [Example(e.inputs, e.rated + 2000, e.overall + 2000) for e in examples]
    config = replace(COSINE, batch_size=4, weight_decay=0.0, clip_norm=0.25)
    module = Recorder()
    return module.level, fit(module, high, [], config, seed=0)


def test_a_step_is_as_long_as_the_rate_in_the_middle_of_it(pulled):
    # AdamW's step is the learning rate where the gradient, clipped here, stays the same
    steps = [learning_rate(COSINE, e, (b + 0.5) / 3) for e in range(20) for b in range(3)]
    assert pulled[0].item() == pytest.approx(sum(steps), rel=1e-4)


def test_the_history_holds_the_rate_of_the_last_step(pulled):
    expected = [learning_rate(COSINE, epoch, 2.5 / 3) for epoch in range(20)]
    assert pulled[1]["learning_rate"].tolist() == expected


def test_a_failure_in_the_warm_up_names_a_rate_above_0(examples, refuses):
    broken = Example(examples[0].inputs * math.inf, examples[0].rated, examples[0].overall)
    message = "loss is nan at epoch 0, batch 0; is the learning rate 0.025 too high?"
    with refuses(message, FloatingPointError):
        fit(Recorder(), [broken], [], COSINE, seed=0)


def test_noise_is_of_the_size_that_is_asked_for():
    silent = Example(torch.zeros(2000, 3), torch.rand(2000), torch.tensor(0.5))
    (noise, *_), _ = seen([silent, silent], replace(SHORT, noise=0.25))
    # 6,000 numbers: the mean within 4 SD / sqrt(6000), the SD within 4 / sqrt(2 x 6000) of itself
    assert noise.mean().item() == pytest.approx(0, abs=0.013)
    assert noise.std().item() == pytest.approx(0.25, rel=0.037)


def test_noise_is_drawn_in_training_only(examples):
    trained, validated = seen(examples)
    assert not any(inputs.equal(examples[0].inputs[None]) for inputs in trained)
    assert all(inputs.equal(examples[1].inputs[None]) for inputs in validated)


def test_no_noise_leaves_the_bits_of_the_inputs(examples):
    trained, _ = seen(examples, replace(SHORT, noise=0.0))
    assert all(inputs.equal(examples[0].inputs[None]) for inputs in trained)


def test_noise_is_the_same_with_the_same_seed(examples):
    first, second, other = (seen(examples, seed=seed)[0] for seed in (0, 0, 1))
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))
    assert not any(a.equal(b) for a, b in zip(first, other, strict=True))


def test_every_epoch_draws_other_noise(examples):
    first, second, third = seen(examples)[0]
    assert not first.equal(second)
    assert not second.equal(third)


def test_noise_of_an_epoch_does_not_depend_on_what_was_drawn_before_it(examples):
    few, many = (seen(examples, n_drawn=n_drawn)[0] for n_drawn in (0, 77))
    assert all(a.equal(b) for a, b in zip(few, many, strict=True))
