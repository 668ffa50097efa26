"""What the rows of a results table cost to run, and which are the best for their cost.

Times are those of this machine on one thread, per second of session. Networks are built untrained,
as weights do not change their time. Rows that see nothing are no part of it, nor are those that see
frames: decoding and the frozen networks that look at the frames cost far more than the row, see the
cost table of the features.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from qoe_core import cost, runs, trained
from qoe_core.inputs import features
from qoe_core.models.table_rows import BLIND, FRAMES, NETWORKS, ModelConfig, build
from qoe_core.qos import Scaling
from qoe_core.session import Session
from qoe_core.train_config import TrainConfig

MEASURED_S = 0.2  # at least, over repeated predictions
COLUMNS = [
    *("model", "seconds", "networks", "parameters", "multiply_adds_per_second"),
    *("ms_per_second", "streaming_ms_per_second"),
]


def costs(
    study: str, dataset: str, split: str, models: Sequence[str], sessions: Sequence[Session]
) -> pd.DataFrame:
    """One row per model that sees QoS or quality metrics, on a session of median length: COLUMNS.

    ms_per_second: the whole session at once, features included. streaming_ms_per_second: every
    second as it arrives, scored from the start anew since nothing keeps a state; causal networks
    only. networks: how many give the answer, an ensemble's seeds; its numbers are of all of them.
    Parameters and multiply-adds are those of networks. What is not defined is NaN.

    Args:
        study, dataset, split, models: finished experiments, whose run.json holds sizes and inputs.
        sessions: of the data set; rows that are no network are fitted on all of them, because the
            time of some grows with what they were fitted on.
    """
    session = sorted(sessions, key=lambda session: session.n_seconds)[len(sessions) // 2]
    rows = []
    for model in models:
        ran = runs.record(runs.run_folder(study, dataset, split, model))["experiment"]
        # a peer with epochs has one, which does not change its time
        brief = TrainConfig(n_epochs=1, device="cpu")
        row = dataclasses.replace(trained.row(model, ran["model"]), training=brief)
        if row.base in BLIND or row.suffix == FRAMES:
            continue
        networks = len(ran["seeds"]) if row.is_ensemble else 1
        if row.base in NETWORKS:
            numbers = {n: v * networks for n, v in _network(row, sessions, session).items()}
        else:
            numbers = {"ms_per_second": _fitted(row, sessions, session)}
            networks = 0
        rows.append({"model": model, "seconds": session.n_seconds, "networks": networks, **numbers})
    return pd.DataFrame(rows, columns=COLUMNS)


def _network(
    row: ModelConfig, sessions: Sequence[Session], session: Session
) -> dict[str, int | float]:
    """Counts and times of one untrained network."""
    scaling = Scaling.fit(features(each, row.seen) for each in sessions)
    n_feat, n_seconds = len(scaling.low), session.n_seconds
    module = row.module(row.seen.n_qos, n_feat - row.seen.n_qos).eval()

    def seen() -> Float[Tensor, "1 time feat"]:
        return torch.tensor(scaling(features(session, row.seen)), dtype=torch.float32)[None]

    valid = torch.ones(1, n_seconds, dtype=torch.bool)
    whole = _milliseconds(lambda: module(seen(), valid))
    counted = cost.cost(module, n_seconds, n_feat)
    return {
        "parameters": counted.parameters,
        "multiply_adds_per_second": counted.multiply_adds_per_second,
        "ms_per_second": whole / n_seconds,
        "streaming_ms_per_second": _streaming(module, seen()),
    }


def _streaming(module: nn.Module, inputs: Float[Tensor, "1 time feat"]) -> float:
    """Mean milliseconds for the next second, the whole past scored anew; NaN if not causal."""
    n_seconds = inputs.shape[1]
    valid = torch.ones(1, n_seconds, dtype=torch.bool)
    half = max(1, n_seconds // 2)
    edited = inputs.clone()
    edited[:, half:] += 1
    with torch.inference_mode():
        past = [module(each, valid)[0][:, :half] for each in (inputs, edited)]
    if not torch.allclose(*past, atol=1e-5):
        return np.nan

    def arrive() -> None:
        for second in range(1, n_seconds + 1):
            module(inputs[:, :second], valid[:, :second])

    return _milliseconds(arrive) / n_seconds


def _fitted(row: ModelConfig, sessions: Sequence[Session], session: Session) -> float:
    """Milliseconds per second of a row that is no network."""
    model = build(row)
    fitted = model.fit(sessions, sessions if model.stops_early else (), 0)
    return _milliseconds(lambda: fitted.predict(session)) / session.n_seconds


def _milliseconds(run: Callable[[], object]) -> float:
    """Median time of a call, on one thread and without gradients."""
    with torch.inference_mode():
        timer = Timer("run()", globals={"run": run}, num_threads=1)
        return timer.blocked_autorange(min_run_time=MEASURED_S).median * 1e3


def pareto_front(
    cost: Float[np.ndarray, " model"], gain: Float[np.ndarray, " model"]
) -> Bool[np.ndarray, " model"]:
    """Which models no other beats: cheaper or better without being dearer or worse.

    Of models that are alike in both, all are on the front; undefined ones never are.

    >>> pareto_front(np.array([1.0, 2.0, 3.0]), np.array([0.8, 0.7, 0.9]))
    array([ True, False,  True])
    """
    no_dearer = cost <= cost[:, None]  # (model, its rival)
    no_worse = gain >= gain[:, None]
    one_better = (cost < cost[:, None]) | (gain > gain[:, None])
    beaten = (no_dearer & no_worse & one_better).any(1)
    return ~beaten & ~np.isnan(cost) & ~np.isnan(gain)
