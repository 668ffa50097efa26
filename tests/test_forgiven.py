"""The level of a content, which the loss forgives: what it sees, and what is learnt with it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from qoe_core import experiment, runs
from qoe_core.batches import Example
from qoe_core.experiment import Experiment
from qoe_core.inputs import FeatureConfig
from qoe_core.loading import Loader, of_one_content
from qoe_core.losses import TERMS, LossConfig, means, squared_error, sums
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.train_config import TrainConfig
from qoe_core.training import fit

NAN = torch.nan
CONTENTS = ["river"] * 7 + ["tower"] * 4 + ["market"] * 2
LENGTHS = list(range(20, 33))


def drawn(seed=0, size=3):
    return of_one_content(LENGTHS, CONTENTS, size, torch.Generator().manual_seed(seed))


@pytest.fixture
def errors():
    """Predictions and labels of two sessions, the second one of them padded."""
    predicted, rated = torch.rand(2, 2, 9, dtype=torch.double)
    rated[1, 6:] = NAN
    return predicted, rated


@pytest.mark.parametrize("forgiven", [0.3, 0.95])
def test_the_share_of_the_mean_error_over_known_labels_is_taken_off_each_error(errors, forgiven):
    predicted, rated = (values.numpy() for values in errors)
    error = (predicted - rated)[np.isfinite(rated)]
    expected = [((error - forgiven * error.mean()) ** 2).sum(), 15]
    assert squared_error(*errors, forgiven=forgiven).tolist() == pytest.approx(expected, rel=1e-12)


def test_without_a_label_nothing_is_forgiven():
    nothing = torch.full((2, 3), NAN)
    assert squared_error(torch.rand(2, 3), nothing, forgiven=0.9).tolist() == [0, 0]


def test_an_offset_of_the_whole_batch_costs_its_rest_and_nothing_in_plcc_and_change(errors):
    rated = errors[1]
    labels = (rated, rated[:, 0])
    predicted = [torch.nan_to_num(label) + 0.5 for label in labels]
    added = sums(*predicted, *labels, LossConfig(forgiven=0.8))
    terms = means(added, LossConfig())
    found = {name: terms[name].item() for name in TERMS}
    expected = {"mse": 0.1**2, "plcc": 0, "change": 0, "overall": 0.1**2}
    assert found == pytest.approx(expected, abs=1e-6)  # the floor of a variance


@pytest.mark.parametrize("forgiven", [-0.1, 1.0, NAN])
def test_a_share_that_is_none_or_leaves_nothing_to_learn_is_refused(refuses, forgiven):
    with refuses(
        f"LossConfig(mse=1.0, plcc=0.1, change=3.0, overall=1.0, huber=None, forgiven={forgiven}): "
        "expected forgiven from 0 to below 1"
    ):
        LossConfig(forgiven=forgiven)


def test_every_batch_is_of_one_content():
    assert all(len({CONTENTS[place] for place in batch}) == 1 for batch in drawn())


def test_every_session_of_every_content_comes_once():
    assert sorted(place for batch in drawn() for place in batch) == list(range(13))


def test_only_what_the_size_does_not_divide_makes_smaller_batches():
    assert sorted(map(len, drawn())) == [1, 1, 2, 3, 3, 3]


def test_batches_of_one_content_come_longest_first():
    longest = [max(batch) for batch in drawn()]  # places are by length here
    assert longest == sorted(longest, reverse=True)


def test_which_sessions_of_a_content_meet_is_drawn_from_the_generator_alone():
    before = torch.get_rng_state()
    assert drawn(1) == drawn(1)
    assert {frozenset(batch) for batch in drawn(1)} != {frozenset(batch) for batch in drawn(2)}
    assert torch.get_rng_state().equal(before)


def test_contents_are_those_of_each_example_of_each_part(examples):
    named = [replace(e, content=name) for e, name in zip(examples, CONTENTS, strict=False)]
    parts = [named[5:8], [], named[:1]]
    assert Loader(parts).contents == [["river", "river", "tower"], [], ["river"]]


class Linear(nn.Module):
    """Scores every second by two inputs, and a session by their mean; begins at 0."""

    def __init__(self):
        super().__init__()
        self.worth = nn.Parameter(torch.zeros(2))
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, inputs, valid):
        scores = inputs @ self.worth + self.level
        return scores, (scores * valid).sum(1) / valid.sum(1)


@pytest.fixture(scope="module")
def liked():
    """Sessions of two contents: the first input is worth 1, the second only says which it is.

    People like the second content by .5 more.
    """
    torch.manual_seed(0)
    made = []
    for which, content in enumerate(["river", "tower"]):
        for _ in range(8):
            inputs = torch.cat([torch.rand(12, 1), torch.full((12, 1), float(which))], dim=1)
            rated = inputs[:, 0] + 0.5 * which
            made.append(Example(inputs, rated, rated.mean(), content))
    return made


def learnt(examples, forgiven):
    config = TrainConfig(
        n_epochs=60,
        learning_rate=0.05,
        noise=0.1,
        weight_decay=0.0,
        device="cpu",
        loss=LossConfig(forgiven=forgiven),
    )
    module = Linear()
    return module, fit(module, examples, [], config, seed=0)


@pytest.mark.parametrize(("forgiven", "expected"), [(0.0, 0.5), (0.95, 0.0)])
def test_what_recognises_a_content_is_not_learnt_where_its_level_is_forgiven(
    liked, forgiven, expected
):
    worth = learnt(liked, forgiven)[0].worth.tolist()
    # noise of .1 takes about a tenth of what an input is worth
    assert worth == pytest.approx([0.9, expected], abs=0.1)


def test_the_level_of_all_contents_together_is_still_learnt(liked):
    one = [replace(e, inputs=e.inputs * torch.tensor([1.0, 0.0])) for e in liked]
    module, _ = learnt(one, forgiven=0.8)
    # 0.5 people like one of two more, and what the noise takes from the mean of the input
    assert module.level.item() == pytest.approx(0.25 + 0.05, abs=0.03)


def row(forgiven, name="gru"):
    training = TrainConfig(n_epochs=1, device="cpu", loss=LossConfig(forgiven=forgiven))
    return ModelConfig(name=name, inputs=FeatureConfig(qos=("recency",)), training=training)


@pytest.mark.parametrize("name", ["gru", "dual_attention-continuous_only"])
def test_the_mean_error_over_the_training_sessions_is_0_after_training(sessions, name):
    fitted = build(row(0.9, name)).fit(sessions[:12], sessions[12:16], seed=0)
    predicted = fitted.predict_all(sessions[:12])
    errors = [s.rated - p.continuous for s, p in zip(sessions, predicted, strict=False)]
    assert np.concatenate(errors).mean() == pytest.approx(0, abs=1e-4)  # of a scale of 100
    if fitted.overall is not None:
        overall = [s.overall - p.overall for s, p in zip(sessions, predicted, strict=False)]
        assert np.mean(overall) == pytest.approx(0, abs=1e-4)


def test_the_level_is_set_in_folds_that_are_trained_at_once(sessions, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", tmp_path)
    asked = Experiment(dataset="tiny", split="leave-content-out", model=row(0.9), seeds=(0,))
    folder = experiment.run(asked, sessions, workers=1)
    overall = pd.read_parquet(folder / "overall.parquet").query("part == 'train'")
    errors = (overall["predicted"] - overall["rated"]).groupby(overall["fold"], observed=True)
    assert len(errors) == 6
    assert errors.mean().abs().max() < 1e-6


def test_without_forgiveness_a_network_keeps_the_level_that_it_learnt(sessions):
    fitted = build(row(0.0)).fit(sessions[:12], [], seed=0)
    ratings = [session.overall for session in sessions[:12]]
    assert (fitted.overall.low, fitted.overall.high) == (min(ratings), max(ratings))


def test_sessions_of_as_many_contents_are_refused_before_training(make_session, refuses):
    alone = [make_session(content) for content in range(3)]
    with refuses(
        "loss has forgiven=0.9, and each of the 3 training sessions of tiny is of another content, "
        "expected several of one; leave it at 0"
    ):
        build(row(0.9)).fit(alone, [], seed=0)


def test_validation_forgives_nothing(liked):
    for forgiven in (0.0, 0.9):
        config = TrainConfig(n_epochs=1, device="cpu", loss=LossConfig(forgiven=forgiven))
        frozen = replace(config, learning_rate=1e-12)
        row = fit(Linear(), liked, liked, frozen, seed=0).iloc[0]
        labels = torch.cat([example.rated for example in liked])
        assert row["validation/mse"] == pytest.approx(labels.square().mean().item(), rel=1e-5)
