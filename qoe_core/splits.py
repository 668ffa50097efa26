"""Who may be trained on: train, validation and test sessions of one fold.

The sampling unit is the content. Validation, for early stopping, is always carved out of what the
fold may train on, never out of what it is tested on. Every split carries the names of the fields
that it holds apart, and refuses to exist when one of their values is on both sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from qoe_core.session import Session

VALIDATION_SHARE = 0.15  # of the training contents; at least one
PATTERN_GROUPS = 4  # of the strict split
MOST_FOLDS = 30  # that leave one content out each
CONTENT_GROUPS = 10  # folds where there are more contents than that
MIN_CONTENTS = 5  # with fewer training contents validation takes sessions, else half would be lost
SPLITS = {
    "leave-content-out": "the test content is not in training",
    "strict": "neither the content nor the pattern of a test session is in training",
    "released": "the training lists released with LSTM-QoE; sibling contents may be in training",
    "random-by-video": "a random fifth of the videos; contents and patterns are on both sides",
}


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
        names = [session.name for part in self.parts.values() for session in part]
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


def folds(
    name: str,
    sessions: Sequence[Session],
    seed: int,
    released: Mapping[str, Sequence[str]] | None = None,
) -> list[Split]:
    """All folds of the split `name`; `seed` draws the validation part (and the random split).

    Args:
        name: a key of SPLITS.
        sessions: all sessions of one data set.
        seed: 0 or more.
        released: for "released": training names by test name.

    Raises:
        ValueError: an unknown name, or no released lists where they are asked for.
    """
    match name:
        case "leave-content-out":
            return leave_content_out(sessions, seed)
        case "strict":
            return strict(sessions, seed)
        case "random-by-video":
            return [random_by_video(sessions, seed)]
        case "released" if released:
            return released_lists(sessions, released, seed)
        case "released":
            raise ValueError(f"{sessions[0].dataset} has no released training lists")
    raise ValueError(f"split is {name!r}, expected one of {list(SPLITS)}")


def leave_content_out(sessions: Sequence[Session], seed: int) -> list[Split]:
    """One fold a content: all its sessions are tested, none is trained on.

    More than MOST_FOLDS contents are dealt in order into CONTENT_GROUPS groups, one fold each.
    """
    contents = sorted({s.content for s in sessions})
    groups = {content: [content] for content in contents}
    if len(contents) > MOST_FOLDS:
        dealt = range(CONTENT_GROUPS)
        groups = {f"contents_{i:02d}": contents[i::CONTENT_GROUPS] for i in dealt}
    return [
        _split(
            "leave-content-out",
            fold=fold,
            may_train=[s for s in sessions if s.content not in held],
            test=[s for s in sessions if s.content in held],
            apart=("content",),
            seed=seed,
        )
        for fold, held in groups.items()
    ]


def strict(sessions: Sequence[Session], seed: int) -> list[Split]:
    """One fold a content and group of patterns: neither of the two is trained on.

    Patterns are dealt in order into PATTERN_GROUPS groups, so that enough is left to train on.
    """
    patterns = sorted({s.pattern for s in sessions})
    group = {pattern: i % PATTERN_GROUPS for i, pattern in enumerate(patterns)}
    cells = sorted({(s.content, group[s.pattern]) for s in sessions})
    return [
        _split(
            "strict",
            fold=f"{content}+patterns_{held}",
            may_train=[s for s in sessions if s.content != content and group[s.pattern] != held],
            test=[s for s in sessions if (s.content, group[s.pattern]) == (content, held)],
            apart=("content", "pattern"),
            seed=seed,
        )
        for content, held in cells
    ]


def released_lists(
    sessions: Sequence[Session], lists: Mapping[str, Sequence[str]], seed: int
) -> list[Split]:
    """One fold a test video with the peers' training list; validation comes out of that list.

    Their own "validation" lists are the videos excluded from training for sharing content or
    pattern with the test video, so stopping on them leaks; they are not used.

    Raises:
        ValueError: a list names a session that is not there.
    """
    by_name = {session.name: session for session in sessions}
    for test, names in lists.items():
        unknown = sorted({test, *names} - by_name.keys())
        if unknown:
            raise ValueError(f"released list of {test} names {unknown}, which were not read")
    return [
        _split(
            "released",
            fold=test,
            may_train=[by_name[name] for name in names],
            test=[by_name[test]],
            apart=("name",),
            seed=seed,
        )
        for test, names in lists.items()
    ]


def random_by_video(sessions: Sequence[Session], seed: int) -> Split:
    """A seeded random fifth of the videos as test: the leaking split of earlier work."""
    order = np.random.default_rng(seed).permutation(len(sessions))
    n_test = max(1, round(0.2 * len(sessions)))
    return _split(
        "random-by-video",
        fold=f"draw_{seed}",
        may_train=[sessions[i] for i in sorted(order[n_test:])],
        test=[sessions[i] for i in sorted(order[:n_test])],
        apart=("name",),
        seed=seed,
    )


def _split(
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
