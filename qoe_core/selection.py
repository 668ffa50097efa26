"""What the explorer looks at, and the finished runs that it may choose from.

A chapter is what one study left of one data set under one split: sessions, and the tables of each
model. Predictions are labels on [0, 1].
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import yaml

from qoe_core import library, paths, provenance, runs
from qoe_core.models.table_rows import NETWORKS
from qoe_core.session import Session
from qoe_core.traces import Trace, trace

N_SHOWN = 5  # models that are drawn unless others are asked for


@dataclass(frozen=True, kw_only=True)
class Selection:
    """One view of the explorer: its fields are the parameters of notebooks/07_explorer.ipynb."""

    study: str
    dataset: str
    split: str
    models: tuple[str, ...]  # whose predictions are drawn
    network: str  # that is explained, "" for none
    session: str
    second: int = 0
    seed: int = 0  # of the network

    def as_yaml(self) -> str:
        """Text of a params file that shows the same view again."""
        fields = dataclasses.asdict(self) | {"models": list(self.models)}
        return yaml.safe_dump(fields, sort_keys=False)


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """Sessions and finished models of one data set under one split.

    Raises:
        ValueError: nothing was run, or its data set cannot be read.
    """

    study: str
    dataset: str
    split: str

    def __post_init__(self):
        """Refuse a chapter without a run."""
        if not self.models:
            raise ValueError(
                f"{runs.run_folder(self.study, self.dataset, self.split, '')}: no finished run, "
                "expected some model's; `make results` runs them"
            )

    @cached_property
    def models(self) -> list[str]:
        """Every finished row, by name."""
        return finished(self.study).get(self.dataset, {}).get(self.split, [])

    @cached_property
    def networks(self) -> list[str]:
        """The rows whose networks can be looked into."""
        own = [m for m in self.models if not m.endswith("-ensemble")]
        return [model for model in own if model.split("-")[0] in NETWORKS]

    @cached_property
    def sessions(self) -> Mapping[str, Session]:
        """All sessions of the data set by name."""
        return {session.name: session for session in library.sessions(self.dataset)}

    @cached_property
    def errors(self) -> pd.DataFrame:
        """One row a test session and model: session, content, stalled_s, model, rmse (labels)."""
        scores = runs.load(self.study, self.dataset, self.split, self.models, "scores")
        asked = (scores["metric"] == "rmse") & (scores["from_second"] == 0)
        tested = scores[asked & (scores["part"] == "test")]
        keys = ["session", "content", "model"]
        table = tested.groupby(keys, observed=True)["value"].mean().rename("rmse").reset_index()
        stalled = {name: float(s.stalls[:, 1].sum()) for name, s in self.sessions.items()}
        return table.assign(stalled_s=table["session"].map(stalled).astype(float))

    def completed(self, asked: Selection) -> Selection:
        """The selection with a session and models, the first ones where it names none.

        Raises:
            ValueError: it names what there is not.
        """
        session = asked.session or min(self.sessions)
        models = asked.models or tuple(self.models[:N_SHOWN])
        networks = {asked.network} - {""}
        n_seconds = self.sessions[session].n_seconds if session in self.sessions else 0
        for what, named, there in (
            ("session", {session}, self.sessions),
            ("models", set(models), self.models),
            ("network", networks, self.networks),
            ("second", {asked.second}, range(n_seconds)),
        ):
            if not named <= set(there):
                near = f"0 to {n_seconds - 1}" if what == "second" else f"of {sorted(there)}"
                raise ValueError(
                    f"{self.dataset}, {self.split}: {what} is {sorted(named - set(there))}, "
                    f"expected some {near}; was it run, or is it that of another data set?"
                )
        return dataclasses.replace(asked, session=session, models=models)

    def nearest(self, asked: Selection) -> Selection:
        """The selection without what this chapter has not: another session, fewer models."""
        here = {"dataset": self.dataset, "split": self.split}
        session = asked.session if asked.session in self.sessions else ""
        network = asked.network if asked.network in self.networks else ""
        models = tuple(model for model in asked.models if model in self.models)
        n_seconds = self.sessions[session].n_seconds if session else 0
        second = asked.second if asked.second < n_seconds else 0
        fields = {"session": session, "network": network, "models": models, "second": second}
        return self.completed(dataclasses.replace(asked, **here, **fields))

    def notice(self, models: Sequence[str]) -> str:
        """A sentence where what is compared was not made by one version of the code, else ""."""
        commits = self.commits(models)
        if len(set(commits.values())) < 2:
            return ""
        made = ", ".join(f"{model} at {commit[:12]}" for model, commit in commits.items())
        return f"these predictions were made by different versions of the code: {made}"

    def trace(self, session: str, models: Sequence[str]) -> Trace:
        """What the models said of one test session.

        Raises:
            ValueError: a table of another data set, split or model, of sessions that have changed
                since, or without this session.
        """
        tables = [self._predictions(model, session) for model in models]
        return trace(pd.concat(tables, ignore_index=True), session)

    def commits(self, models: Sequence[str]) -> dict[str, str]:
        """The commit that each model was run at."""
        return runs.commits(self.study, self.dataset, self.split, models)

    def _predictions(self, model: str, session: str) -> pd.DataFrame:
        folder = runs.run_folder(self.study, self.dataset, self.split, model)
        path = folder / "predictions.parquet"
        if not path.exists():
            raise ValueError(f"{path}: no such table; `make results` writes it")
        table = pd.read_parquet(path, filters=[("session", "==", session), ("part", "==", "test")])
        for column, expected in (("dataset", self.dataset), ("split", self.split)):
            found = sorted(set(table[column]))
            if found not in ([], [expected]):
                raise ValueError(
                    f"{path}: {column} is {found}, expected {expected!r}; was the folder renamed?"
                )
        known = runs.record(folder)["sessions"].get(session)
        if known != provenance.session_digest(self.sessions[session]):
            raise ValueError(
                f"{path}: made from another version of {session!r} than the one that was read "
                "now; have the data or their reader changed since? `make results` runs it again"
            )
        return table


def finished(study: str) -> dict[str, dict[str, list[str]]]:
    """Finished models of a study, by data set and split."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted((paths.RUNS / study).glob("*--*/*/run.json")):
        dataset, _, split = path.parent.parent.name.partition("--")
        found.setdefault(dataset, {}).setdefault(split, []).append(path.parent.name)
    return found
