"""Who may be trained on: train, validation and test sessions of one fold.

Validation, for early stopping, is carved out of what the fold may train on, never out of what it
is tested on. Every split carries the names of the fields that it holds apart, and refuses to exist
when one of their values is on both sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qoe_core.session import Session

VALIDATION_SHARE = 0.15  # of the training contents; at least one
MIN_CONTENTS = 5  # with fewer training contents validation takes sessions, else half would be lost


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """One fold; refuses a session on two sides, or a value of an `apart` field in test and train.

    Raises:
        ValueError: empty train or test, a session twice, or leakage, naming the sessions.
    """

    name: str  # a key of SPLITS
    fold: str
    train: tuple[Session, ...]
    validation: tuple[Session, ...]
    test: tuple[Session, ...]
    apart: tuple[str, ...]  # Session fields whose values must not be on both sides

    def __post_init__(self):
        """Refuse leakage."""
        where = f"split {self.name}, fold {self.fold}"
        if not self.train or not self.test:
            raise ValueError(
                f"{where}: {len(self.train)} training and {len(self.test)} test sessions, expected "
                "at least one of each; are there too few contents for this split?"
            )
        names = [session.name for session in self.sessions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{where}: {twice} are in more than one part, expected each once")
        for field in self.apart:
            seen = {getattr(session, field) for session in (*self.train, *self.validation)}
            leaked = sorted(s.name for s in self.test if getattr(s, field) in seen)
            if leaked:
                raise ValueError(
                    f"{where}: {field} of test sessions {leaked} is also in training, expected "
                    f"every {field} on one side only"
                )

    @property
    def parts(self) -> Mapping[str, tuple[Session, ...]]:
        """The sessions by part, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Those of all parts, part after part."""
        return tuple(session for part in self.parts.values() for session in part)

    def without_validation(self) -> "Split":
        """The same fold for a model that stops by itself: validation joins training."""
        return Split(
            name=self.name,
            fold=self.fold,
            train=(*self.train, *self.validation),
            validation=(),
            test=self.test,
            apart=self.apart,
        )


def carved(
    name: str,
    *,
    fold: str,
    may_train: Sequence[Session],
    test: Sequence[Session],
    apart: tuple[str, ...],
    seed: int,
) -> Split:
    """Carve validation out of `may_train`, by content where there are enough contents."""
    contents = sorted({session.content for session in may_train})
    unit = "content" if len(contents) >= MIN_CONTENTS else "name"
    units = sorted({getattr(session, unit) for session in may_train})
    n_held = max(1, round(VALIDATION_SHARE * len(units))) if len(units) > 1 else 0
    order = np.random.default_rng([seed, *fold.encode()]).permutation(len(units))
    held = {units[i] for i in order[:n_held]}
    return Split(
        name=name,
        fold=fold,
        train=tuple(s for s in may_train if getattr(s, unit) not in held),
        validation=tuple(s for s in may_train if getattr(s, unit) in held),
        test=tuple(test),
        apart=apart,
    )
