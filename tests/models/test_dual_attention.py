"""The dual-stage attention network: padding, causality, sizes, parts, refusals."""

import pytest
import torch

from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.models.long_time import POSITIONS

QOS, VIDEO = 4, 3
COLUMNS = {"qos": slice(0, QOS), "video": slice(QOS, QOS + VIDEO)}
SIZES = {"kernel": 5, "video_convolutions": 3, "qos_convolutions": 2, "qos_layers": 2}
VARIANTS = {
    "full": {},
    "sinusoidal": {"positions": "sinusoidal"},
    "spans": {"video_span": 3, "qos_span": 5},
    "learned": {"positions": "learned"},
    "without cross_feature": {"cross_feature": False},
    "without long_time": {"long_time": False},
    "without gate": {"gate": False},
}
EVERY_VARIANT = pytest.mark.parametrize("changes", VARIANTS.values(), ids=list(VARIANTS))


def network(n_qos=QOS, n_video=VIDEO, **changes):
    """A small network as it predicts."""
    config = DualAttentionConfig(**{"width": 12, **SIZES, **changes})
    return DualAttention(n_qos, n_video, config).eval()


def exists(*lengths):
    """`valid` of sessions of these lengths."""
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("time", [1, 2, 5, 30, 600])
def test_any_number_of_seconds_has_finite_scores(time, positions):
    scores = network(positions=positions)(torch.rand(2, time, 7), exists(time, time))
    assert [score.shape for score in scores] == [(2, time), (2,)]
    assert all(score.isfinite().all() for score in scores)


@EVERY_VARIANT
@pytest.mark.parametrize("extra", [1, 50])
def test_scores_do_not_depend_on_the_amount_of_padding(changes, extra):
    module, inputs = network(**changes), torch.rand(2, 9 + extra, 7)
    expected = module(inputs[:, :9], exists(9, 9))
    valid = exists(9, 9 + extra)[:1].expand(2, -1)
    continuous, overall = module(inputs, valid)
    torch.testing.assert_close((continuous[:, :9], overall), expected, rtol=0, atol=1e-6)


@EVERY_VARIANT
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("content", [-1.0, 1e3])
def test_scores_do_not_depend_on_what_stands_in_the_padding(changes, causal, content):
    module, inputs = network(**changes, causal=causal), torch.rand(2, 12, 7)
    expected = module(inputs, exists(12, 8))
    inputs[1, 8:] = content
    continuous, overall = module(inputs, exists(12, 8))
    assert continuous[1, :8].equal(expected[0][1, :8])
    assert continuous[0].equal(expected[0][0])
    assert overall.equal(expected[1])


@pytest.mark.parametrize("causal", [True, False])
def test_scores_do_not_depend_on_the_other_sessions_of_the_batch(causal):
    module, inputs = network(causal=causal), torch.rand(3, 12, 7)
    expected = module(inputs[1:2, :8], exists(8))
    continuous, overall = module(inputs, exists(12, 8, 5))
    torch.testing.assert_close((continuous[1:2, :8], overall[1:2]), expected, rtol=0, atol=1e-6)


def test_permuted_sessions_have_permuted_scores():
    module, inputs, valid = network(), torch.rand(4, 12, 7), exists(12, 8, 5, 1)
    order = torch.tensor([2, 0, 3, 1])
    expected = [score[order] for score in module(inputs, valid)]
    found = module(inputs[order], valid[order])
    torch.testing.assert_close(list(found), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("edited", list(COLUMNS))
def test_a_branch_sees_its_own_columns_only(edited):
    module, inputs = network(), torch.rand(2, 12, 7)
    before = module.run(inputs, exists(12, 12)).memory.sums
    inputs[..., COLUMNS[edited]] += 1
    after = module.run(inputs, exists(12, 12)).memory.sums
    assert [name for name in COLUMNS if not after[name].equal(before[name])] == [edited]


@pytest.mark.parametrize(("bias", "unheard"), [(100.0, "qos"), (-100.0, "video")])
def test_a_gate_of_1_listens_to_video_and_of_0_to_qos(bias, unheard):
    module, inputs = network(), torch.rand(2, 12, 7)
    for head in (module.continuous, module.overall):
        head.gate[2].bias.data.fill_(bias)
    before = module(inputs, exists(12, 12))
    inputs[..., COLUMNS[unheard]] += 1
    after = module(inputs, exists(12, 12))
    assert all(a.equal(b) for a, b in zip(after, before, strict=True))


@EVERY_VARIANT
@pytest.mark.parametrize("edited", COLUMNS.values(), ids=list(COLUMNS))
def test_scores_do_not_see_later_seconds(changes, edited):
    module, inputs, valid = network(**changes), torch.rand(2, 12, 7), exists(12, 12)
    before = module(inputs, valid)[0]
    inputs[:, 7:, edited] += 10
    after = module(inputs, valid)[0]
    assert after[:, :7].equal(before[:, :7])
    assert (after[:, 7] != before[:, 7]).all()


@pytest.mark.parametrize("edited", COLUMNS.values(), ids=list(COLUMNS))
def test_without_the_causal_mask_scores_see_later_seconds(edited):
    module, inputs, valid = network(causal=False), torch.rand(2, 12, 7), exists(12, 12)
    before = module(inputs, valid)[0]
    inputs[:, 7:, edited] += 10
    assert (module(inputs, valid)[0][:, :7] != before[:, :7]).all()


@pytest.mark.parametrize("edited", COLUMNS.values(), ids=list(COLUMNS))
def test_every_second_reaches_the_scores_after_it_and_the_overall_score(edited):
    inputs = torch.rand(1, 12, 7, requires_grad=True)
    continuous, overall = network()(inputs, exists(12))
    for score in continuous[0, -1], overall[0]:
        (gradient,) = torch.autograd.grad(score, inputs, retain_graph=True)
        assert gradient[0, :, edited].abs().sum(1).min() > 0


@pytest.mark.parametrize(("branch", "span", "reach"), [("video", 2, 13), ("qos", 3, 12)])
def test_a_span_of_one_branch_bounds_what_its_scores_reach_back(branch, span, reach):
    """3 convolutions of 4 s and 1 layer of span - 1 s; 2 convolutions and 2 layers."""
    module = network(**{f"{branch}_span": span})
    inputs = torch.rand(1, 30, 7, requires_grad=True)
    module(inputs, exists(30))[0][0, 20].backward()
    for name, columns in COLUMNS.items():
        seconds = inputs.grad[0, :, columns].abs().sum(1).nonzero().flatten()
        assert seconds.min() == (20 - reach if name == branch else 0)


@pytest.mark.parametrize("n_qos", [1, 3, 4, 5, 7, 8])
@pytest.mark.parametrize("cross_feature", [True, False])
def test_any_number_of_qos_features_fits_the_width(n_qos, cross_feature):
    module = network(n_qos, 2, cross_feature=cross_feature)
    scores = module(torch.rand(2, 6, n_qos + 2), exists(6, 4))
    assert [score.shape for score in scores] == [(2, 6), (2,)]


@pytest.mark.parametrize(
    ("n_qos", "channels"), [(4, 12), (1, 12), (2, 12), (5, 15), (7, 21), (8, 24)]
)
def test_the_qos_branch_has_the_next_multiple_of_features_times_heads(n_qos, channels):
    branch = network(n_qos, 0).branches["qos"]
    assert branch.short.layers[-1].out_channels == channels
    assert isinstance(branch.lower, torch.nn.Linear) == (channels != 12)


@pytest.mark.parametrize(("n_qos", "n_video"), [(QOS, 0), (0, VIDEO)])
@pytest.mark.parametrize("gate", [True, False])
def test_one_branch_alone_has_no_gate(n_qos, n_video, gate):
    module = network(n_qos, n_video, gate=gate)
    outputs = module.run(torch.rand(2, 6, n_qos + n_video), exists(6, 4))
    assert (outputs.continuous.shape, outputs.overall.shape) == ((2, 6), (2,))
    assert "gate" not in outputs.weights
    assert n_parameters(module) < n_parameters(network(gate=False))


@pytest.mark.parametrize(
    ("part", "left_out"),
    [("cross_feature", "cross_feature"), ("long_time", "long_time"), ("gate", "gate")],
)
def test_a_part_that_is_left_out_has_no_weights(part, left_out):
    module = network(**{part: False})
    scores = module.run(torch.rand(2, 6, 7), exists(6, 4))
    assert scores.continuous.isfinite().all()
    assert not [name for name in scores.weights if left_out in name]
    assert n_parameters(module) < n_parameters(network())


@pytest.mark.parametrize("changes", [{}, {"video_span": 3, "qos_span": 2}])
def test_the_first_seconds_are_scored_the_same_however_long_the_session_goes_on(changes):
    module, inputs = network(**changes), torch.rand(2, 40, 7)
    short, long = (module(inputs[:, :n], exists(n, n))[0] for n in (6, 40))
    torch.testing.assert_close(long[:, :6], short, rtol=0, atol=1e-6)


def test_more_seconds_than_learned_positions_are_refused(refuses):
    with refuses(
        "a session has 9 s, expected at most 8: learned positions end where their table ends; "
        "train with a larger `longest`, or with positions='recency' or 'sinusoidal', which have no "
        "end"
    ):
        network(positions="learned", longest=8)(torch.rand(1, 9, 7), exists(9))


def test_sessions_without_a_second_are_refused(refuses):
    with refuses("inputs have shape (2, 0, 7), expected at least one second; is a session empty?"):
        network()(torch.rand(2, 0, 7), exists(0, 0))
