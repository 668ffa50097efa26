"""All folds of a data set under a split that a name stands for.

The sampling unit is the content. What peers released, as lists or as a procedure, is here to be
compared with, not to be claimed on.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from qoe_core.session import Session
from qoe_core.split import Split, carved

PATTERN_GROUPS = 4  # of the strict split
MOST_FOLDS = 30  # that leave one content out each
CONTENT_GROUPS = 10  # folds where there are more contents than that
SPLITS = {
    "leave-content-out": "the test content is not in training",
    "strict": "neither the content nor the pattern of a test session is in training",
    "video-atlas": "the random trials released with Video ATLAS, each of whole contents",
    "released": "the training lists released with LSTM-QoE; sibling contents may be in training",
    "released-related": "the same lists; early stopping on the videos left out as too close",
    "random-by-video": "a random fifth of the videos; contents and patterns are on both sides",
}


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
        released: training names by test name for the two "released"; by trial for "video-atlas".

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
        case "released-related" if released:
            return stopped_on_related(sessions, released)
        case "video-atlas" if released:
            return content_trials(sessions, released, seed)
        case "released" | "released-related" | "video-atlas":
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
        carved(
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
        carved(
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
    return [
        carved(
            "released",
            fold=test,
            may_train=_named(sessions, names, test),
            test=_named(sessions, [test], test),
            apart=("name",),
            seed=seed,
        )
        for test, names in lists.items()
    ]


def stopped_on_related(
    sessions: Sequence[Session], lists: Mapping[str, Sequence[str]]
) -> list[Split]:
    """The same folds with the peers' own validation: every video that is neither list nor test.

    It was left out of training for sharing content or pattern with the test video, so a network
    that stops on it has looked at the test: what that gains is what this split is for.

    Raises:
        ValueError: a list names a session that is not there.
    """
    return [
        Split(
            name="released-related",
            fold=test,
            train=tuple(_named(sessions, names, test)),
            validation=tuple(s for s in sessions if s.name not in {test, *names}),
            test=tuple(_named(sessions, [test], test)),
            apart=("name",),
        )
        for test, names in lists.items()
    ]


def content_trials(
    sessions: Sequence[Session], trials: Mapping[str, Sequence[str]], seed: int
) -> list[Split]:
    """One fold a trial: its list may be trained on, every other session is tested.

    Trials overlap, so a session is tested in many folds: judge a trial by its own test part, not
    all trials together. Errors as `released_lists`.
    """
    return [
        carved(
            "video-atlas",
            fold=trial,
            may_train=_named(sessions, names, trial),
            test=[session for session in sessions if session.name not in set(names)],
            apart=("content",),
            seed=seed,
        )
        for trial, names in trials.items()
    ]


def _named(sessions: Sequence[Session], names: Sequence[str], of: str) -> list[Session]:
    by_name = {session.name: session for session in sessions}
    unknown = sorted(set(names) - by_name.keys())
    if unknown:
        raise ValueError(f"released list of {of} names {unknown}, which were not read")
    return [by_name[name] for name in names]


def random_by_video(sessions: Sequence[Session], seed: int) -> Split:
    """A seeded random fifth of the videos as test: the leaking split of earlier work."""
    order = np.random.default_rng(seed).permutation(len(sessions))
    n_test = max(1, round(0.2 * len(sessions)))
    return carved(
        "random-by-video",
        fold=f"draw_{seed}",
        may_train=[sessions[i] for i in sorted(order[n_test:])],
        test=[sessions[i] for i in sorted(order[:n_test])],
        apart=("name",),
        seed=seed,
    )
