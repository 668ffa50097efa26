"""What TensorBoard shows of a training run is read back from its files."""

import dataclasses
import io

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import nn

from qoe_core import watching
from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.models.recurrent import Recurrent, RecurrentConfig
from qoe_core.train_config import TrainConfig
from qoe_core.training import fit

CONFIG = TrainConfig(n_epochs=12, batch_size=4, learning_rate=1e-2, device="cpu")


class Looking(Recurrent):
    """Its map says where it is asked: a row a second, the first input in every column."""

    def attention(self, inputs, valid):
        torch.rand(2)  # so that a generator that is not put back shows
        return {"first_input": inputs[..., :1].expand(-1, -1, 5)}


def trained(examples, folder=None, make=Looking, n_train=7):
    torch.manual_seed(0)
    module = make(3, RecurrentConfig(hidden=8, dropout=0.5))
    return module, fit(module, examples[:n_train], examples[n_train:], CONFIG, 0, folder)


def read(folder):
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0}).Reload()


def picture(image):
    return np.array(Image.open(io.BytesIO(image.encoded_image_string)).convert("L"))


def test_attention_is_drawn_every_tenth_epoch_and_after_the_last(examples, tmp_path):
    trained(examples, tmp_path)
    images = read(tmp_path).Images("attention/first_input")
    assert [image.step for image in images] == [10, 12]


@pytest.mark.parametrize("n_train", [7, 10], ids=["validation", "training"])
def test_the_first_example_is_drawn_with_brightness_of_the_root(examples, tmp_path, n_train):
    trained(examples, tmp_path, n_train=n_train)
    drawn = picture(read(tmp_path).Images("attention/first_input")[0])
    example = examples[7 if n_train == 7 else 0]  # of validation where there is one
    zoom = round(360 / len(example.rated))
    assert drawn.shape == (zoom * len(example.rated), zoom * 5)
    weights = np.repeat(np.repeat(example.inputs[:, :1].numpy(), zoom, 0), 5 * zoom, 1)
    np.testing.assert_allclose(drawn, 255 * np.sqrt(weights), atol=1)


def test_what_is_drawn_is_drawn_with_the_weights_of_its_epoch(examples, tmp_path):
    class Weighing(Recurrent):
        def attention(self, inputs, valid):
            return {"bias": torch.sigmoid(self.heads.continuous.bias).expand(len(inputs), 2, 2)}

    untrained = Weighing(3, RecurrentConfig(hidden=8))
    untrained.heads.continuous.bias.data.zero_()
    fit(untrained, examples, [], dataclasses.replace(CONFIG, learning_rate=0.1), 0, tmp_path)
    first, last = (picture(image)[0, 0] for image in read(tmp_path).Images("attention/bias"))
    now = 255 * untrained.heads.continuous.bias.sigmoid().sqrt().item()
    assert last == pytest.approx(now, abs=1)
    assert abs(first - 255 * 0.5**0.5) > 3


def test_a_module_that_cannot_say_where_it_looks_has_no_images(examples, tmp_path):
    trained(examples, tmp_path, make=Recurrent)
    assert read(tmp_path).Tags()["images"] == []


def test_a_block_named_attention_is_not_asked_for_maps(examples, tmp_path):
    class Blocks(Recurrent):
        def __init__(self, n_feat, config):
            super().__init__(n_feat, config)
            self.attention = nn.Linear(n_feat, 1)

    trained(examples, tmp_path, make=Blocks)
    assert read(tmp_path).Tags()["images"] == []


def test_the_maps_of_the_dual_attention_network_are_drawn(examples, tmp_path):
    def make(n_feat, _):
        return DualAttention(2, n_feat - 2, DualAttentionConfig(width=8, cross_heads=1))

    module, _ = trained(examples, tmp_path, make=make)
    names = module.attention(torch.rand(1, 6, 3), torch.ones(1, 6, dtype=torch.bool))
    assert set(read(tmp_path).Tags()["images"]) == {f"attention/{name}" for name in names}


def test_a_watched_run_ends_with_the_bits_of_one_that_is_not(examples, tmp_path):
    (watched, history), (alone, unseen) = trained(examples, tmp_path), trained(examples)
    pairs = zip(watched.state_dict().values(), alone.state_dict().values(), strict=True)
    assert all(first.equal(second) for first, second in pairs)
    assert history.equals(unseen)


@pytest.fixture
def looked_at(examples, tmp_path):
    """A module in training with one block that is not, drawn; states of the generator around."""
    module = Looking(3, RecurrentConfig(hidden=8)).train()
    module.heads.eval()
    before = torch.get_rng_state()
    with watching.opened(tmp_path, 0) as board:
        watching.show_attention(board, module, examples, step=1)
    return module, before, torch.get_rng_state()


def test_drawing_leaves_every_block_in_its_mode(looked_at):
    module = looked_at[0]
    assert module.training
    assert module.dropout.training
    assert not module.heads.training


def test_drawing_leaves_the_generator_in_its_state(looked_at):
    assert looked_at[1].equal(looked_at[2])


def table_line(folder):
    content = read(folder).PluginTagToContent("hparams")
    started = HParamsPluginData.FromString(content["_hparams_/session_start_info"])
    values = started.session_start_info.hparams
    return {n: getattr(v, v.WhichOneof("kind")) for n, v in values.items()}


def test_the_table_holds_every_setting(examples, tmp_path):
    module, _ = trained(examples, tmp_path)
    expected = dataclasses.asdict(CONFIG)
    expected |= {f"loss.{name}": value for name, value in expected.pop("loss").items()}
    expected = {name: value for name, value in expected.items() if value is not None}
    expected |= {"seed": 0, "n_train": 7}
    expected["n_parameters"] = sum(parameter.numel() for parameter in module.parameters())
    assert table_line(tmp_path) == expected


@pytest.mark.parametrize("n_train", [7, 10], ids=["validation", "training"])
def test_the_table_holds_how_the_kept_epoch_did(examples, tmp_path, n_train):
    _, history = trained(examples, tmp_path, n_train=n_train)
    kept = history.iloc[-1][["train/loss"]]
    if n_train == 7:
        kept = history.loc[history["validation/loss"].idxmin()].filter(regex="^(valid|metr)")
    events = read(tmp_path)
    shown = {name: events.Scalars(name) for name in events.Tags()["scalars"] if "best/" in name}
    assert {scalar.step for scalars in shown.values() for scalar in scalars} == {len(history)}
    values = {name.removeprefix("best/"): [s.value for s in shown[name]] for name in shown}
    # event files hold single precision
    assert values == {name: [pytest.approx(value, rel=1e-6)] for name, value in kept.items()}


def test_a_run_is_one_file(examples, tmp_path):
    trained(examples, tmp_path)
    assert len(list((tmp_path / "tensorboard").rglob("*"))) == 1


def test_a_finished_run_that_is_asked_for_again_adds_nothing(examples, tmp_path):
    trained(examples, tmp_path)
    before = [path.read_bytes() for path in (tmp_path / "tensorboard").iterdir()]
    trained(examples, tmp_path)
    assert [path.read_bytes() for path in (tmp_path / "tensorboard").iterdir()] == before


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no GPU; run on a machine with one"
)
def test_a_gpu_has_a_curve_of_its_memory(examples, tmp_path):
    config = dataclasses.replace(CONFIG, device="cuda")
    fit(Looking(3, RecurrentConfig()), examples, [], config, 0, tmp_path)
    assert min(scalar.value for scalar in read(tmp_path).Scalars("peak_memory_mb")) > 0
