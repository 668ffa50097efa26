"""Tables of four tiny experiments with overall scores, as finished runs leave them on disk."""

import itertools

import numpy as np
import pandas as pd

ASKED = {"study": "chapter", "dataset": "tiny", "split": "leave-content-out"}
CONTENTS = "abcde"
SESSIONS = [f"{content}{number}" for content in CONTENTS for number in range(4)]
LENGTH = {name: 6 if name.endswith("3") else 14 for name in SESSIONS}  # seconds
RATED = {name: 20.0 + 60 * (i * 7 % 20) / 19 for i, name in enumerate(SESSIONS)}
MODELS = ["deep", "whole", "ensemble", "constant"]
NOISE = {"deep": 0.3, "whole": 0.1, "ensemble": 0.2, "constant": 0.0}
KEY = ["fold", "seed", "session"]


def experiment(model):
    """Overall and predictions tables: five folds, two seeds, another label scale each fold.

    "whole" has no trace; "constant" has a flat one.
    """
    rng = np.random.default_rng([*model.encode()])
    wholes, seconds = [], []
    for (low, fold), seed, name in itertools.product(enumerate(CONTENTS), (0, 1), SESSIONS):
        part = "test" if name[0] == fold else "validation" if name[1] == "2" else "train"
        own = {**ASKED, "model": model, "fold": fold, "seed": seed, "session": name, "part": part}
        own |= {"experiment": model, "content": name[0]}
        label = (RATED[name] - low) / (90 - low)
        said = label + NOISE[model] * rng.normal() if model != "constant" else 0.5 + low / 100
        scores = {"predicted": said, "rated": label, "ci_low": np.nan, "ci_high": np.nan}
        wholes.append({**own, **scores, "label_low": float(low), "label_high": 90.0})
        trace = label + 0.2 * rng.normal(size=LENGTH[name]) if model != "constant" else [0.5] * 6
        seconds += [{**own, "second": t, "predicted": value} for t, value in enumerate(trace)]
    whole, second = pd.DataFrame(wholes), pd.DataFrame(seconds)
    if model == "whole":
        return whole, second[:0]
    if model == "constant":
        return whole, second
    mean = second.groupby(KEY)["predicted"].mean().rename("pooled")
    derived = whole.join(mean, on=KEY).assign(model=f"{model}, trace mean")
    derived["predicted"] = 0.1 + 0.8 * derived.pop("pooled")
    return pd.concat([whole, derived], ignore_index=True), second


def write(folder, model, whole, second):
    folder = folder / "chapter" / "tiny--leave-content-out" / model
    folder.mkdir(parents=True)
    whole.drop(columns="study").to_parquet(folder / "overall.parquet")
    second.drop(columns="study").to_parquet(folder / "predictions.parquet")
    scores = {"model": "", "part": "", "metric": "", "seed": 0, "from_second": 0}
    pd.DataFrame([scores])[:0].to_parquet(folder / "scores.parquet")


def write_all(folder):
    """Every model's tables below `folder`, which takes the place of `runs.RUNS`."""
    for model in MODELS:
        write(folder, model, *experiment(model))


def stored_scores():
    """Predictor "follows" ranks like the ratings, with ties; "falls" ranks against them."""
    found = []
    for model, said in (("follows", lambda x: 1000 * round(x / 10)), ("falls", lambda x: -(x**2))):
        rows = [(name, name[0], model, float(said(RATED[name]))) for name in SESSIONS]
        found.append(pd.DataFrame(rows, columns=["session", "content", "model", "predicted"]))
    return pd.concat(found).assign(dataset="tiny")
