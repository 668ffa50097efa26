"""Training settings that would fail, or train nothing, are refused before anything is trained."""

import pytest

from qoe_core.train_config import TrainConfig


@pytest.mark.parametrize(
    "setting",
    [
        *({"n_epochs": 0}, {"batch_size": 0}, {"patience": 0}, {"learning_rate": 0.0}),
        *({"decay": 0.0}, {"decay": 1.1}, {"clip_norm": -1.0}, {"weight_decay": -0.1}),
        *({"kept_from": 0}, {"sessions_at_once": 0}, {"noise": -0.1}, {"loaders": -1}),
    ],
)
def test_settings_that_train_nothing_are_refused(refuses, setting):
    shown = str(TrainConfig())
    for name, value in setting.items():
        shown = shown.replace(f"{name}={getattr(TrainConfig(), name)}", f"{name}={value}", 1)
    with refuses(f"{shown}: expected counts of at least 1, positive rates, decay <= 1"):
        TrainConfig(**setting)


@pytest.mark.parametrize(
    ("precision", "device"), [("float16", "cpu"), ("float32", "tpu"), ("float32", "cuda:1")]
)
def test_an_unknown_device_or_precision_is_refused(refuses, precision, device):
    with refuses(
        f"precision {precision!r} on device {device!r}: expected one of ['float32', 'bfloat16'] "
        "on auto, cpu or cuda"
    ):
        TrainConfig(precision=precision, device=device)


@pytest.mark.parametrize(
    ("setting", "matters"),
    [
        *(({"loaders": 2}, False), ({"sessions_at_once": 8}, False)),
        *(({"kept_from": 3}, True), ({"batch_size": 2}, True), ({"precision": "bfloat16"}, True)),
    ],
)
def test_how_many_are_computed_at_once_does_not_matter_to_the_numbers(setting, matters):
    before, after = TrainConfig().what_matters(), TrainConfig(**setting).what_matters()
    assert (before != after) == matters
