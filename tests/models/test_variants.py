"""Each variant of the dual-stage network: the one thing that it changes, and the paper's sizes."""

from dataclasses import asdict

import pandas as pd
import pytest
import torch

from qoe_core import ablation, experiment, runs
from qoe_core.experiment import TABLES, Experiment
from qoe_core.inputs import FeatureConfig
from qoe_core.losses import LossConfig
from qoe_core.models.dual_attention import DualAttentionConfig
from qoe_core.models.network import FittedNetwork
from qoe_core.models.table_rows import NETWORKS, SUFFIXES, ModelConfig, build
from qoe_core.models.variants import OURS, VARIANTS, sizes, training
from qoe_core.predictions import TRACE_MEAN
from qoe_core.train_config import TrainConfig

INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))
TINY = {"hidden": 4, "training": TrainConfig(n_epochs=1, device="cpu")}
CHANGED = {  # what a variant has in place of the whole network's
    "without_cross_feature": {"cross_feature": False},
    "without_long_time": {"long_time": False},
    "without_gate": {"gate": False},
    "not_causal": {"causal": False},
    "sinusoidal_positions": {"positions": "sinusoidal"},
    "learned_positions": {"positions": "learned"},
    "without_plcc": {"loss.plcc": 0.0},
    "without_change": {"loss.change": 0.0},
    "without_forgiven": {"loss.forgiven": 0.0},
    "continuous_only": {"loss.overall": 0.0},
    "overall_only": {"loss.mse": 0.0, "loss.plcc": 0.0, "loss.change": 0.0},  # one target
    "without_noise": {"noise": 0.0},
}
PAPER = {
    # Jia et al., IEEE TCSVT 2024
    **{"width": 180, "kernel": 5, "video_convolutions": 3, "qos_convolutions": 2},
    **{"qos_layers": 2, "positions": "sinusoidal", "dropout": 0.1},
    **{"loss.change": 0.0, "loss.forgiven": 0.0},
    # the public re-implementation
    **{"noise": 0.0, "n_epochs": 50, "learning_rate": 5e-4, "decay": 0.935, "weight_decay": 1e-2},
}


def row(name, **changes):
    return ModelConfig(name=name, inputs=INPUTS, **changes)


def facts(name):
    """Every size and setting of a row by name."""
    config = row(name, training=TrainConfig(loss=LossConfig(forgiven=0.5)))
    recipe = asdict(config.trained)
    recipe |= {f"loss.{term}": weight for term, weight in recipe.pop("loss").items()}
    return config.what_matters()["network"] | recipe


def changed(name):
    """What of it differs from the whole network."""
    whole = facts(OURS)
    return {field: value for field, value in facts(name).items() if value != whole[field]}


def test_the_whole_network_is_what_the_configs_say():
    sized = DualAttentionConfig()
    assert (sizes("", sized), training("", TrainConfig())) == (sized, TrainConfig())


@pytest.mark.parametrize("variant", CHANGED)
def test_a_variant_changes_one_thing(variant):
    assert changed(f"{OURS}-{variant}") == CHANGED[variant]


def test_the_paper_has_its_sizes_and_the_recipe_of_its_reimplementation():
    assert changed(f"{OURS}-paper") == PAPER


def test_no_variant_is_without_a_test():
    assert sorted(VARIANTS) == sorted([*CHANGED, "paper"])


@pytest.mark.parametrize("name", [name for name in ablation.CHANGES if TRACE_MEAN not in name])
def test_every_row_of_the_ablation_can_be_run(name):
    assert row(name).base == OURS


def test_the_ablation_has_words_for_every_variant():
    others = {OURS, f"{OURS}-qos", f"{OURS}-video", f"{OURS}-ensemble", OURS + TRACE_MEAN}
    assert set(ablation.CHANGES) == {f"{OURS}-{variant}" for variant in VARIANTS} | others


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("suffix", ["", *SUFFIXES])
@pytest.mark.parametrize("ensemble", ["", "-ensemble"])
def test_a_name_is_base_variant_suffix_and_ensemble(variant, suffix, ensemble):
    config = row(f"{OURS}-{variant}{suffix}{ensemble}")
    assert (config.base, config.variant, config.suffix) == (OURS, variant, suffix)
    assert config.is_ensemble == bool(ensemble)


@pytest.mark.parametrize("name", [*NETWORKS, f"{OURS}-paper-qos"])
def test_the_member_of_an_ensemble_is_the_row_of_one_seed(name):
    ensemble = row(f"{name}-ensemble", hidden=8)
    assert ensemble.member == row(name, hidden=8)
    assert ensemble.what_matters() == ensemble.member.what_matters()


def test_a_variant_of_some_inputs_sees_only_those():
    assert row(f"{OURS}-without_gate-qos").seen == FeatureConfig(qos=INPUTS.qos)


@pytest.mark.parametrize(
    ("variant", "missing"),
    [
        ("without_cross_feature", {"branches.qos.cross."}),
        ("without_long_time", {"branches.qos.long.", "branches.video.long."}),
        ("without_gate", {"continuous.gate.", "overall.gate."}),
    ],
)
def test_a_part_that_is_left_out_has_no_weights(variant, missing):
    whole, left = (set(row(n).module(2, 1).state_dict()) for n in (OURS, f"{OURS}-{variant}"))
    assert left < whole
    assert all(weight.startswith(tuple(missing)) for weight in whole - left)
    assert not any(weight.startswith(tuple(missing)) for weight in left)


@pytest.mark.parametrize(("name", "sees"), [(OURS, False), (f"{OURS}-not_causal", True)])
def test_only_the_network_without_causal_mask_sees_what_comes(name, sees):
    module, valid = row(name).module(2, 1).eval(), torch.ones(1, 6, dtype=torch.bool)
    inputs = torch.rand(1, 6, 3)
    before = module(inputs, valid)[0]
    inputs[:, 5] += 1
    assert before[0, 0].equal(module(inputs, valid)[0][0, 0]) != sees


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_positions_of_a_variant_are_those_of_both_branches(positions):
    branches = row(f"{OURS}-{positions}_positions").module(2, 1).branches.values()
    assert {branch.long.positions for branch in branches} == {positions}


def affine(width_in, width_out):
    """Parameters of an affine map."""
    return width_in * width_out + width_out


def test_the_paper_has_as_many_parameters_as_its_layers_by_hand():
    d = 180
    encoder = affine(d, 3 * d) + affine(d, d) + affine(d, 4 * d) + affine(4 * d, d) + 2 * 2 * d
    video = affine(1, d) + 3 * affine(5 * d, d) + encoder + affine(d, d)
    token = d // 4  # of each of four QoS features, which no convolution mixes
    qos = 4 * (affine(5, token) + affine(5 * token, token))
    qos += affine(token, 3 * token) + affine(token, token) + 2 * token
    qos += 2 * encoder + affine(d, d)
    head = affine(2 * d, d) + affine(d, d) + affine(d, 1)
    module = row(f"{OURS}-paper").module(4, 1)
    assert sum(parameter.numel() for parameter in module.parameters()) == video + qos + 2 * head


@pytest.mark.parametrize(("name", "width"), [(OURS, 8), (f"{OURS}-without_gate", 8)])
def test_a_row_has_the_width_and_dropout_that_are_asked_for(name, width):
    network = DualAttentionConfig(kernel=7, width=100, dropout=0.9)
    found = row(name, hidden=width, dropout=0.3, network=network).what_matters()["network"]
    assert (found["width"], found["dropout"], found["kernel"]) == (width, 0.3, 7)


def test_the_paper_keeps_its_width():
    assert row(f"{OURS}-paper", hidden=8).what_matters()["network"]["width"] == 180


@pytest.mark.parametrize(
    ("name", "changes", "decay"),
    [
        *((OURS, {}, 0.3), (f"{OURS}-without_gate-qos-ensemble", {}, 0.3), ("gru", {}, 1e-2)),
        *((OURS, {"weight_decay": 0.5}, 0.5), ("gru", {"weight_decay": 0.5}, 0.5)),
        (OURS, {"weight_decay": 0.0}, 0.0),
        (OURS, {"training": TrainConfig(weight_decay=0.7)}, 0.3),
        ("gru", {"training": TrainConfig(weight_decay=0.7)}, 0.7),
        (f"{OURS}-paper", {}, 1e-2),
    ],
)
def test_a_row_has_its_own_weight_decay(name, changes, decay):
    assert row(name, **changes).trained.weight_decay == decay


def test_the_recipe_of_a_row_is_otherwise_the_one_asked_for():
    asked = TrainConfig(n_epochs=3, noise=0.2, weight_decay=0.3)
    assert row(OURS, training=asked).trained == asked


@pytest.mark.parametrize("variant", ["overall_only", "without_noise", "without_change"])
def test_a_variant_that_is_trained_otherwise_is_another_unit(variant):
    whole, other = (row(n).what_matters()["training"] for n in (OURS, f"{OURS}-{variant}"))
    assert whole != other


@pytest.mark.parametrize(
    ("target", "known"), [("overall", [False, True]), ("continuous", [True, False])]
)
def test_a_network_for_one_target_predicts_no_other(sessions, tmp_path, target, known):
    config = row(f"{OURS}-{target}_only", **TINY)
    build(config).fit(sessions[:6], [], seed=0).save(tmp_path / "weights.safetensors")
    loaded = FittedNetwork.load(tmp_path / "weights.safetensors", config.module)
    found = loaded.predict(sessions[-1])
    assert [found.continuous is not None, found.overall is not None] == known


def run(variant, sessions, folder, monkeypatch):
    monkeypatch.setattr(runs, "RUNS", folder)
    model = row(f"{OURS}-{variant}", **TINY)
    asked = Experiment(dataset="tiny", split="leave-content-out", model=model, seeds=(0,))
    return experiment.run(asked, sessions, workers=1)


def test_a_network_for_overall_scores_leaves_no_predictions(sessions, tmp_path, monkeypatch):
    folder = run("overall_only", sessions[:8], tmp_path, monkeypatch)
    tables = [pd.read_parquet(folder / f"{name}.parquet") for name in TABLES]
    assert [table.empty for table in tables] == [True, False, True]


@pytest.mark.parametrize(
    ("target", "field", "looks"),
    [
        ("overall", "overall", "mse=0.0, plcc=0.0, change=0.0, overall=1.0"),
        ("continuous", "rated", "mse=1.0, plcc=0.1, change=3.0, overall=0.0"),
    ],
)
def test_a_target_that_nobody_rated_cannot_be_the_only_one(
    make_session, tmp_path, monkeypatch, refuses, target, field, looks
):
    missing = {field: None, f"{field}_ci": None}
    sessions = [make_session(c, p, **missing) for c in range(2) for p in range(2)]
    why = (
        f"LossConfig({looks}, huber=None, forgiven=0.0) looks at no label that sessions of tiny "
        "have; were they rated for the other target only?"
    )
    units = [f"{OURS}-{target}_only, fold content_{c}, seed 0: {why}" for c in range(2)]
    with refuses(f"2 of 2 failed: {'; '.join(units)}", RuntimeError):
        run(f"{target}_only", sessions, tmp_path, monkeypatch)
    assert list(tmp_path.rglob("*.safetensors")) == []
