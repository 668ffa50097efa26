"""The dual-stage attention network by the name of a row: whole, with one part changed, paper-sized.

A variant changes one thing against the whole network, so that a pair of rows says what the part is
worth.
"""

import dataclasses
from collections.abc import Mapping

from qoe_core.models.dual_attention import DualAttentionConfig
from qoe_core.train_config import TrainConfig

OURS = "dual_attention"
SIZES: Mapping[str, Mapping[str, object]] = {
    "without_cross_feature": {"cross_feature": False},
    "without_long_time": {"long_time": False},
    "without_gate": {"gate": False},
    "not_causal": {"causal": False},
    "sinusoidal_positions": {"positions": "sinusoidal"},
    "learned_positions": {"positions": "learned"},
    # Jia et al., IEEE TCSVT 2024, with positions that have no longest session
    "paper": {
        "width": 180,
        "kernel": 5,
        "video_convolutions": 3,
        "qos_convolutions": 2,
        "video_layers": 1,
        "qos_layers": 2,
        "positions": "sinusoidal",
        "dropout": 0.1,
    },
}
LOSSES: Mapping[str, Mapping[str, float]] = {
    "without_plcc": {"plcc": 0.0},
    "without_change": {"change": 0.0},
    "without_forgiven": {"forgiven": 0.0},
    "continuous_only": {"overall": 0.0},
    "overall_only": {"mse": 0.0, "plcc": 0.0, "change": 0.0},
    "paper": {"change": 0.0, "forgiven": 0.0},
}
TRAINING: Mapping[str, Mapping[str, float]] = {
    "without_noise": {"noise": 0.0},
    # the settings of the public re-implementation
    "paper": {
        "noise": 0.0,
        "n_epochs": 50,
        "learning_rate": 5e-4,
        "decay": 0.935,
        "weight_decay": 1e-2,
    },
}
VARIANTS = tuple(dict.fromkeys((*SIZES, *LOSSES, *TRAINING)))


def sizes(variant: str, config: DualAttentionConfig) -> DualAttentionConfig:
    """`config` as the variant has it; the empty name is the whole network."""
    return dataclasses.replace(config, **SIZES.get(variant, {}))


def training(variant: str, config: TrainConfig) -> TrainConfig:
    """`config` as the variant is trained."""
    loss = dataclasses.replace(config.loss, **LOSSES.get(variant, {}))
    return dataclasses.replace(config, loss=loss, **TRAINING.get(variant, {}))
