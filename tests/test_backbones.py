import json
import math
import weakref

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from skimage import data
from torch import nn
from torch.nn.functional import interpolate

from qoe_core import backbones
from qoe_core.backbones import Backbone, BackboneConfig, in_chunks

TINY = BackboneConfig(name="test_resnet", weights=None)
CPU = torch.device("cpu")


def photograph(name):
    """The middle square of a photograph of scikit-image as one frame of 224x224."""
    picture = torch.from_numpy(getattr(data, name)().copy()).permute(2, 0, 1)[None].float()
    side = min(picture.shape[2:])
    top, left = ((size - side) // 2 for size in picture.shape[2:])
    square = picture[:, :, top : top + side, left : left + side]
    small = interpolate(square, (224, 224), mode="bicubic", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)


def noise(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8)


class Greedy(nn.Module):
    """Fails on more than `limit` frames; remembers what it was asked for."""

    def __init__(self, limit, fail):
        super().__init__()
        self.limit, self.fail, self.asked = limit, fail, []

    def forward(self, frames):
        self.asked.append(len(frames))
        if len(frames) > self.limit:
            self.fail()
        return frames.flatten(1).float()


def gpu_runs_out():
    raise torch.OutOfMemoryError("CUDA out of memory.")


def cpu_runs_out():
    torch.empty(1 << 60, dtype=torch.uint8)


def breaks():
    raise RuntimeError("something else")


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("chelsea", {281, 282, 283, 284, 285}),  # five kinds of cat
        ("coffee", {504, 967, 968}),  # coffee mug, espresso, cup
        ("rocket", {657, 744, 812}),  # missile, projectile, space shuttle
    ],
)
def test_the_pip_weights_know_what_a_photograph_shows(name, classes):
    with torch.inference_mode():
        scores = backbones.classifier(BackboneConfig())(photograph(name))
    assert classes & set(scores[0].topk(5).indices.tolist())


def test_features_are_those_that_the_classifier_classifies():
    seen = []
    classifier = backbones.classifier(BackboneConfig())
    classifier[1].blocks.register_forward_hook(lambda layer, given, result: seen.append(result))
    frame = photograph("chelsea")
    with torch.inference_mode():
        classifier(frame)
    last = seen[0][0].flatten(1).numpy()  # channel, place
    expected = np.concatenate([last.mean(axis=1), last.std(axis=1)])
    features = backbones.load(BackboneConfig(), "cpu")(frame)
    # float32; channels_last sums in another order
    np.testing.assert_allclose(features[0, -2 * len(last) :], expected, rtol=1e-4, atol=1e-5)


def test_features_are_mean_then_deviation_of_each_stage_from_fine_to_coarse(tmp_path):
    weights = timm.create_model("test_resnet").state_dict()
    save_file(weights, tmp_path / "some.safetensors")
    frames = noise(3, 3, 48, 64)
    config = BackboneConfig(name="test_resnet", weights=str(tmp_path / "some.safetensors"))
    features = backbones.load(config, "cpu")(frames)

    reference = timm.create_model("test_resnet", features_only=True).eval()
    reference.load_state_dict({k: v for k, v in weights.items() if not k.startswith("fc.")})
    scaled = (frames.permute(0, 2, 3, 1).numpy() / 255 - 0.5) / 0.5  # as its training was
    with torch.inference_mode():
        stages = reference(torch.from_numpy(scaled).float().permute(0, 3, 1, 2))[-4:]
    maps = [stage.flatten(2).numpy() for stage in stages]
    expected = np.concatenate([part for m in maps for part in (m.mean(2), m.std(2))], axis=1)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)  # float32 sums


def test_a_resnet_50_gives_the_features_of_the_paper():
    backbone = backbones.load(BackboneConfig(name="resnet50", weights=None), "cpu")
    assert backbone.n_features == 7680
    assert backbone(noise(1, 3, 32, 32)).shape == (1, 7680)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "test_convnext"])
def test_other_families_give_as_many_features_as_they_say(name):
    backbone = backbones.load(BackboneConfig(name=name, weights=None), "cpu")
    frames = noise(2, 3, *timm.get_pretrained_cfg(name).input_size[1:])
    assert backbone(frames).shape == (2, backbone.n_features)


@pytest.mark.parametrize(("height", "width"), [(37, 61), (64, 48), (128, 33)])
def test_frames_of_any_size_are_taken_as_they_are(height, width):
    backbone = backbones.load(TINY, "cpu")
    assert backbone(noise(2, 3, height, width)).isfinite().all()


@pytest.mark.parametrize("budget_bytes", [1, 3_000_000, 1 << 30])
def test_features_do_not_depend_on_the_memory_budget(budget_bytes):
    frames = noise(9, 3, 48, 64)
    expected = torch.cat([backbones.load(TINY, "cpu")(frame[None]) for frame in frames])
    features = backbones.load(TINY, "cpu", budget_bytes)(frames)
    # kernels for one frame and for many add up in another order
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)


def test_a_chunk_fills_the_budget():
    layer = Greedy(limit=99, fail=breaks)
    frames = noise(11, 3, 2, 2)  # 12 numbers of 4 bytes come out for each
    in_chunks(layer, frames, CPU, budget_bytes=4 * 48 * 4)
    assert layer.asked == [1, 4, 4, 2]


@pytest.mark.parametrize("fail", [gpu_runs_out, cpu_runs_out])
def test_half_as_many_frames_go_at_a_time_once_memory_runs_out(fail):
    layer = Greedy(limit=3, fail=fail)
    frames = noise(10, 3, 2, 2)
    features = in_chunks(layer, frames, CPU, budget_bytes=1 << 30)
    assert layer.asked == [1, 9, 5, 2, 2, 2, 2, 1]
    torch.testing.assert_close(features, frames.flatten(1).float(), rtol=0, atol=0)


def test_a_frame_that_does_not_fit_at_all_is_refused(refuses):
    layer = Greedy(limit=0, fail=gpu_runs_out)
    with refuses(
        "one item of shape [3, 2, 2] does not fit in the memory of cpu; use smaller frames, a "
        "smaller network or another device"
    ):
        in_chunks(layer, noise(2, 3, 2, 2), CPU, budget_bytes=1)


def test_another_failure_of_a_network_is_not_taken_for_a_lack_of_memory(refuses):
    layer = Greedy(limit=1, fail=breaks)
    with refuses("something else", RuntimeError):
        in_chunks(layer, noise(4, 3, 2, 2), CPU, budget_bytes=1 << 20)


def test_a_feature_that_is_not_finite_is_refused(refuses):
    backbone = Backbone(
        module=nn.Sequential(
            backbones.Normalised((0.0,) * 3, (1.0,) * 3), nn.Flatten(), nn.Threshold(0.5, math.nan)
        ),
        identity={"name": "broken", "precision": "float32"},
        n_features=12,
        device=CPU,
    )
    frames = torch.full((3, 3, 2, 2), 255, dtype=torch.uint8)
    frames[1, 0, 0, 0] = 0
    with refuses(
        "broken, item 1: a feature is not finite, expected numbers; broken weights, or out of the "
        "range of float16 (precision='float32')?"
    ):
        backbone(frames)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_mixed_precision_gives_about_the_same_and_another_identity(precision):
    frames = noise(2, 3, 64, 64)
    exact = backbones.load(TINY, "cpu")
    config = BackboneConfig(name="test_resnet", weights=None, precision=precision)
    mixed = backbones.load(config, "cpu")
    features = mixed(frames)
    assert features.dtype == torch.float32
    assert 0 < (features - exact(frames)).abs().max() < 0.1 * exact(frames).abs().max()
    assert (mixed.identity["precision"], exact.identity["precision"]) == (precision, "float32")


def test_a_network_is_frozen_and_leaves_nothing_to_differentiate():
    backbone = backbones.load(TINY, "cpu")
    assert not backbone(noise(1, 3, 32, 32)).requires_grad
    assert not any(weight.requires_grad for weight in backbone.module.parameters())
    assert not backbone.module.training


def test_the_identity_can_be_written_as_json_and_does_not_name_the_device():
    identity = backbones.load(TINY, "cpu").identity
    assert json.loads(json.dumps(identity)) == identity
    assert sorted(identity) == [
        *("name", "pooling", "precision", "random_weights", "stages"),
        *("timm", "torch", "weights_sha256"),
    ]


def test_a_deleted_backbone_is_freed_at_once():
    """Without a cycle, which would hold a GPU's memory until the next collection."""
    backbone = backbones.load(TINY, "cpu")
    backbone(noise(2, 3, 32, 32))
    network = weakref.ref(backbone.module)
    del backbone
    assert network() is None


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch sees no GPU; runs where it sees one"
)
def test_a_deleted_backbone_gives_back_the_memory_of_the_gpu():
    before = torch.cuda.memory_allocated()
    backbone = backbones.load(TINY, "cuda")
    backbone(noise(2, 3, 32, 32))
    assert torch.cuda.memory_allocated() > before
    del backbone
    assert torch.cuda.memory_allocated() == before
