"""Predictions of edited sessions from the first changed second on, against whole passes."""

import numpy as np
import pytest
import torch

from qoe_core.incremental import STEP_S, Incremental
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.qos import QOS
from qoe_core.train_config import TrainConfig
from qoe_core.what_if import delete_stall, insert_stall, lengthen_stall, move_stall, set_bitrate

INPUTS = FeatureConfig(qos=tuple(QOS), quality=("vmaf",))
SECONDS, DURATION_S = 44, 43.4
NETWORKS = ("dual_attention", "dual_attention-not_causal", "dual_attention-paper", "gru", "tcn")
EDITS = {  # of a session that stalls from 5 to 7.5 s, and how many seconds are run again
    "nothing": (lambda s: s, 4),
    "at second 0": (lambda s: insert_stall(s, 0.0, 1.3), 45),
    "at the end": (lambda s: insert_stall(s, DURATION_S, 1.3), 5),
    "in the last second": (lambda s: set_bitrate(s, 43, 43, 900.0), 4),
    "in the last second before a memory": (lambda s: insert_stall(s, STEP_S - 0.2, 1.3), 45),
    "in the first second after a memory": (lambda s: insert_stall(s, STEP_S + 0.2, 1.3), 35),
    "to shorter": (lambda s: delete_stall(s, 0), 41),
    "to longer": (lambda s: lengthen_stall(s, 0, 21.7), 63),
    "to later": (lambda s: move_stall(s, 0, 33.3), 44),
    "of some seconds": (lambda s: set_bitrate(s, 20, 22, 900.0), 24),
}
EVERY_EDIT = pytest.mark.parametrize(("edit", "n_run"), EDITS.values(), ids=list(EDITS))


def untrained(name, sessions):
    """A network with random weights and the scales of its training sessions."""
    return build(ModelConfig(name=name, inputs=INPUTS, hidden=12)).begin(sessions, seed=0)


def close(found, expected):
    """Equal up to what padding and the order of sums change on a scale of 100."""
    np.testing.assert_allclose(found.continuous, expected.continuous, rtol=0, atol=1e-4)
    assert found.overall == pytest.approx(expected.overall, abs=1e-4)


def seconds_run(network):
    """A list to which every pass through the network adds its number of seconds."""
    found = []
    network.module.branches["qos"].register_forward_pre_hook(
        lambda _, inputs: found.append(inputs[0].shape[1])
    )
    return found


@pytest.fixture
def played(make_session):
    """A stall from 5 to 7.5 s, and a last second of 0.4 s."""
    return make_session(pattern=1, seconds=SECONDS, duration_s=DURATION_S)


@pytest.mark.parametrize("name", NETWORKS)
@EVERY_EDIT
def test_an_edit_is_scored_as_by_a_whole_pass(sessions, played, name, edit, n_run):
    network = untrained(name, sessions)
    close(Incremental(network, played).predict(edit(played)), network.predict(edit(played)))


def test_random_edits_of_a_trained_network_are_scored_as_by_a_whole_pass(sessions, played):
    training = TrainConfig(n_epochs=1, device="cpu")
    row = build(ModelConfig(name="dual_attention", inputs=INPUTS, training=training))
    network = row.fit(sessions, [], seed=0)
    incremental, rng = Incremental(network, played), np.random.default_rng(0)
    for _ in range(30):
        edited = move_stall(played, 0, rng.uniform(0, 40))
        edited = insert_stall(delete_stall(edited, 0), rng.uniform(0, 40), rng.uniform(0.1, 9))
        close(incremental.predict(edited), network.predict(edited))


def test_a_session_that_ends_where_a_memory_begins_is_scored_whole(sessions, make_session):
    long, short = make_session(seconds=SECONDS), make_session(seconds=2 * STEP_S)
    network = untrained("dual_attention", sessions)
    close(Incremental(network, long).predict(short), network.predict(short))
    close(Incremental(network, short).predict(long), network.predict(long))
    close(Incremental(network, short).predict(short), network.predict(short))


@EVERY_EDIT
def test_only_seconds_from_the_last_memory_on_are_run(sessions, played, edit, n_run):
    network = untrained("dual_attention", sessions)
    incremental = Incremental(network, played)
    run = seconds_run(network)
    incremental.predict(edit(played))
    assert run == [n_run]


@pytest.mark.parametrize("target", ["rated", "overall"])
def test_a_score_that_the_network_was_not_trained_for_is_none(make_session, played, target):
    missing = {target: None, f"{target}_ci": None}
    network = untrained("dual_attention", [make_session(c, 0, **missing) for c in range(3)])
    found = Incremental(network, played).predict(played)
    unknown = {"rated": found.continuous, "overall": found.overall}
    assert [name for name, score in unknown.items() if score is None] == [target]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_the_network_stays_in_its_mode(sessions, played, name, training):
    network = untrained(name, sessions)
    network.module.train(training)
    Incremental(network, played).predict(played)
    assert {part.training for part in network.module.modules()} == {training}


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_still_take_gradients_and_have_those_they_had(sessions, played, name):
    module = (network := untrained(name, sessions)).module
    for weight in module.parameters():
        weight.grad = torch.ones_like(weight)
    Incremental(network, played).predict(played)
    assert all(w.requires_grad and (w.grad == 1).all() for w in module.parameters())


def test_the_network_is_put_back_when_a_session_lacks_an_input(sessions, make_session, refuses):
    network = untrained("gru", sessions)
    network.module.train()
    incremental = Incremental(network, make_session())
    with refuses(
        "tiny/content_0_pattern_0 has no quality ['vmaf'], it has []; choose metrics that this "
        "data set was released with"
    ):
        incremental.predict(make_session(quality={}))
    assert network.module.training
