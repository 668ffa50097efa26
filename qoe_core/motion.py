"""How much moves in each second: statistics of optical flow, or a frozen 3-D network by name.

A second is some samples at equal distances in time. Both kinds see all seconds of a video in order.
torchvision is imported where a network is asked for, as timm is in `backbones`.
"""

import importlib.metadata
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
import torch
from jaxtyping import Float, UInt8
from skimage.registration import optical_flow_ilk
from torch import Tensor, nn

from qoe_core import backbones, weights
from qoe_core.backbones import Backbone
from qoe_core.training import resolve_device

FLOW_ENERGY = "flow-energy"
FEATURES = (  # of flow-energy, over all pixels and all pairs of neighbouring samples of a second
    "change_mean",  # absolute difference in luma between two samples, 0 to 1
    "change_std",
    "change_max",
    "changed_share",  # of pixels whose luma changes by more than CHANGED, 0 to 1
    "speed_mean",  # length of the optical flow, in picture widths per second
    "speed_std",
    "speed_max",
    "energy_mean",  # speed squared, in squared widths per squared second
    "moving_share",  # of pixels faster than MOVING, 0 to 1
)
LUMA = (0.2126, 0.7152, 0.0722)  # of R'G'B', ITU-R BT.709
CHANGED = 3 / 255  # above the noise of 8-bit video: our choice
MOVING = 0.02  # widths per second: our choice
FLOW_WIDTH = 80  # pixels, at most, of the picture that flow is estimated on: our choice
WARPS = (
    3  # of optical_flow_ilk; up to 6 changed the mean speed of a shifted photograph by under 1 %
)
HEADS = ("fc", "classifier", "head")  # last layer of torchvision's video networks


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """What measures motion, and on how many samples of a second."""

    name: str = FLOW_ENERGY  # or one of torchvision.models.video
    weights: str | None = None  # of a network: the path of a .safetensors file, None for random
    samples: int = 8  # a second
    precision: str = "auto"  # of a network: one of backbones.PRECISIONS

    def __post_init__(self):
        """Refuse what cannot be loaded before a video is read."""
        if self.name != FLOW_ENERGY:
            from torchvision.models import list_models, video

            backbones.check_known("motion", self.name, {FLOW_ENERGY, *list_models(module=video)})
        backbones.check_known("precision", self.precision, backbones.PRECISIONS)
        if self.samples < 2:
            raise ValueError(f"samples is {self.samples}, expected at least 2: motion is a change")
        if self.name == FLOW_ENERGY and (self.weights is not None or self.precision != "auto"):
            raise ValueError(
                f"{FLOW_ENERGY} has neither weights nor another precision than float32, got "
                f"weights {self.weights!r}, precision {self.precision!r}; is a network meant?"
            )


def load(
    config: MotionConfig, device: str = "auto", budget_bytes: int | None = None
) -> "FlowEnergy | Backbone":
    """What `config` names, ready to be called with `UInt8[Tensor, "second sample 3 height width"]`.

    Either kind has `identity`, `n_features`, and gives `Float[Tensor, "second feat"]`; flow-energy
    runs on the CPU whatever the device. Arguments and errors are those of `backbones.load`.
    """
    if config.name == FLOW_ENERGY:
        return FlowEnergy(samples=config.samples)
    from torchvision.models import get_model

    network = weights.seeded(lambda: get_model(config.name, weights=None))
    if config.weights is not None:
        tensors = weights.read_weights(Path(config.weights))
        weights.fill(network, config.name, tensors, config.weights)
    identity = {
        **weights.identify(network, config.name, config.weights),
        "torchvision": importlib.metadata.version("torchvision").partition("+")[0],
        "pooling": "input of the classifier",
        "samples": config.samples,
        "precision": backbones.resolve_precision(config.precision, device),
    }
    clips = _Clips(network, config)
    return Backbone(
        module=clips,
        identity=identity,
        n_features=clips.n_features,
        device=resolve_device(device),
        budget_bytes=budget_bytes,
    )


@dataclass(frozen=True, kw_only=True)
class FlowEnergy:
    """Statistics of differences and of optical flow between neighbouring samples: FEATURES.

    A second has a pair for each of its samples, with the sample before it: the first sample pairs
    with the last of the second before, except in the first second, so nothing looks ahead. A frozen
    picture gives 0 everywhere; at a cut the flow means nothing, and the differences are large.
    Source of the flow: Le Besnerais and Champagnat, ICIP 2005, as in scikit-image.
    """

    samples: int

    @property
    def n_features(self) -> int:
        """As many as FEATURES."""
        return len(FEATURES)

    @property
    def identity(self) -> Mapping[str, object]:
        """What the features depend on, beside the pictures; JSON-able."""
        return {
            "name": FLOW_ENERGY,
            "features": list(FEATURES),
            "samples": self.samples,
            "changed": CHANGED,
            "moving": MOVING,
            "flow_width": FLOW_WIDTH,
            "warps": WARPS,
            "torch": torch.__version__.partition("+")[0],
            "scikit-image": skimage.__version__,
            "precision": "float32",
        }

    def __call__(
        self, seconds: UInt8[Tensor, "second sample 3 height width"]
    ) -> Float[Tensor, "second feat"]:
        """FEATURES of each second, in float32.

        Raises:
            ValueError: another number of samples than was declared.
        """
        _check_samples(seconds, self.samples)
        rows, before = [], seconds[0, :0]
        for second in seconds:
            luma = torch.einsum(
                "tchw,c->thw", torch.cat([before, second]) / 255, torch.tensor(LUMA)
            )
            rows.append(torch.cat([_change(luma), _speed(luma, self.samples)]))
            before = second[-1:]
        return torch.stack(rows)


def _check_samples(seconds: Tensor, samples: int) -> None:
    if seconds.shape[1] != samples:
        raise ValueError(
            f"a second comes with {seconds.shape[1]} samples, expected {samples}; were the frames "
            "sampled for another configuration?"
        )


def _change(luma: Float[Tensor, "time height width"]) -> Float[Tensor, " 4"]:
    change = luma.diff(dim=0).abs()
    std, mean = torch.std_mean(change, correction=0)
    return torch.stack([mean, std, change.max(), (change > CHANGED).float().mean()])


def _speed(luma: Float[Tensor, "time height width"], samples: int) -> Float[Tensor, " 5"]:
    height, width = luma.shape[1:]
    if width > FLOW_WIDTH:
        size = (max(2, round(height * FLOW_WIDTH / width)), FLOW_WIDTH)
        luma = nn.functional.interpolate(luma[:, None], size, mode="area")[:, 0]
    flow = [
        optical_flow_ilk(*pair, num_warp=WARPS, dtype=np.float32)
        for pair in itertools.pairwise(luma.numpy())
    ]  # rows, then columns, of the way of each pixel
    speed = torch.from_numpy(np.hypot(*np.stack(flow, axis=1))) * samples / luma.shape[2]
    std, mean = torch.std_mean(speed, correction=0)
    share = (speed > MOVING).float().mean()
    return torch.stack([mean, std, speed.max(), speed.square().mean(), share])


class _Clips(nn.Module):
    """A video classifier of torchvision without its last layer."""

    def __init__(self, network: nn.Module, config: MotionConfig):
        from torchvision.models import get_model_weights

        super().__init__()
        trained = get_model_weights(config.name).DEFAULT  # a description; nothing is downloaded
        kinetics = trained.transforms()
        self.normalised = backbones.Normalised(kinetics.mean, kinetics.std)
        self.least = (trained.meta.get("min_temporal_size", 1), *trained.meta["min_size"])
        self.only = hasattr(network, "pos_encoding")  # MViT has a place for each of its tokens
        head = next(name for name in HEADS if hasattr(network, name))
        layers = getattr(network, head).modules()
        last = next(layer for layer in layers if isinstance(layer, nn.Linear | nn.Conv3d))
        self.n_features = last.weight.shape[1]
        setattr(network, head, nn.Identity())
        self.network = network
        self.samples = config.samples

    def forward(
        self, seconds: UInt8[Tensor, "second sample 3 height width"]
    ) -> Float[Tensor, "second _"]:
        _check_samples(seconds, self.samples)
        size = (seconds.shape[1], *seconds.shape[3:])
        too_small = any(found < least for found, least in zip(size, self.least, strict=True))
        if too_small or (self.only and size != self.least):
            raise ValueError(
                f"a second is {size} (samples, height, width), expected {self.least}"
                f"{'' if self.only else ' or more'}, which this network was built for"
            )
        return self.network(self.normalised(seconds).transpose(1, 2))
