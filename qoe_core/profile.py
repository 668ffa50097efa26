"""Where the time of one training goes: `python -m qoe_core.profile` (make profile).

One fold and one seed of a recurrent network on the simulated corpus, computed anew every time.
"""

import cProfile
import dataclasses
import pstats
import tempfile
from pathlib import Path

from qoe_core import library
from qoe_core.experiment import Experiment, plan, run_unit
from qoe_core.models.table_rows import ModelConfig
from qoe_core.qos import FeatureConfig
from qoe_core.training import TrainConfig

EXPERIMENT = Experiment(
    dataset=library.SIMULATED,
    split="leave-content-out",
    model=ModelConfig(
        name="gru",
        inputs=FeatureConfig(qos=("indicator", "recency")),
        training=TrainConfig(n_epochs=10),
    ),
    seeds=(0,),
)
N_LINES = 25


def main() -> None:
    """Print the functions that cost most, by the time spent in them and what they call."""
    unit = plan(EXPERIMENT, library.sessions(EXPERIMENT.dataset))[0]
    profiler = cProfile.Profile()
    with tempfile.TemporaryDirectory() as folder:
        unit = dataclasses.replace(unit, folder=Path(folder))
        profiler.runcall(run_unit, unit)
    pstats.Stats(profiler).strip_dirs().sort_stats("cumulative").print_stats(N_LINES)


if __name__ == "__main__":
    main()
