"""What frame features cost, how a bounded memory serves them, and what they know of the content.

Axes: session = sessions in the order given, feat = features, mean over the seconds of a session.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from qoe_core.cache import POLICIES, Cache
from qoe_core.extraction import VideoConfig, functions
from qoe_core.session import Session
from qoe_core.store import Store


def cost(session: Session, config: VideoConfig, store: Store) -> pd.DataFrame:
    """Milliseconds per second of video: each extraction, its first and its second read.

    Columns: function, step ("compute", "read from disk", "read from memory"), ms_per_s,
    bytes_per_s. Each function is called once before it is timed, so no start-up is counted.
    """
    rows = []
    for function in functions(config):
        function(session.video)
        compute_s, tensors = _timed(lambda f=function: f(session.video))
        n_bytes = sum(tensor.nbytes for tensor in tensors.values())
        store.get(session.video, function)
        fresh = Store(store.folder)
        disk_s, _ = _timed(lambda f=function, s=fresh: s.get(session.video, f))
        memory_s, _ = _timed(lambda f=function, s=fresh: s.get(session.video, f))
        for step, spent_s in (
            ("compute", compute_s),
            ("read from disk", disk_s),
            ("read from memory", memory_s),
        ):
            per_second = 1e3 * spent_s / session.n_seconds, n_bytes / session.n_seconds
            rows.append((str(function.identity["name"]), step, *per_second))
    return pd.DataFrame(rows, columns=["function", "step", "ms_per_s", "bytes_per_s"])


def hit_rates(
    sizes: Mapping[str, int], shares: Sequence[float], n_epochs: int, seed: int
) -> pd.DataFrame:
    """Share of reads that memory answers, by policy and by memory as a share of all bytes.

    Replays epochs that read every entry once, in an order drawn anew each time, as training does;
    the first epoch, in which every read must miss, does not count. `sizes` are bytes by entry.
    """
    rng = np.random.default_rng(seed)
    epochs = [rng.permutation(list(sizes)) for _ in range(n_epochs)]
    rows = []
    for policy in POLICIES:
        for share in shares:
            cache = Cache(policy, int(share * sum(sizes.values())))
            _replay(cache, epochs[:1], sizes)
            hits, misses = cache.hits, cache.misses
            _replay(cache, epochs[1:], sizes)
            n_hits, n_misses = cache.hits - hits, cache.misses - misses
            rows.append((policy, share, n_hits / (n_hits + n_misses)))
    return pd.DataFrame(rows, columns=["policy", "memory", "hit_rate"])


def nearest(
    sessions: Sequence[Session], features: Float[np.ndarray, "session feat"]
) -> pd.DataFrame:
    """The session whose features are closest to each session's, and whether it is the same content.

    Distance is Euclidean after each feature was divided by its standard deviation over sessions.
    Columns: session, content, nearest, nearest_content, same_content, distance.
    """
    spread = features.std(axis=0)
    scaled = features / np.where(spread > 0, spread, 1.0)
    distance = np.sqrt(((scaled[:, None] - scaled[None]) ** 2).sum(axis=-1))
    np.fill_diagonal(distance, np.inf)
    closest = distance.argmin(axis=1)
    rows = [
        (
            session.name,
            session.content,
            sessions[other].name,
            sessions[other].content,
            session.content == sessions[other].content,
            distance[place, other],
        )
        for place, (session, other) in enumerate(zip(sessions, closest, strict=True))
    ]
    columns = ["session", "content", "nearest", "nearest_content", "same_content", "distance"]
    return pd.DataFrame(rows, columns=columns)


def _timed(work: Callable[[], Mapping]) -> tuple[float, Mapping]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def _replay(cache: Cache, epochs: Sequence[np.ndarray], sizes: Mapping[str, int]) -> None:
    for order in epochs:
        for entry in order:
            if cache.get(entry) is None:
                cache.put(entry, True, sizes[entry])
