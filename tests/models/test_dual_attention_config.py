"""What a configuration of the dual-stage attention network decides, and what it refuses."""

import dataclasses

import pytest
from torch import nn

from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig

SIZES = "expected sizes from 1 on and a width that heads divide"
CHOICES = "expected positions of ('recency', 'sinusoidal', 'learned') and dropout in [0, 1)"


def written(changes):
    fields = {f.name: f.default for f in dataclasses.fields(DualAttentionConfig)} | changes
    values = ", ".join(f"{name}={value!r}" for name, value in fields.items())
    return f"DualAttentionConfig({values})"


def test_every_size_is_the_one_asked_for():
    config = DualAttentionConfig(
        **{"width": 24, "kernel": 3, "video_convolutions": 2, "qos_convolutions": 4},
        **{"cross_heads": 2, "heads": 6, "video_layers": 3, "qos_layers": 1, "dropout": 0.3},
        **{"positions": "learned", "longest": 77, "video_span": 5, "qos_span": 9},
    )
    module = DualAttention(4, 3, config)
    video, qos = module.branches["video"], module.branches["qos"]
    for branch, n_convolutions, n_layers, span in ((video, 2, 3, 5), (qos, 4, 1, 9)):
        assert [layer.kernel_size for layer in branch.short.layers] == [(3,)] * n_convolutions
        assert [layer.attention.n_heads for layer in branch.long.layers] == [6] * n_layers
        assert (branch.long.span, branch.long.learned.num_embeddings) == (span, 77)
        assert {layer.norms[0].normalized_shape for layer in branch.long.layers} == {(24,)}
    assert qos.cross.n_heads == 2
    assert {part.p for part in module.modules() if isinstance(part, nn.Dropout)} == {0.3}


@pytest.mark.parametrize(
    "changes",
    [
        *({"width": width} for width in (0, -4, 30)),
        *({name: 0} for name in ("kernel", "video_convolutions", "qos_convolutions")),
        *({name: 0} for name in ("cross_heads", "heads", "video_layers", "qos_layers", "longest")),
        *({name: 0} for name in ("video_span", "qos_span")),
        {"heads": 3},
    ],
    ids=str,
)
def test_sizes_that_cannot_be_are_refused(refuses, changes):
    with refuses(f"{written(changes)}: {SIZES}"):
        DualAttentionConfig(**changes)


@pytest.mark.parametrize(
    "changes", [{"positions": "rotary"}, {"dropout": 1.0}, {"dropout": -0.1}], ids=str
)
def test_unknown_positions_and_dropout_of_everything_are_refused(refuses, changes):
    with refuses(f"{written(changes)}: {CHOICES}"):
        DualAttentionConfig(**changes)
