"""The training loop: what it repeats, what it keeps and where it stops."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from qoe_core import checkpoint
from qoe_core.batches import Example
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.train_config import TrainConfig
from qoe_core.training import CHECKPOINT, fit

SHORT = TrainConfig(n_epochs=4, batch_size=4, device="cpu")


class Level(nn.Module):
    """One number: the score of every second and of every session."""

    def __init__(self):
        super().__init__()
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, inputs, valid):
        scores = inputs.sum(-1) * 0 + self.level
        return scores, scores[:, 0]


def gru(seed=0, dropout=0.1):
    torch.manual_seed(seed)
    return Recurrent(3, RecurrentConfig(hidden=8, dropout=dropout))


def trained(examples, config=SHORT, seed=0):
    module = gru()
    return module, fit(module, examples[:7], examples[7:], config, seed)


def same_weights(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(a.equal(b) for a, b in pairs)


def test_the_same_seed_gives_the_same_history(examples):
    assert trained(examples)[1].equals(trained(examples)[1])


def test_the_same_seed_gives_the_same_weights(examples):
    assert same_weights(trained(examples)[0], trained(examples)[0])


def test_another_seed_gives_another_history(examples):
    assert not trained(examples)[1].equals(trained(examples, seed=1)[1])


def test_the_state_of_the_global_generator_does_not_matter(examples):
    histories = []
    for state in (1, 2):
        module = gru()
        torch.manual_seed(state)
        histories.append(fit(module, examples, [], SHORT, seed=0))
    assert histories[0].equals(histories[1])


def test_the_state_of_the_global_generator_is_left_alone(examples):
    module = gru()
    before = torch.get_rng_state()
    fit(module, examples, [], SHORT, seed=0)
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("bucketed", [True, False])
def test_every_epoch_draws_another_order(examples, bucketed):
    class Recorder(Level):
        lengths = []

        def forward(self, inputs, valid):
            self.lengths.append(inputs.shape[1])
            return super().forward(inputs, valid)

    config = TrainConfig(n_epochs=3, batch_size=1, bucketed=bucketed, device="cpu")
    fit(Recorder(), examples, [], config, seed=0)
    orders = [tuple(Recorder.lengths[start : start + 10]) for start in (0, 10, 20)]
    assert len(set(orders)) == 3
    assert all(sorted(order) == list(range(6, 16)) for order in orders)


@pytest.mark.parametrize("bucketed", [True, False])
def test_batches_of_similar_length_are_a_setting(examples, bucketed):
    class Recorder(Level):
        whole = []

        def forward(self, inputs, valid):
            self.whole.append(bool(valid.all()))
            return super().forward(inputs, valid)

    config = replace(SHORT, bucketed=bucketed)
    fit(Recorder(), [examples[0], examples[9]] * 4, [], config, seed=0)
    assert all(Recorder.whole) == bucketed


@pytest.fixture
def stopped(examples):
    """A run that starts at the best level of its validation part and trains away from it."""
    far = [Example(e.inputs, e.rated + 1, e.overall + 1) for e in examples[:7]]
    near = [Example(e.inputs, e.rated * 0 + 0.05, e.overall * 0 + 0.05) for e in examples[7:]]
    config = TrainConfig(n_epochs=50, learning_rate=0.02, patience=6, device="cpu")
    module = Level()
    return module, fit(module, far, near, config, seed=0)


def test_training_stops_when_validation_has_not_improved_for_the_patience(stopped):
    history = stopped[1]
    assert len(history) == history["validation/loss"].argmin() + 1 + 6


def test_the_weights_of_the_best_epoch_are_kept(stopped):
    module, history = stopped
    best = history["validation/loss"].min()
    # the loss of a level is the error of continuous and overall score: twice its square
    assert 2 * (module.level.item() - 0.05) ** 2 == pytest.approx(best, rel=1e-5)


def test_without_validation_training_goes_to_its_last_epoch(examples):
    history = fit(gru(), examples, [], TrainConfig(n_epochs=5, patience=1, device="cpu"), seed=0)
    assert history["epoch"].tolist() == [0, 1, 2, 3, 4]


def test_the_module_is_left_without_dropout(examples):
    assert not trained(examples)[0].training


@pytest.fixture
def pulled(examples, tmp_path):
    """A level pulled by gradients of about 8,000, one step an epoch, and its folder."""
    high = [Example(e.inputs, e.rated + 2000, e.overall + 2000) for e in examples]
    steps = {"n_epochs": 5, "batch_size": 10, "learning_rate": 0.1, "decay": 0.5}
    config = TrainConfig(**steps, weight_decay=0.0, clip_norm=0.25, device="cpu")
    module = Level()
    return module, fit(module, high, [], config, seed=0, folder=tmp_path), tmp_path


def test_the_learning_rate_decays_every_epoch(pulled):
    assert pulled[1]["learning_rate"].tolist() == [0.1 * 0.5**epoch for epoch in range(5)]


def test_steps_are_as_long_as_the_learning_rate(pulled):
    # AdamW's step is the learning rate where the gradient, clipped here, stays the same
    assert pulled[0].level.item() == pytest.approx(0.1 * (2 - 0.5**4), rel=1e-5)


def test_the_gradient_is_clipped(pulled):
    moment = checkpoint.load(pulled[2] / CHECKPOINT)[0]["first"].item()
    # of five gradients of -0.25, each with a weight of 0.1 that falls by 0.9 a step
    assert moment == pytest.approx(-0.25 * (1 - 0.9**5), rel=1e-5)


def test_the_history_holds_the_gradient_before_clipping(pulled):
    assert pulled[1]["gradient_norm"][0] == pytest.approx(8000, rel=1e-2)


def test_a_loss_that_overflows_names_epoch_and_batch(examples, refuses):
    config = TrainConfig(n_epochs=3, batch_size=10, learning_rate=1e30, decay=0.5, device="cpu")
    with refuses(
        "loss is inf at epoch 1, batch 0; is the learning rate 5e+29 too high?", FloatingPointError
    ):
        fit(Level(), examples, [], config, seed=0)


def test_inputs_that_are_not_finite_name_epoch_and_batch(examples, refuses):
    broken = Example(examples[0].inputs * math.inf, examples[0].rated, examples[0].overall)
    config = TrainConfig(n_epochs=1, decay=1.0, device="cpu")
    with refuses(
        "loss is nan at epoch 0, batch 0; is the learning rate 0.003 too high?", FloatingPointError
    ):
        fit(Level(), [broken], [], config, seed=0)


def test_a_gradient_that_is_not_finite_names_epoch_and_batch(examples, refuses):
    class Root(Level):
        def forward(self, inputs, valid):
            scores, overall = super().forward(inputs, valid)
            return scores.sqrt(), overall.sqrt()  # 0 times the endless slope of the root

    with refuses(
        "gradient norm is nan at epoch 0, batch 0; is the learning rate 0.003 too high?",
        FloatingPointError,
    ):
        fit(Root(), examples, [], TrainConfig(n_epochs=1, decay=1.0, device="cpu"), seed=0)


def test_a_validation_loss_that_overflows_names_epoch_and_batch(examples, refuses):
    config = TrainConfig(n_epochs=1, batch_size=7, learning_rate=1e30, decay=1.0, device="cpu")
    with refuses(
        "validation loss is inf at epoch 0, batch 0; is the learning rate 1e+30 too high?",
        FloatingPointError,
    ):
        fit(Level(), examples[:7], examples[7:], config, seed=0)


def test_defect_1_the_overall_head_trains_with_one_session_in_a_batch(examples):
    config = TrainConfig(n_epochs=8, batch_size=1, learning_rate=1e-2, device="cpu")
    module = gru(dropout=0.0)
    before = module.heads.overall.weight.detach().clone()
    history = fit(module, examples, [], config, seed=0)
    assert not module.heads.overall.weight.equal(before)
    assert history["train/overall"].iloc[-1] < 0.2 * history["train/overall"][0]


def test_sessions_without_continuous_ratings_have_no_continuous_validation_scores(examples):
    whole = [Example(e.inputs, e.rated * math.nan, e.overall) for e in examples]
    history = fit(gru(), whole[:7], whole[7:], SHORT, seed=0)
    assert not [name for name in history if name.startswith("metrics/")]


class Listening(Level):
    """Keeps what it is given, in training and in evaluation."""

    def __init__(self):
        super().__init__()
        self.given = {True: [], False: []}

    def __deepcopy__(self, memo):
        return self  # what is trained is a copy, which nobody could ask

    def forward(self, inputs, valid):
        self.given[self.training].append((inputs.clone(), valid))
        return super().forward(inputs, valid)


def test_every_second_in_training_has_noise_and_nothing_else_has(examples):
    listening, sessions = Listening(), [replace(e, inputs=e.inputs * 0) for e in examples * 20]
    fit(listening, sessions[:-4], sessions[-4:], replace(SHORT, n_epochs=1, noise=0.2), seed=0)
    heard = torch.cat([inputs[valid] for inputs, valid in listening.given[True]])
    assert heard.std(0).tolist() == pytest.approx([0.2] * 3, rel=0.1)
    assert heard.mean(0).tolist() == pytest.approx([0.0] * 3, abs=0.02)
    assert not any(inputs[~valid].any() for inputs, valid in listening.given[True])
    assert not any(inputs.any() for inputs, _ in listening.given[False])
