"""Echo-state network: a fixed random reservoir of leaky tanh units and a ridge read-out.

x(t) = (1 - leak) x(t-1) + leak tanh(W_in [1, u(t)] + W x(t-1)), and x = 0 before the session.
Continuous QoE is read from state and input of each second, overall QoE from those of the last
second or from their mean over the session. Only the read-out is trained; the seed draws the
reservoir.

Source: Jaeger, "The echo state approach to analysing and training recurrent neural networks", GMD
report 148, 2001; leaky units after Jaeger et al., Neural Networks 20(3), 2007. Neither was read
for this file. Input weights are divided by the root of the number of inputs, so that `input_scale`
means the same for two inputs and for thousands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import Ridge

from qoe_core.inputs import FeatureConfig, features
from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.qos import Scaling
from qoe_core.session import Session

READOUTS = ("last", "mean")
AT_ONCE = 128  # sessions that go through a reservoir together


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Echo-state network before training.

    Raises:
        ValueError: a read-out that does not exist, or a reservoir that could not forget.
    """

    inputs: FeatureConfig
    scaling: Scaling | None = None  # None: fitted on the training sessions
    units: int = 200
    density: float = 0.1  # share of weights inside the reservoir that are not 0
    spectral_radius: float = 0.9  # below 1; larger remembers longer
    leak: float = 0.3  # 1: no leaky memory
    input_scale: float = 1.0
    penalty: float = 10.0  # of the ridge read-out, found on validation contents
    readout: str = "mean"  # for overall QoE: one of READOUTS
    stops_early = False
    seeded = True

    def __post_init__(self):
        """Refuse what would only fail, or never forget, in the middle of a run."""
        if self.readout not in READOUTS:
            raise ValueError(
                f"readout of echo_state is {self.readout!r}, expected one of {READOUTS}"
            )
        if not (0 < self.spectral_radius < 1 and 0 < self.leak <= 1):
            raise ValueError(
                f"echo_state has spectral_radius {self.spectral_radius} and leak {self.leak}, "
                "expected 0 < spectral_radius < 1 and 0 < leak <= 1; others need not forget how "
                "a session began"
            )

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedEchoState":
        """Draw the reservoir, then fit one read-out for each target that was rated."""
        scaling = self.scaling or Scaling.fit(features(session, self.inputs) for session in train)
        scaled = [scaling(features(session, self.inputs)) for session in train]
        reservoir = drawn(self, scaled[0].shape[1], seed)
        seen = reservoir.states_and_inputs(scaled)
        continuous, overall = training_ratings(train)
        seconds = sessions = None
        if continuous is not None:
            readout = Ridge(alpha=self.penalty)
            seconds = readout.fit(np.concatenate(seen), np.concatenate(continuous))
        if overall is not None:
            wholes = np.stack([whole(array, self.readout) for array in seen])
            sessions = Ridge(alpha=self.penalty).fit(wholes, np.array(overall))
        return FittedEchoState(self, scaling, reservoir, seconds, sessions)


@dataclass(frozen=True, eq=False)
class Reservoir:
    """Random weights that stay as they were drawn."""

    into: Float[np.ndarray, "input unit"]  # 1, then the features
    within: Float[np.ndarray, "unit unit"]
    leak: float

    def states(
        self,
        inputs: Float[np.ndarray, "*sessions time feat"],
        before: Float[np.ndarray, "*sessions unit"] | None = None,
    ) -> Float[np.ndarray, "*sessions time unit"]:
        """State after each second; `before` is the state to go on from, None at the start."""
        driven = inputs @ self.into[1:] + self.into[0]
        states = np.empty_like(driven)
        state = np.zeros(driven[..., 0, :].shape) if before is None else before
        for second in range(driven.shape[-2]):
            towards = np.tanh(driven[..., second, :] + state @ self.within)
            state = (1 - self.leak) * state + self.leak * towards
            states[..., second, :] = state
        return states

    def states_and_inputs(
        self, inputs: Sequence[Float[np.ndarray, "_ feat"]]
    ) -> list[Float[np.ndarray, "_ column"]]:
        """Of each session, side by side; AT_ONCE go through the reservoir together."""
        found = []
        for first in range(0, len(inputs), AT_ONCE):
            arrays = inputs[first : first + AT_ONCE]
            padded = np.zeros((len(arrays), max(map(len, arrays)), arrays[0].shape[1]))
            for row, array in zip(padded, arrays, strict=True):
                row[: len(array)] = array
            together = zip(self.states(padded), arrays, strict=True)
            found += [np.hstack([states[: len(array)], array]) for states, array in together]
        return found


@dataclass(frozen=True, eq=False)
class FittedEchoState:
    """A reservoir with its read-outs, each None where nobody rated."""

    peer: Peer
    scaling: Scaling
    reservoir: Reservoir
    seconds: Ridge | None
    sessions: Ridge | None

    def predict(self, session: Session) -> Prediction:
        """Score of each second from the state that it leaves, and one of the whole."""
        return self.predict_all([session])[0]

    def predict_all(self, sessions: Sequence[Session]) -> list[Prediction]:
        """The same for many sessions, several times as fast."""
        scaled = [self.scaling(features(session, self.peer.inputs)) for session in sessions]
        return [self._read(seen) for seen in self.reservoir.states_and_inputs(scaled)]

    def _read(self, seen: Float[np.ndarray, "time column"]) -> Prediction:
        continuous = overall = None
        if self.seconds is not None:
            continuous = seen @ self.seconds.coef_ + self.seconds.intercept_
        if self.sessions is not None:
            read = whole(seen, self.peer.readout)
            overall = float(read @ self.sessions.coef_ + self.sessions.intercept_)
        return Prediction(continuous, overall)


def drawn(peer: Peer, n_feat: int, seed: int) -> Reservoir:
    """The reservoir of a seed, the same whenever it is drawn."""
    rng = np.random.default_rng(seed)
    into = rng.uniform(-1, 1, (n_feat + 1, peer.units)) * peer.input_scale / np.sqrt(n_feat)
    within = rng.uniform(-1, 1, (peer.units, peer.units))
    within *= rng.random(within.shape) < peer.density
    radius = np.abs(np.linalg.eigvals(within)).max()
    return Reservoir(into, within * peer.spectral_radius / (radius or 1.0), peer.leak)


def whole(seen: Float[np.ndarray, "time column"], readout: str) -> Float[np.ndarray, " column"]:
    """State and input that overall QoE is read from."""
    return seen[-1] if readout == "last" else seen.mean(0)
