"""Where the time of one training goes: `python -m qoe_core.profile` trains one fold and says it."""

import cProfile
import pstats
import tempfile
from pathlib import Path

from qoe_core import library
from qoe_core.inputs import FeatureConfig
from qoe_core.models.table_rows import ModelConfig, build
from qoe_core.splits import leave_content_out
from qoe_core.train_config import TrainConfig

DATASET = "simulated_small"
LINES = 25


def main() -> None:
    """Profile a GRU of 20 epochs on one fold of a simulated corpus; nothing is kept."""
    split = leave_content_out(library.sessions(DATASET), seed=0)[0]
    inputs = FeatureConfig(qos=("indicator", "recency", "elapsed"), quality=("vmaf",))
    model = build(ModelConfig(name="gru", inputs=inputs, training=TrainConfig(n_epochs=20)))
    profile = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        profile.runcall(model.fit, split.train, split.validation, 0, Path(folder))
    pstats.Stats(profile).sort_stats("tottime").print_stats(LINES)


if __name__ == "__main__":
    main()
