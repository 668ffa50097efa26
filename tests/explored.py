"""A small chapter that was really run, for what looks into it."""

import pytest

from qoe_core import experiment, runs
from qoe_core.experiment import Experiment
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig
from qoe_core.train_config import TrainConfig
from tests.conftest import make_session

WHERE = {"study": "chapter", "dataset": "tiny", "split": "leave-content-out"}
INPUTS = FeatureConfig(qos=("indicator", "recency"), quality=("vmaf",))
SESSIONS = [make_session(c, p, seconds=12) for c in range(3) for p in range(2)]
NAMES = [session.name for session in SESSIONS]


def run_all(folder):
    """Run a few rows into `folder`, and return it."""
    training = TrainConfig(n_epochs=1, device="cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "RUNS", folder)
        for model in ("gru-ensemble", "dual_attention", "ridge"):
            row = ModelConfig(name=model, inputs=INPUTS, hidden=8, training=training)
            experiment.run(Experiment(**WHERE, model=row, seeds=(0,)), SESSIONS, workers=1)
    return folder
