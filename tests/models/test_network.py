"""A fitted network on disk, and what its training sees."""

import numpy as np
import pytest
import torch

from qoe_core.inputs import FeatureConfig
from qoe_core.models import network
from qoe_core.models.network import FittedNetwork
from qoe_core.models.table_rows import NETWORKS, ModelConfig, build
from qoe_core.train_config import TrainConfig
from qoe_core.training import CHECKPOINT

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))


def row(name, hidden=8, n_epochs=2):
    training = TrainConfig(n_epochs=n_epochs, batch_size=8, device="cpu")
    return build(ModelConfig(name=name, inputs=INPUTS, hidden=hidden, training=training))


@pytest.fixture
def saved(sessions, tmp_path):
    """A trained GRU and the file that it was saved to."""
    fitted = row("gru").fit(sessions[:8], sessions[8:12], seed=0)
    fitted.save(tmp_path / "weights.safetensors")
    return fitted, tmp_path / "weights.safetensors"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_network_gives_identical_scores(sessions, tmp_path, name):
    fitted = row(name).fit(sessions[:8], sessions[8:12], seed=0)
    fitted.save(tmp_path / "weights.safetensors")
    loaded = FittedNetwork.load(tmp_path / "weights.safetensors", row(name).make)
    before, after = (model.predict(sessions[-1]) for model in (fitted, loaded))
    np.testing.assert_array_equal(after.continuous, before.continuous)
    assert after.overall == before.overall


@pytest.mark.parametrize("name", NETWORKS)
def test_sessions_predicted_at_once_get_the_scores_that_they_get_alone(
    sessions, make_session, monkeypatch, name
):
    monkeypatch.setattr(network, "PREDICTED_S", 90)  # several batches, and a session beyond it
    fitted = row(name).fit(sessions[:8], sessions[8:12], seed=0)
    asked = [make_session(0, 0, seconds=n) for n in (5, 120, 31, 1, 31, 40, 12)]
    for alone, together in zip(map(fitted.predict, asked), fitted.predict_all(asked), strict=True):
        np.testing.assert_allclose(together.continuous, alone.continuous, rtol=0, atol=1e-4)
        assert together.overall == pytest.approx(alone.overall, abs=1e-4)  # of a scale of 100


@pytest.mark.parametrize("field", ["rated", "overall"])
def test_a_saved_network_knows_what_it_was_not_trained_for(sessions, make_session, tmp_path, field):
    missing = {field: None, f"{field}_ci": None}
    train = [make_session(content, 0, **missing) for content in range(3)]
    row("gru").fit(train, [], seed=0).save(tmp_path / "a")
    loaded = FittedNetwork.load(tmp_path / "a", row("gru").make).predict(sessions[0])
    unknown = {"rated": loaded.continuous, "overall": loaded.overall}
    assert [name for name, score in unknown.items() if score is None] == [field]


@pytest.mark.parametrize("kept", [100, -1])
def test_damaged_weights_are_refused(saved, kept):
    path = saved[1]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        FittedNetwork.load(path, row("gru").make)


def test_a_pickle_with_the_name_of_weights_is_refused(saved):
    fitted, path = saved
    torch.save(fitted.module.state_dict(), path)
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        FittedNetwork.load(path, row("gru").make)


def test_weights_of_other_sizes_are_refused(saved, refuses):
    with refuses(
        f"{saved[1]}: layers.0.recurrent is of shape (8, 24) there and of shape (9, 27) in this "
        "Recurrent; was it saved with other sizes, another number of inputs or by another kind of "
        "network?"
    ):
        FittedNetwork.load(saved[1], row("gru", hidden=9).make)


def test_a_training_checkpoint_is_refused_as_weights(sessions, tmp_path, refuses):
    row("gru").fit(sessions[:8], [], seed=0, folder=tmp_path)
    path = tmp_path / CHECKPOINT
    with refuses(f"{path}: weights without scales; is it a training checkpoint?"):
        FittedNetwork.load(path, row("gru").make)


def test_weights_begin_from_the_seed(sessions):
    first, second, other = (row("gru").fit(sessions[:8], [], seed=s) for s in (0, 0, 1))
    scores = [model.predict(sessions[-1]).continuous for model in (first, second, other)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_training_leaves_the_global_generator_alone(sessions):
    before = torch.get_rng_state()
    row("gru").fit(sessions[:8], sessions[8:12], seed=0)
    assert torch.get_rng_state().equal(before)


def test_validation_sessions_do_not_move_the_scales(sessions):
    scales = [
        (model.continuous, model.overall, model.scaling.low.tolist(), model.scaling.high.tolist())
        for model in (row("gru").fit(sessions[:8], part, seed=0) for part in ([], sessions[8:]))
    ]
    assert scales[0] == scales[1]
