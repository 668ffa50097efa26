"""Every row of a results table by name, from `constant` to the networks.

A row that sees features sees the QoS features and quality metrics of its data set; a suffix of its
name leaves one of the two out, or puts frame features in place of the metrics. Behind the name of
the dual-stage network stands its variant, and at the very end of a network's ENSEMBLE, for the mean
of its seeds: `dual_attention-paper-qos-ensemble`. Every file of the package `peers` is a row too.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import nn

from qoe_core import peers
from qoe_core.extraction import VideoConfig
from qoe_core.inputs import FeatureConfig
from qoe_core.models import lstm_qoe, variants
from qoe_core.models.averages import Constant, Lookup, MeanCurve
from qoe_core.models.dual_attention import DualAttention, DualAttentionConfig
from qoe_core.models.interface import Model
from qoe_core.models.network import Network
from qoe_core.models.recurrent import CELLS, Recurrent, RecurrentConfig
from qoe_core.models.regressors import Regressor, boosting, ridge
from qoe_core.models.tcn import TCN, TCNConfig
from qoe_core.models.variants import OURS, VARIANTS
from qoe_core.qos import Scaling
from qoe_core.train_config import TrainConfig

BLIND = {"constant": Constant, "mean-curve": MeanCurve, "lookup": Lookup}  # see no features
REGRESSORS = {"ridge": ridge, "boosting": boosting}
LSTM_QOE = "lstm_qoe"
NETWORKS = (*CELLS, "tcn", LSTM_QOE, OURS)
QOS_ONLY = "-qos"  # behind a name: without the quality metrics
VIDEO_ONLY = "-video"  # without the QoS features
FRAMES = "-frames"  # frame features in place of the quality metrics
SUFFIXES = (QOS_ONLY, VIDEO_ONLY, FRAMES)
ENSEMBLE = "-ensemble"
WEIGHT_DECAY = {OURS: 0.3}  # of AdamW, found on validation contents; others: TrainConfig's


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One row: its name, what it sees, for a network its sizes and training, a peer's options.

    Raises:
        ValueError: no such row, `inputs` have not what it sees, or options that it does not have.
    """

    name: str
    inputs: FeatureConfig  # what the data set offers: QoS features and quality metrics
    video: VideoConfig = VideoConfig()  # what looks at the frames, in a row that sees them
    hidden: int = 32  # units, filters or width of a network
    dropout: float = 0.0
    network: DualAttentionConfig = DualAttentionConfig()  # its other sizes and parts
    training: TrainConfig = field(default_factory=TrainConfig)
    weight_decay: float | None = None  # None: that of WEIGHT_DECAY or `training`
    peer: Mapping[str, object] = field(default_factory=dict)  # options of a peer's own

    def __post_init__(self):
        """Refuse a name that nothing answers to, and inputs that it cannot have."""
        blind = self.name in BLIND
        known = self.base in (*REGRESSORS, *NETWORKS, *peers.NAMES)
        seeing = known and self.variant in ("", *VARIANTS)
        alone = self.base not in NETWORKS and self.is_ensemble
        if not blind and (not seeing or alone):
            raise ValueError(
                f"model is {self.name!r}, expected one of "
                f"{[*BLIND, *REGRESSORS, *NETWORKS, *peers.NAMES]}; "
                f"behind {OURS!r} may stand one of {list(VARIANTS)}, behind all that see features "
                f"one of {list(SUFFIXES)}, behind a network {ENSEMBLE!r}"
            )
        if self.inputs.frames is not None:
            raise ValueError(
                f"inputs of {self.name!r} hold frames, expected QoS features and quality metrics; "
                f"a row sees frames by the suffix {FRAMES!r} of its name, and by `video`"
            )
        if self.suffix == VIDEO_ONLY and not self.inputs.quality:
            raise ValueError(
                f"{self.name!r} sees only quality metrics, and inputs hold none; expected metrics "
                f"that the data set was released with, or {self.base + FRAMES!r} where it has "
                "videos"
            )
        self._check_peer()

    def _check_peer(self) -> None:
        if self.base not in peers.NAMES:
            if self.peer:
                raise ValueError(
                    f"{self.name!r} was given the options {dict(self.peer)} and is no peer, "
                    f"expected none; peers are {list(peers.NAMES)}"
                )
            return
        if self.base in (*BLIND, *REGRESSORS, *NETWORKS):
            raise ValueError(
                f"peers/{self.base}.py has the name of another row, expected one of its own; "
                "rename the file"
            )
        known = [option.name for option in dataclasses.fields(peers.load(self.base))]
        options = [name for name in known if name not in ("inputs", "scaling")]
        unknown = sorted(set(self.peer) - set(options))
        if unknown:
            raise ValueError(f"{self.name!r} has no options {unknown}, expected some of {options}")
        self.untrained_peer(scaling=None)  # refuses values and inputs that it cannot have

    @property
    def own_code(self) -> tuple[Path, ...]:
        """Files that no other row passes through."""
        return (peers.path(self.base),) if self.base in peers.NAMES else ()

    def untrained_peer(self, scaling: Scaling | None) -> Model:
        """The peer of the row with its options."""
        return peers.load(self.base)(inputs=self.seen, scaling=scaling, **self.peer)

    @property
    def is_ensemble(self) -> bool:
        """Whether the row is the mean of the seeds of `member`."""
        return self.name.endswith(ENSEMBLE)

    @property
    def member(self) -> "ModelConfig":
        """The row of one seed."""
        return dataclasses.replace(self, name=self.name.removesuffix(ENSEMBLE))

    @property
    def suffix(self) -> str:
        """What of SUFFIXES the name has, or nothing."""
        name = self.name.removesuffix(ENSEMBLE)
        return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")

    @property
    def variant(self) -> str:
        """What the name says of the dual-stage network's variant, or nothing."""
        return self._parts[1]

    @property
    def base(self) -> str:
        """The name without variant, suffix and ENSEMBLE."""
        return self._parts[0]

    @property
    def _parts(self) -> tuple[str, str]:
        name = self.name.removesuffix(ENSEMBLE).removesuffix(self.suffix)
        base, _, variant = name.partition("-")
        return (base, variant) if base == OURS and variant else (name, "")

    @property
    def draws_dropout(self) -> bool:
        """Whether its networks have to be trained one by one, see `stack.Stack`."""
        return (self._dual if self.base == OURS else self).dropout > 0

    @property
    def trained(self) -> TrainConfig:
        """How the row is trained."""
        if self.base == LSTM_QOE:
            return lstm_qoe.training(self.training)
        decay = self.weight_decay
        if decay is None:
            decay = WEIGHT_DECAY.get(self.base, self.training.weight_decay)
        training = dataclasses.replace(self.training, weight_decay=decay)
        return variants.training(self.variant, training)

    @property
    def seen(self) -> FeatureConfig:
        """What the model is given."""
        if self.suffix == QOS_ONLY:
            return FeatureConfig(qos=self.inputs.qos)
        if self.suffix == VIDEO_ONLY:
            return FeatureConfig(qos=(), quality=self.inputs.quality)
        if self.suffix == FRAMES:
            return FeatureConfig(qos=self.inputs.qos, frames=self.video)
        return self.inputs

    def what_matters(self) -> dict[str, object]:
        """The fields that change this row's numbers; the sizes of a network do not move a ridge."""
        facts: dict[str, object] = {"name": self.base}
        if self.base not in BLIND:
            facts["inputs"] = dataclasses.asdict(self.seen)
        if self.base in NETWORKS:
            facts["sizes"] = (self.hidden, self.dropout)
            facts["training"] = self.trained.what_matters()
        if self.base == OURS:
            facts["network"] = dataclasses.asdict(self._dual)
        if self.base in peers.NAMES:
            facts["peer"] = dict(self.peer)
        return facts

    @property
    def _dual(self) -> DualAttentionConfig:
        sized = dataclasses.replace(self.network, width=self.hidden, dropout=self.dropout)
        return variants.sizes(self.variant, sized)

    def module(self, n_qos: int, n_video: int) -> nn.Module:
        """The untrained network of the row, for so many QoS and video columns."""
        if self.base == OURS:
            return DualAttention(n_qos, n_video, self._dual)
        if self.base == LSTM_QOE:
            return lstm_qoe.LSTMQoE(n_qos + n_video)
        if self.base == "tcn":
            sizes = TCNConfig(filters=self.hidden, dropout=self.dropout)
            return TCN(n_qos + n_video, sizes)
        sizes = RecurrentConfig(cell=self.base, hidden=self.hidden, dropout=self.dropout)
        return Recurrent(n_qos + n_video, sizes)


def build(config: ModelConfig, scaling: Scaling | None = None, start: Path | None = None) -> Model:
    """The model of one seed before training; without `scaling` it fits its own.

    Raises:
        ValueError: `start`, weights to go on from, is given to a row without weights.
    """
    if start is not None and config.base not in NETWORKS:
        raise ValueError(f"{config.name!r} has no weights to go on from, expected {NETWORKS}")
    if config.base in BLIND:
        return BLIND[config.base]()
    if config.base in REGRESSORS:
        return Regressor(make=REGRESSORS[config.base], inputs=config.seen, scaling=scaling)
    if config.base in peers.NAMES:
        return config.untrained_peer(scaling)
    return Network(
        make=config.module,
        inputs=config.seen,
        training=config.trained,
        scaling=scaling,
        start=start,
    )
