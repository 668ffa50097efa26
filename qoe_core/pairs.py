"""What predicted and rated quality, and the interval of a rating, must be to be compared.

All are arrays of one number a sample, on one scale.
"""

import numpy as np
from jaxtyping import Float

MIN_SAMPLES = 3  # of a correlation
ROUNDING = 1e-13  # a range below this share of the largest magnitude is rounding, not information


class UndefinedCorrelation(ValueError):
    """One input of a correlation is constant, so the correlation does not exist."""


def check_pair(predicted: Float[np.ndarray, " _"], rated: Float[np.ndarray, " _"]) -> None:
    """Raise ValueError unless they are as many numbers, at least one."""
    if len(predicted) != len(rated):
        raise ValueError(
            f"predicted has {len(predicted)} samples and rated {len(rated)}, expected as many; "
            "was one of them cut or padded?"
        )
    if len(predicted) == 0:
        raise ValueError("predicted and rated are empty, expected at least 1 sample")
    _check_finite("predicted", predicted)
    _check_finite("rated", rated)


def check_correlation(predicted: Float[np.ndarray, " _"], rated: Float[np.ndarray, " _"]) -> None:
    """Raise ValueError for what `check_pair` and `check_length` refuse, and for a constant."""
    check_pair(predicted, rated)
    check_length(predicted)
    for name, values in (("predicted", predicted), ("rated", rated)):
        if is_constant(values):
            raise UndefinedCorrelation(
                f"{name} is constant at {values[0]} over {len(values)} samples, "
                "expected values that vary; a correlation with a constant is undefined"
            )


def check_length(predicted: Float[np.ndarray, " _"]) -> None:
    """Raise ValueError for fewer samples than a correlation needs."""
    if len(predicted) < MIN_SAMPLES:
        raise ValueError(
            f"predicted and rated have {len(predicted)} samples, a correlation needs at least "
            f"{MIN_SAMPLES}; is the session that short?"
        )


def is_constant(values: Float[np.ndarray, " _"]) -> bool:
    """Whether all values are the same, up to rounding."""
    low, high = values.min(), values.max()
    return bool(high - low <= ROUNDING * max(abs(low), abs(high)))


def check_interval(
    predicted: Float[np.ndarray, " _"],
    rated: Float[np.ndarray, " _"],
    ci_half_width: Float[np.ndarray, " _"],
) -> None:
    """Raise ValueError for what `check_pair` refuses, and for half widths that are none."""
    check_pair(predicted, rated)
    if len(ci_half_width) != len(rated):
        raise ValueError(
            f"ci_half_width has {len(ci_half_width)} samples and rated {len(rated)}, expected as "
            "many; was one of them cut or padded?"
        )
    _check_finite("ci_half_width", ci_half_width)
    if ci_half_width.min() < 0:
        bad = np.flatnonzero(ci_half_width < 0)
        raise ValueError(
            f"ci_half_width[{bad[0]}] is {ci_half_width[bad[0]]}, expected 0 or more; "
            "are the bounds of the interval swapped?"
        )


def _check_finite(name: str, values: np.ndarray) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise ValueError(
            f"{name}[{bad[0]}] is {values[bad[0]]}, expected a number ({bad.size} of {len(values)} "
            "are not); did the model diverge or is a rating missing?"
        )
