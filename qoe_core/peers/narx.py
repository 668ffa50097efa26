"""NARX-QoE: a network of one hidden layer on delayed inputs and on its own delayed scores.

Trained open loop (series-parallel): the true ratings of the seconds before are inputs, so that all
training seconds are one regression. Tested closed loop: its own scores take their place. Before the
start of a session the inputs hold their first value and the scores are the mean training rating;
no true score enters a prediction. Continuous QoE only.

The closed loop is not bounded. It cannot grow without limit, since the hidden units end at -1 and
1, but its scores may leave the range of the ratings, and then they are wrong and count as wrong.

Source: Bampis, Li, Katsavounidis, Bovik, "Recurrent and dynamic models for predicting streaming
video QoE", IEEE TIP 27(7), 2018; delays, units and open-loop training as in the authors' release
(NARX_QoE.m). Deviations: the inputs are those of the row, there STRRED, stall flag and time since
the last impairment; L-BFGS with weight decay until it converges, there 200 epochs of
Levenberg-Marquardt stopped on a fifth of the sessions (on validation sessions of LFOVIA the closed
loop without decay is worse by either method); the
release starts from true scores and leaves those seconds out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.neural_network import MLPRegressor

from qoe_core.inputs import FeatureConfig, features
from qoe_core.models.interface import Prediction, training_ratings
from qoe_core.qos import Scaling
from qoe_core.session import Session


@dataclass(frozen=True, kw_only=True)
class Peer:
    """NARX-QoE before training.

    Raises:
        ValueError: the row sees frames.
    """

    inputs: FeatureConfig
    scaling: Scaling | None = None  # None: fitted on the training sessions
    input_delay: int = 10  # s; inputs of seconds t - input_delay to t
    feedback_delay: int = 10  # s; scores of seconds t - feedback_delay to t - 1
    hidden: int = 8  # tanh units
    decay: float = 10.0  # L2 penalty on the weights, found on validation contents
    iterations: int = 20_000  # of L-BFGS, at most; some hundred are enough with the default decay
    stops_early = False
    seeded = True

    def __post_init__(self):
        """Refuse thousands of inputs, each with all its delays."""
        if self.inputs.frames is not None:
            raise ValueError("narx sees frames, expected QoS features and quality metrics")

    def fit(
        self,
        train: Sequence[Session],
        validation: Sequence[Session],
        seed: int,
        folder: Path | None = None,
    ) -> "FittedNarx":
        """Fit the network open loop; `seed` draws its first weights.

        Raises:
            ValueError: no continuous ratings.
        """
        ratings, _ = training_ratings(train)
        if ratings is None:
            raise ValueError(
                f"training sessions of {train[0].dataset} have no continuous ratings, and narx "
                "predicts nothing else; leave this row out for this data set"
            )
        scaling = self.scaling or Scaling.fit(features(session, self.inputs) for session in train)
        flat = np.concatenate(ratings)
        mean, spread = float(flat.mean()), float(flat.std()) or 1.0
        rows = [
            np.hstack(
                [
                    delayed_inputs(scaling(features(session, self.inputs)), self.input_delay),
                    earlier_scores((rated - mean) / spread, self.feedback_delay),
                ]
            )
            for session, rated in zip(train, ratings, strict=True)
        ]
        network = MLPRegressor(
            hidden_layer_sizes=(self.hidden,),
            activation="tanh",
            solver="lbfgs",
            alpha=self.decay,
            max_iter=self.iterations,
            max_fun=2 * self.iterations,
            random_state=seed,
        )
        # single precision: twice as fast to the same loss; another seed moves predictions more
        network.fit(np.float32(np.concatenate(rows)), np.float32((flat - mean) / spread))
        return FittedNarx(self, scaling, network, mean, spread)


@dataclass(frozen=True, eq=False)
class FittedNarx:
    """The network, on ratings of zero mean and unit variance over the training seconds."""

    peer: Peer
    scaling: Scaling
    network: MLPRegressor
    mean: float
    spread: float

    def predict(self, session: Session) -> Prediction:
        """Score of each second from the inputs up to it and the scores before it."""
        scaled = self.scaling(features(session, self.peer.inputs))
        inputs = delayed_inputs(scaled, self.peer.input_delay)
        (into, out), (shift, offset) = self.network.coefs_, self.network.intercepts_
        driven = inputs @ into[: inputs.shape[1]] + shift
        feedback = into[inputs.shape[1] :][::-1].copy()  # of the earliest score first
        delay, weights = self.peer.feedback_delay, out[:, 0].copy()
        scores = np.zeros(delay + len(driven))  # first the mean rating, before the session
        for second, drive in enumerate(driven):
            earlier = scores[second : second + delay]
            scores[second + delay] = np.tanh(drive + earlier @ feedback) @ weights + offset[0]
        return Prediction(self.mean + self.spread * scores[delay:], None)


def delayed_inputs(
    scaled: Float[np.ndarray, "time feat"], delay: int
) -> Float[np.ndarray, "time feat*({delay}+1)"]:
    """Inputs of seconds t, t - 1, ... t - delay side by side; the first one before the start."""
    seconds = np.arange(len(scaled))[:, None] - np.arange(delay + 1)
    return scaled[np.maximum(seconds, 0)].reshape(len(scaled), -1)


def earlier_scores(
    scores: Float[np.ndarray, " time"], delay: int
) -> Float[np.ndarray, "time {delay}"]:
    """Scores of seconds t - 1, ... t - delay side by side; 0, the mean, before the start."""
    seconds = np.arange(len(scores))[:, None] - np.arange(1, delay + 1)
    return np.where(seconds >= 0, scores[np.maximum(seconds, 0)], 0.0)
