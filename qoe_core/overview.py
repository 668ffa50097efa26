"""What a data set holds, as numbers: counts, one row a session, sessions with the same inputs."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from qoe_core.session import Session, hold_through_stalls

HISTORY_S = 10


def counts(sessions: Sequence[Session]) -> pd.Series:
    """Sessions, contents, patterns, seconds, stalls and rating ranges of a data set."""
    rated = [s.rated for s in sessions if s.rated is not None]
    overall = [s.overall for s in sessions if s.overall is not None]
    facts: dict[str, object] = {
        "sessions": len(sessions),
        "contents": len({s.content for s in sessions}),
        "patterns": len({s.pattern for s in sessions}),
        "devices": ", ".join(sorted({s.device for s in sessions})),
        "seconds": sum(s.n_seconds for s in sessions),
        "shortest (s)": f"{min(s.duration_s for s in sessions):.1f}",
        "longest (s)": f"{max(s.duration_s for s in sessions):.1f}",
        "stalls": sum(len(s.stalls) for s in sessions),
        "sessions with stalls": sum(len(s.stalls) > 0 for s in sessions),
        "bitrate": "yes" if sessions[0].bitrate_kbps is not None else "no",
        "resolution": "yes" if sessions[0].height_px is not None else "no",
        "quality metrics": ", ".join(sorted(sessions[0].quality)) or "none",
        "declared scale": f"{sessions[0].scale[0]:g} to {sessions[0].scale[1]:g}",
        "continuous": _range(np.concatenate(rated)) if rated else "none",
        "with 95 % CI": sum(s.rated_ci is not None for s in sessions),
        "overall": _range(np.array(overall)) if overall else "none",
        "per-subject": sum(s.ratings is not None for s in sessions),
    }
    return pd.Series(facts)


def session_table(sessions: Sequence[Session]) -> pd.DataFrame:
    """One row a session, by name: duration_s, n_stalls, stalled_s, rated (mean), overall."""
    rows = {
        s.name: {
            "duration_s": s.duration_s,
            "n_stalls": len(s.stalls),
            "stalled_s": float(s.stalls[:, 1].sum()),
            "rated": np.nan if s.rated is None else s.rated.mean(),
            "overall": np.nan if s.overall is None else s.overall,
        }
        for s in sessions
    }
    return pd.DataFrame.from_dict(rows, orient="index").dropna(axis=1, how="all")


def history_correlations(sessions: Sequence[Session]) -> pd.DataFrame:
    """PLCC of the continuous rating with what is shown now, and with its mean over HISTORY_S s.

    One row a quantity that varies: the mean over the sessions inside which it varies (`n_sessions`
    of them), and over all rated seconds at once, differences between sessions included. Seconds
    before anything was shown do not count. Neighbouring seconds are nearly the same second, so a
    value is a description, not a test.
    """
    rated = [session for session in sessions if session.rated is not None]
    histories = [(session.rated, _history(session)) for session in rated]
    rows = []
    for quantity in histories[0][1] if histories else ():
        pairs = [_known(history[quantity], rating) for rating, history in histories]
        inside = [np.corrcoef(*pair)[0, 1] for pair in pairs if _varies(pair)]
        if inside:
            pooled = np.corrcoef(np.concatenate(pairs, axis=1))[0, 1]
            rows.append((quantity, np.mean(inside), len(inside), pooled))
    return pd.DataFrame(rows, columns=["quantity", "mean_plcc", "n_sessions", "pooled_plcc"])


def _history(session: Session) -> dict[str, np.ndarray]:
    now = {"stalled": session.stalled, **session.quality}
    if session.bitrate_kbps is not None:
        log_bitrate = np.log10(np.maximum(session.bitrate_kbps, 1.0))
        now["log10 bitrate"] = hold_through_stalls(log_bitrate, session.stalled)
    recent = {
        f"{name}, last {HISTORY_S} s": pd.Series(values).rolling(HISTORY_S, 1).mean().to_numpy()
        for name, values in now.items()
    }
    return now | recent


def _known(values: np.ndarray, rating: np.ndarray) -> np.ndarray:
    """Both, at the seconds where the quantity is known."""
    known = np.isfinite(values)
    return np.stack([values[known], rating[known]])


def _varies(pair: np.ndarray) -> bool:
    return pair.shape[1] > 1 and bool((np.ptp(pair, axis=1) > 0).all())


def described(table: pd.DataFrame) -> pd.DataFrame:
    """Count, mean, spread and quartiles of each column; one row a column."""
    return table.describe().T.rename_axis("quantity").reset_index()


def same_inputs(sessions: Sequence[Session]) -> list[list[Session]]:
    """Groups of two or more sessions with the same content, device, stalls, bitrate and quality."""
    groups: dict[str, list[Session]] = {}
    for session in sessions:
        groups.setdefault(_inputs_digest(session), []).append(session)
    return [group for group in groups.values() if len(group) > 1]


def rating_spread(groups: Sequence[Sequence[Session]]) -> float:
    """Mean over groups of the range of the overall (else mean continuous) score; 0 without any."""
    scores = [
        [s.rated.mean() if s.overall is None else s.overall for s in group] for group in groups
    ]
    return float(np.mean([np.ptp(group) for group in scores])) if scores else 0.0


def _inputs_digest(session: Session) -> str:
    names = sorted(session.quality)
    identity = (session.content, session.device, session.duration_s, names)
    digest = hashlib.sha256(repr(identity).encode())
    arrays = [session.stalls, session.bitrate_kbps, session.height_px]
    for array in (*arrays, *(session.quality[name] for name in names)):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _range(values: np.ndarray) -> str:
    return f"{values.min():.2f} to {values.max():.2f}, mean {values.mean():.2f}"
