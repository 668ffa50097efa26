"""Simulated viewers: what a panel would say, second by second and at the end. Not human data.

Axes: viewer = the same people in every session, time = seconds of wall clock. Scores are on 0 to
100 with 50 in the middle. Every rating of second t depends on seconds 0..t only.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

SCALE = (0.0, 100.0)
MIDDLE = 50.0


@dataclass(frozen=True, kw_only=True)
class ViewerModel:
    """How a viewer turns quality and stalls into ratings.

    The effects are documented in the papers named beside each parameter. The numbers are our
    choice throughout, made for plausible curves; none is fitted to human ratings.
    """

    # A continuous rating answers late: Chen et al., IEEE TIP 23(5), 2014,
    # DOI 10.1109/TIP.2014.2312613
    delay_s: tuple[float, float] = (1.0, 2.0)  # shortest and longest reaction delay of a viewer

    # Viewers react fast to a loss and forgive slowly: temporal hysteresis, Seshadrinathan and
    # Bovik, ICASSP 2011
    fall_s: float = 1.5  # time constant of the opinion when quality falls
    rise_s: float = 4.0  # when it rises

    # Annoyance grows while a stall lasts, fades during playback, and a stall on top of an
    # unforgotten one hurts more: memory and recency in Ghadiyaram, Pan, Bovik, IEEE TIP 27(5), 2018
    stall_grow_s: float = 3.0  # time constant of growth
    stall_forget_s: float = 8.0  # time constant of forgetting
    # A stall costs more where the picture was better: Zeng, Yeganeh, Wang, ICIP 2016
    stall_depth: tuple[float, float] = (0.6, 0.95)  # share of the quality lost at full annoyance

    # Each person has a lasting bias and a lasting inconsistency: Li and Bampis, DCC 2017
    gain: tuple[float, float] = (1.2, 0.2)  # mean and standard deviation of the stretch about 50
    offset: float = 6.0  # standard deviation of a viewer's shift
    noise: float = 5.0  # standard deviation of slider noise; a hand holds still, so it is slow:
    noise_s: float = 3.0  # time constant of slider noise

    # The whole is judged by its worst moment and its end: Kahneman et al., Psychological Science
    # 4(6), 1993; for video Hands and Avons, Applied Cognitive Psychology, 2001, DOI 10.1002/acp.731
    worst_weight: float = 0.25
    end_weight: float = 0.25  # the rest is the weight of the mean
    end_s: int = 5  # length of the end
    overall_noise: float = 6.0  # standard deviation of one overall score

    def __post_init__(self):
        """Refuse parameters that would leave the scale, look ahead or divide by zero."""
        constants = (self.fall_s, self.rise_s, self.stall_grow_s, self.stall_forget_s, self.noise_s)
        spreads = (self.gain[1], self.offset, self.noise, self.overall_noise)
        if min(constants) <= 0 or min(spreads) < 0 or self.end_s < 1:
            raise ValueError(f"{self}: expected positive times and no negative deviation")
        if not 0 <= self.delay_s[0] <= self.delay_s[1]:
            raise ValueError(f"delay_s is {self.delay_s}, expected 0 <= shortest <= longest")
        if not 0 <= self.stall_depth[0] <= self.stall_depth[1] <= 1:
            raise ValueError(f"stall_depth is {self.stall_depth}, expected 0 <= least <= most <= 1")
        if min(self.worst_weight, self.end_weight, 1 - self.worst_weight - self.end_weight) < 0:
            raise ValueError(
                f"worst_weight is {self.worst_weight} and end_weight {self.end_weight}, expected "
                "no negative weight and a sum of at most 1"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """The people: one value a viewer, drawn once, so that a viewer stays the same person."""

    model: ViewerModel
    delay_s: Float[np.ndarray, " viewer"]
    depth: Float[np.ndarray, " viewer"]
    gain: Float[np.ndarray, " viewer"]
    offset: Float[np.ndarray, " viewer"]

    def rate(
        self,
        quality: Float[np.ndarray, " time"],
        stalled: Float[np.ndarray, " time"],
        rng: np.random.Generator,
    ) -> tuple[Float[np.ndarray, "viewer time"], Float[np.ndarray, " viewer"]]:
        """Continuous and overall ratings of one session, 0 to 100.

        `quality` is 0 to 100, held during stalls, and NaN only before anything was shown, when the
        middle of the scale is expected of it; `stalled` is the stalled fraction of each second.
        """
        expected = np.where(np.isnan(quality), MIDDLE, quality)
        felt = expected * (1 - self.depth[:, None] * annoyance(stalled, self.model))
        opinion = self._opinion(felt)
        noise = self._slow_noise(len(quality), rng)
        ratings = on_scale(self._used(opinion) + noise)
        model = self.model
        remembered = (
            model.worst_weight * opinion.min(axis=1)
            + model.end_weight * opinion[:, -model.end_s :].mean(axis=1)
            + (1 - model.worst_weight - model.end_weight) * opinion.mean(axis=1)
        )
        blur = rng.normal(0, model.overall_noise, len(self.gain))
        return ratings, on_scale(self._used(remembered[:, None])[:, 0] + blur)

    def _opinion(self, felt: Float[np.ndarray, "viewer time"]) -> Float[np.ndarray, "viewer time"]:
        second = np.arange(felt.shape[1])
        late = [
            np.interp(
                second - delay, second, values, left=MIDDLE
            )  # the slider starts in the middle
            for delay, values in zip(self.delay_s, felt, strict=True)
        ]
        opinion = np.full(len(felt), MIDDLE)
        course = []
        for target in np.array(late).T:
            constant = np.where(target < opinion, self.model.fall_s, self.model.rise_s)
            opinion = opinion + (target - opinion) * (1 - np.exp(-1 / constant))
            course.append(opinion)
        return np.array(course).T  # (viewer, time)

    def _used(self, opinion: Float[np.ndarray, "viewer time"]) -> Float[np.ndarray, "viewer time"]:
        return MIDDLE + self.gain[:, None] * (opinion - MIDDLE) + self.offset[:, None]

    def _slow_noise(
        self, n_seconds: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "viewer time"]:
        # drawn second by second, so that a longer session begins with the same noise
        fresh = rng.normal(0, self.model.noise, (n_seconds, len(self.gain)))
        kept = np.exp(-1 / self.model.noise_s)
        noise = fresh.copy()
        for second in range(1, n_seconds):
            noise[second] = kept * noise[second - 1] + np.sqrt(1 - kept**2) * fresh[second]
        return noise.T


def draw_panel(model: ViewerModel, n_viewers: int, seed: int) -> Panel:
    """The people of a study; the same seed invites the same people."""
    rng = np.random.default_rng((seed, 1))
    return Panel(
        model=model,
        delay_s=rng.uniform(*model.delay_s, n_viewers),
        depth=rng.uniform(*model.stall_depth, n_viewers),
        gain=rng.normal(*model.gain, n_viewers),
        offset=rng.normal(0, model.offset, n_viewers),
    )


def annoyance(
    stalled: Float[np.ndarray, " time"], model: ViewerModel
) -> Float[np.ndarray, " time"]:
    """Annoyance by stalls after each second, 0 to 1: grows towards 1, forgotten towards 0."""
    level, course = 0.0, []
    for fraction in stalled:
        level += (1 - level) * (1 - np.exp(-fraction / model.stall_grow_s))
        level *= np.exp(-(1 - fraction) / model.stall_forget_s)
        course.append(level)
    return np.array(course)


def on_scale(score: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Any score, smoothly saturated into 0 to 100; unchanged at 50, slope 1 there."""
    return MIDDLE + MIDDLE * np.tanh((score - MIDDLE) / MIDDLE)


def mean_and_ci(
    scores: Float[np.ndarray, " viewer *time"],
) -> tuple[Float[np.ndarray, " *time"], Float[np.ndarray, "*time 2"]]:
    """Mean over viewers and its 95 % confidence bounds (Student t), which may leave the scale."""
    n_viewers = len(scores)
    if n_viewers < 2:
        raise ValueError(f"{n_viewers} viewers, expected at least 2 for a confidence interval")
    mean = np.asarray(scores.mean(axis=0))
    half = stats.t.ppf(0.975, n_viewers - 1) * scores.std(axis=0, ddof=1) / np.sqrt(n_viewers)
    return mean, np.stack([mean - half, mean + half], axis=-1)
