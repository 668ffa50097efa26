"""Hammerstein-Wiener model: a sigmoid on each input, a linear filter of it, a sigmoid on the sum.

For feature f with scaled input x_f(t), in the order of its parameters (slope, shift, taps, poles):

    u_f(t) = sigmoid(slope x_f(t) + shift)
    v_f    = filter of u_f with H(z) = sum_d tap_d z^-d * prod_i (1 - p_i) / (1 - p_i z^-1)
    score  = middle + height (sigmoid(offset + sum_f v_f(t)) - 1/2)

where p_i = sigmoid(pole_i) is between 0 and 1, so every filter is stable and causal. Before the
start of a session the input held its first value for ever. Continuous QoE only.

Source: Chen, Choi, de Veciana, Caramanis, Heath, Bovik, "Modeling the time-varying subjective
quality of HTTP video streams with rate adaptations", IEEE TIP 23(5), 2014 (one input), and with
several inputs Ghadiyaram, Pan, Bovik, "Learning a continuous-time streaming video QoE model", IEEE
TIP 27(5), 2018. Only the abstract of the first was read for this file; the blocks are as other
papers quote them. Deviations: scale and offset of the input sigmoids are left to taps and offset,
which say the same; poles are real and positive; all parameters are fitted at once by least squares
with weight decay towards their start, found on validation contents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import least_squares
from scipy.signal import lfilter
from scipy.special import expit

from qoe_core.inputs import FeatureConfig, features
from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.qos import Scaling
from qoe_core.session import Session

SIGMOID = (4.0, -2.0)  # slope and shift at the start: nearly a line over inputs from 0 to 1
OUTPUT = (0.0, 0.0, 6.0)  # offset, middle and height at the start, in standard deviations


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Hammerstein-Wiener model before training.

    Raises:
        ValueError: the row sees frames.
    """

    inputs: FeatureConfig
    scaling: Scaling | None = None  # None: fitted on the training sessions
    zeros: int = 1  # order of a filter's numerator; taps are one more
    poles: int = 1  # order of its denominator
    decay: float = 1.0  # L2 penalty on the distance of the parameters from their start
    evaluations: int = 60  # of the cost, at most
    stops_early = False
    seeded = False

    def __post_init__(self):
        """Refuse thousands of inputs, each with a filter of its own."""
        if self.inputs.frames is not None:
            raise ValueError(
                "hammerstein_wiener sees frames, expected QoS features and quality metrics"
            )

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedHammersteinWiener":
        """Fit all blocks together; the same for every seed.

        Raises:
            ValueError: no continuous ratings.
        """
        ratings, _ = training_ratings(train)
        if ratings is None:
            raise ValueError(
                f"training sessions of {train[0].dataset} have no continuous ratings, and "
                "hammerstein_wiener predicts nothing else; leave this row out for this data set"
            )
        scaling = self.scaling or Scaling.fit(features(session, self.inputs) for session in train)
        batch, rated = held([scaling(features(session, self.inputs)) for session in train])
        flat = np.concatenate(ratings)
        mean, spread = float(flat.mean()), float(flat.std()) or 1.0
        one = [*SIGMOID, *[0.0] * (self.zeros + 1), *np.arange(self.poles)]
        start = np.array(one * batch.shape[2] + [*OUTPUT])
        pull = np.sqrt(self.decay)

        @lru_cache(1)  # errors and slopes are asked for at the same parameters
        def answer(parameters):
            return respond(np.frombuffer(parameters), batch, self.zeros)

        def errors(parameters):
            score, _ = answer(parameters.tobytes())
            error = score[rated] - (flat - mean) / spread
            return np.concatenate([error, pull * (parameters - start)])

        def slopes(parameters):
            _, derivative = answer(parameters.tobytes())
            return np.concatenate([derivative[rated], pull * np.eye(len(start))])

        found = least_squares(errors, start, jac=slopes, max_nfev=self.evaluations)
        return FittedHammersteinWiener(self, scaling, found.x, mean, spread)


@dataclass(frozen=True, eq=False)
class FittedHammersteinWiener:
    """The parameters, for ratings of zero mean and unit variance over the training seconds."""

    peer: Peer
    scaling: Scaling
    parameters: Float[np.ndarray, " param"]
    mean: float
    spread: float

    def predict(self, session: Session) -> Prediction:
        """Score of each second from the inputs up to it."""
        return self.predict_all([session])[0]

    def predict_all(self, sessions: Sequence[Session]) -> list[Prediction]:
        """The same for many sessions, several times as fast."""
        inputs = [self.scaling(features(session, self.peer.inputs)) for session in sessions]
        batch, exists = held(inputs)
        scores, _ = respond(self.parameters, batch, self.peer.zeros)
        scores = self.mean + self.spread * scores
        return [Prediction(s[seconds], None) for s, seconds in zip(scores, exists, strict=True)]


def held(
    inputs: Sequence[Float[np.ndarray, "_ feat"]],
) -> tuple[Float[np.ndarray, "session time feat"], Bool[np.ndarray, "session time"]]:
    """Sessions side by side, each held at its last second, and which seconds exist."""
    lengths = np.array([[len(array)] for array in inputs])
    seconds = np.arange(lengths.max())
    batch = [array[np.minimum(seconds, len(array) - 1)] for array in inputs]
    return np.stack(batch), seconds < lengths


def respond(
    parameters: Float[np.ndarray, " param"],
    inputs: Float[np.ndarray, "session time feat"],
    zeros: int,
) -> tuple[Float[np.ndarray, "session time"], Float[np.ndarray, "session time param"]]:
    """Score of each second, and its derivatives by the parameters: feature by feature, OUTPUT."""
    offset, middle, height = parameters[-3:]
    total, derivatives = offset, []
    each = parameters[:-3].reshape(inputs.shape[2], -1)
    for own, series in zip(each, np.moveaxis(inputs, 2, 0), strict=True):
        filtered, derivative = _branch(own, series, zeros)
        total = total + filtered
        derivatives.append(derivative)
    squashed = expit(total)
    steep = height * squashed * (1 - squashed)
    inner = np.concatenate([*derivatives, np.ones_like(total)[..., None]], axis=2)
    outer = np.stack([np.ones_like(total), squashed - 0.5], axis=2)
    derivative = np.concatenate([steep[..., None] * inner, outer], axis=2)
    return middle + height * (squashed - 0.5), derivative


def _branch(
    own: Float[np.ndarray, " param"], series: Float[np.ndarray, "session time"], zeros: int
) -> tuple[Float[np.ndarray, "session time"], Float[np.ndarray, "session time param"]]:
    """One feature behind its sigmoid and filter, with the derivatives by its parameters."""
    (slope, shift), taps, poles = own[:2], own[2 : 3 + zeros], expit(own[3 + zeros :])
    static = expit(slope * series + shift)
    steep = static * (1 - static)
    derivatives = [_filtered(taps, poles, steep * series), _filtered(taps, poles, steep)]
    derivatives += [_filtered(tap, poles, static) for tap in np.eye(len(taps))]
    filtered = _filtered(taps, poles, static)
    moving = filtered - taps.sum() * static[:, :1]  # the rest does not depend on the poles
    for pole in poles:
        by_pole = lfilter([0, 1], [1, -pole], moving) - moving / (1 - pole)
        derivatives.append(pole * (1 - pole) * by_pole)
    return filtered, np.stack(derivatives, axis=2)


def _filtered(
    taps: Float[np.ndarray, " tap"],
    poles: Float[np.ndarray, " pole"],
    series: Float[np.ndarray, "session time"],
) -> Float[np.ndarray, "session time"]:
    """The filter's answer to a series that held its first value for ever before."""
    first = series[:, :1]
    moving = lfilter(np.prod(1 - poles) * taps, np.poly(poles), series - first)
    return moving + taps.sum() * first
