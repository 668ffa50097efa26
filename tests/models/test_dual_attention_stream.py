"""The network second by second against the whole session at once, and its attention maps."""

import pytest
import torch

from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig

TIME, QOS, VIDEO, WIDTH = 11, 4, 3, 12
SIZES = {"kernel": 5, "video_convolutions": 3, "qos_convolutions": 2, "qos_layers": 2}
VARIANTS = {
    "full": {},
    "sinusoidal": {"positions": "sinusoidal"},
    "sinusoidal and spans": {"positions": "sinusoidal", "video_span": 3, "qos_span": 5},
    "spans": {"video_span": 3, "qos_span": 5},
    "span of one second": {"video_span": 1, "qos_span": 1},
    "learned": {"positions": "learned"},
    "without long_time": {"long_time": False},
    "without cross_feature and gate": {"cross_feature": False, "gate": False},
}
MAPS = {
    "video/long_time_0": (TIME, TIME),
    "qos/cross_feature": (QOS, QOS),
    "qos/long_time_0": (TIME, TIME),
    "qos/long_time_1": (TIME, TIME),
    "gate": (TIME, WIDTH),
}


def network(n_qos=QOS, n_video=VIDEO, **changes):
    """A small network as it predicts."""
    config = DualAttentionConfig(**{"width": WIDTH, **SIZES, **changes})
    return DualAttention(n_qos, n_video, config).eval()


def every(batch, time):
    return torch.ones(batch, time, dtype=torch.bool)


def streamed(module, inputs, cuts):
    """Continuous scores, the overall score after each part, and the last memory."""
    continuous, overall, memory = [], [], None
    for part in inputs.split(cuts, dim=1):
        outputs = module.run(part, every(*part.shape[:2]), memory)
        memory = outputs.memory
        continuous.append(outputs.continuous)
        overall.append(outputs.overall)
    return torch.cat(continuous, dim=1), torch.stack(overall), memory


@pytest.fixture
def inputs():
    return torch.rand(2, TIME, QOS + VIDEO)


@pytest.fixture
def padded():
    """Sessions of 11, 7 and 1 s: inputs and `valid`."""
    valid = torch.arange(TIME) < torch.tensor([TIME, 7, 1])[:, None]
    return torch.rand(3, TIME, QOS + VIDEO), valid


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=list(VARIANTS))
@pytest.mark.parametrize("cuts", [[1] * TIME, [3, 3, 3, 2], [8, 1, 2]])
def test_scores_in_parts_are_those_of_the_whole_session(inputs, changes, cuts):
    module = network(**changes)
    continuous, overall, _ = streamed(module, inputs, cuts)
    expected = module(inputs, every(2, TIME))
    torch.testing.assert_close((continuous, overall[-1]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("n_qos", "n_video"), [(QOS, 0), (0, VIDEO), (7, VIDEO)])
def test_scores_of_any_branches_in_parts_are_those_of_the_whole_session(n_qos, n_video):
    module, inputs = network(n_qos, n_video), torch.rand(2, TIME, n_qos + n_video)
    continuous, overall, _ = streamed(module, inputs, [3, 3, 3, 2])
    expected = module(inputs, every(2, TIME))
    torch.testing.assert_close((continuous, overall[-1]), expected, rtol=0, atol=1e-5)


def test_the_overall_score_of_a_part_is_that_of_all_seconds_so_far(inputs):
    module = network()
    _, overall, _ = streamed(module, inputs, [1] * TIME)
    expected = [module(inputs[:, : n + 1], every(2, n + 1))[1] for n in range(TIME)]
    torch.testing.assert_close(overall, torch.stack(expected), rtol=0, atol=1e-5)


def test_what_is_kept_does_not_grow_beyond_the_spans():
    module = network(video_span=3, qos_span=5)
    kept = []
    for time in (6, 60):
        memory = streamed(module, torch.rand(1, time, QOS + VIDEO), [2] * (time // 2))[2]
        seen = [part.shape for branch in memory.seen.values() for s in branch for part in s]
        past = [part.shape for branch in memory.past.values() for part in branch]
        kept.append((seen, past, memory.n_seconds))
    assert kept[0][:2] == kept[1][:2]
    assert {shape[3] for shape in kept[1][0]} == {2, 4}
    assert [n_seconds for _, _, n_seconds in kept] == [6, 60]


def test_weights_of_a_part_begin_with_the_seconds_that_were_kept(inputs):
    module = network(qos_span=5)
    memory = module.run(inputs[:, :7], every(2, 7)).memory
    weights = module.run(inputs[:, 7:9], every(2, 2), memory).weights
    assert weights["video/long_time_0"].shape == (2, 4, 2, 9)
    assert weights["qos/long_time_1"].shape == (2, 4, 2, 6)
    whole = module.run(inputs, every(2, TIME)).weights["qos/long_time_1"]
    expected = whole[:, :, 7:9, 3:9]
    torch.testing.assert_close(weights["qos/long_time_1"], expected, rtol=0, atol=1e-6)


def test_learned_positions_end_in_parts_too(refuses, inputs):
    module = network(positions="learned", longest=8)
    memory = module.run(inputs[:, :8], every(2, 8)).memory
    with refuses(
        "a session has 9 s, expected at most 8: learned positions end where their table ends; "
        "train with a larger `longest`, or with positions='recency' or 'sinusoidal', which have no "
        "end"
    ):
        module.run(inputs[:, 8:9], every(2, 1), memory)


def test_a_network_that_sees_the_future_does_not_go_on(refuses, inputs):
    module = network(causal=False)
    memory = module.run(inputs, every(2, TIME)).memory
    with refuses(
        "a network without causal mask cannot go on second by second, since what it says of the "
        "past depends on what comes; use causal=True"
    ):
        module.run(inputs, every(2, TIME), memory)


def test_the_last_part_may_end_in_padding(inputs):
    module, valid = network(), every(2, TIME)
    valid[1, 9:] = False
    memory = module.run(inputs[:, :7], every(2, 7)).memory
    outputs = module.run(inputs[:, 7:], valid[:, 7:], memory)
    expected = module(inputs, valid)
    torch.testing.assert_close(outputs.continuous, expected[0][:, 7:], rtol=0, atol=1e-5)
    torch.testing.assert_close(outputs.overall, expected[1], rtol=0, atol=1e-5)


def test_nothing_goes_on_behind_padding(refuses, inputs):
    module, valid = network(), every(2, TIME)
    valid[1, 7:] = False
    memory = module.run(inputs, valid).memory
    with refuses(
        "a memory holds padding, expected that every second of it exists; sessions of different "
        "length go on in different batches"
    ):
        module.run(inputs, every(2, TIME), memory)


@pytest.mark.parametrize("training", [True, False])
def test_asking_for_attention_changes_nothing(padded, training):
    module = network().train(training)
    torch.manual_seed(1)
    before = module(*padded)
    module.attention(*padded)
    assert module.training == training
    torch.manual_seed(1)
    after = module(*padded)
    assert all(a.equal(b) for a, b in zip(after, before, strict=True))


def test_there_is_a_map_for_every_attention_and_the_gate(padded):
    maps = network().attention(*padded)
    assert {name: tuple(found.shape[1:]) for name, found in maps.items()} == MAPS
    assert {len(found) for found in maps.values()} == {3}


def test_maps_are_between_0_and_1_and_rows_of_attention_sum_to_1(padded):
    for name, found in network().attention(*padded).items():
        assert 0 <= found.min() < found.max() <= 1
        if name != "gate":
            torch.testing.assert_close(
                found.sum(-1), torch.ones_like(found[..., 0]), rtol=0, atol=1e-6
            )


def test_maps_over_seconds_leave_future_and_padding_out(padded):
    maps, valid = network(qos_span=4).attention(*padded), padded[1]
    ahead = torch.arange(TIME) - torch.arange(TIME)[:, None]
    for name, span in (("video/long_time_0", TIME), ("qos/long_time_1", 4)):
        allowed = (ahead <= 0) & (ahead > -span) & valid[:, None]
        rows = valid[:, :, None].expand_as(allowed)
        assert (maps[name] > 0)[rows].equal(allowed[rows])


def test_the_map_over_features_is_the_mean_over_heads_and_valid_seconds(padded):
    module = network()
    weights = module.run(*padded).weights["qos/cross_feature"]
    lengths = padded[1].sum(1).tolist()
    expected = [session[:n].mean((0, 1)) for session, n in zip(weights, lengths, strict=True)]
    found = module.attention(*padded)["qos/cross_feature"]
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-6)


def test_the_gate_is_the_one_of_the_continuous_score(padded):
    module = network()
    module.continuous.gate[2].bias.data.fill_(100.0)
    assert (module.attention(*padded)["gate"] == 1).all()
