"""Every row of a results table by name, from `constant` to the networks."""

import dataclasses
from dataclasses import dataclass, field
from functools import partial

from qoe_core.models.averages import Constant, Lookup, MeanCurve
from qoe_core.models.interface import Model
from qoe_core.models.network import Network
from qoe_core.models.recurrent import CELLS, Recurrent, RecurrentConfig
from qoe_core.models.regressors import Regressor, boosting, ridge
from qoe_core.models.tcn import TCN, TCNConfig
from qoe_core.qos import FeatureConfig, Scaling
from qoe_core.training import TrainConfig

BLIND = {"constant": Constant, "mean-curve": MeanCurve, "lookup": Lookup}  # see no features
REGRESSORS = {"ridge": ridge, "boosting": boosting}
NETWORKS = (*CELLS, "tcn")
QOS_ONLY = "-qos"  # behind a name: without the quality metrics


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One row: its name, what it sees, and for a network its sizes and training.

    Raises:
        ValueError: no such row.
    """

    name: str
    inputs: FeatureConfig
    hidden: int = 32  # units of a recurrent network, filters of the TCN
    dropout: float = 0.1
    training: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self):
        """Refuse a name that nothing answers to."""
        if self.base not in (*BLIND, *REGRESSORS, *NETWORKS):
            raise ValueError(
                f"model is {self.name!r}, expected one of {[*BLIND, *REGRESSORS, *NETWORKS]}, "
                f"with {QOS_ONLY!r} behind it to leave the quality metrics out"
            )

    @property
    def base(self) -> str:
        """The name without its suffix."""
        return self.name.removesuffix(QOS_ONLY)

    @property
    def seen(self) -> FeatureConfig:
        """What the model is given."""
        if self.name.endswith(QOS_ONLY):
            return FeatureConfig(qos=self.inputs.qos)
        return self.inputs

    def what_matters(self) -> dict[str, object]:
        """The fields that change this row's numbers; the sizes of a network do not move a ridge."""
        facts: dict[str, object] = {"name": self.base}
        if self.base not in BLIND:
            facts["inputs"] = dataclasses.asdict(self.seen)
        if self.base in NETWORKS:
            facts["sizes"] = (self.hidden, self.dropout)
            facts["training"] = self.training.what_matters()
        return facts


def build(config: ModelConfig, scaling: Scaling | None = None) -> Model:
    """The untrained model; without `scaling` it fits its own on the training sessions."""
    if config.base in BLIND:
        return BLIND[config.base]()
    if config.base in REGRESSORS:
        return Regressor(make=REGRESSORS[config.base], inputs=config.seen, scaling=scaling)
    if config.base == "tcn":
        make = partial(TCN, config=TCNConfig(filters=config.hidden, dropout=config.dropout))
    else:
        sizes = RecurrentConfig(cell=config.base, hidden=config.hidden, dropout=config.dropout)
        make = partial(Recurrent, config=sizes)
    return Network(make=make, inputs=config.seen, training=config.training, scaling=scaling)
