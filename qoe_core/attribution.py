"""How much each second and each input of a session moves a network's score.

Axes: batch = variants of one session, time = seconds, feat = scaled inputs, group = named inputs;
all frame features are one group. Scores are labels on [0, 1]. A baseline says what an input is
where nothing is known, in this project its training mean. Gradients point in different directions
of input space, so they are summed up as L2 norms; contributions (gradient x input, integrated
gradients) add up to a change of the score, so they are summed as they are.

Methods are those of captum where it has them. While a module is looked at it is in evaluation mode
and its weights take no gradient; afterwards it is as it was, an error included.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import FeatureAblation, InputXGradient, IntegratedGradients, Saliency
from jaxtyping import Float
from torch import Tensor, nn

from qoe_core.inputs import FeatureConfig
from qoe_core.models.network import FittedNetwork
from qoe_core.session import Session

MEAN, OVERALL = "mean", "overall"
SECONDS = "seconds"  # the scores of all seconds at once, which only `group_effects` explains
Target = str | int  # MEAN of all seconds, OVERALL, SECONDS, or the second whose score it is
TRUTH = "true effect"
FRAMES = "frames"  # the group of all frame features
RESOLUTION = 1e-6  # smaller effects are 0: sums in float32 cannot tell them from rounding
AT_ONCE = 32  # variants of a session that go through the network together
_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """One score of one session by one network, which is to be explained.

    Raises:
        ValueError: a target that is none of MEAN, OVERALL and SECONDS, nor a second of the session.
    """

    module: nn.Module  # (inputs, valid) to continuous and overall scores
    inputs: Float[Tensor, "time feat"]
    baseline: Float[Tensor, " feat"]
    groups: Mapping[str, slice]  # columns by name, in order, each column once
    target: Target = MEAN
    name: str = "session"  # for messages

    def __post_init__(self):
        """Refuse a score that the session has not."""
        known = MEAN, OVERALL, SECONDS, *range(len(self.inputs))
        if self.target not in known or isinstance(self.target, bool):
            raise ValueError(
                f"{self.name}: target is {self.target!r}, expected {MEAN!r}, {OVERALL!r}, "
                f"{SECONDS!r} or a second from 0 to {len(self.inputs) - 1}"
            )

    def score(self, inputs: Float[Tensor, "batch time feat"]) -> Float[Tensor, "batch ..."]:
        """The target of each variant of the session."""
        valid = torch.ones(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        continuous, overall = self.module(inputs, valid)
        if self.target == OVERALL:
            return overall
        if self.target == SECONDS:
            return continuous
        return continuous.mean(1) if self.target == MEAN else continuous[:, self.target]

    def scores(self, inputs: Float[Tensor, "variant time feat"]) -> Float[Tensor, "variant ..."]:
        """The target of many variants without gradients, AT_ONCE at a time."""
        with explaining(self.module), torch.no_grad():
            return torch.cat([self.score(part) for part in inputs.split(AT_ONCE)])


def subject(
    network: FittedNetwork,
    session: Session,
    baseline: Float[np.ndarray, " feat"],
    target: Target = MEAN,
) -> Subject:
    """What `network` says of `session`, ready to be explained.

    Raises:
        ValueError: the network was not trained for the target, or the target is no such score.
    """
    trained_for = network.overall if target == OVERALL else network.continuous
    if trained_for is None:
        other = MEAN if target == OVERALL else OVERALL
        raise ValueError(
            f"{session.label}: the network was not trained for the score {target!r}; choose "
            f"{other!r}"
        )
    inputs = network.examples([session])[0].inputs
    device = next(network.module.parameters()).device
    return Subject(
        module=network.module,
        inputs=inputs.to(device),
        baseline=torch.tensor(baseline, dtype=inputs.dtype, device=device),
        groups=groups(network.inputs, inputs.shape[1]),
        target=target,
        name=session.label,
    )


def groups(inputs: FeatureConfig, n_feat: int) -> dict[str, slice]:
    """Columns of a network's inputs by name; all frame features are FRAMES."""
    names = (*inputs.qos, *inputs.quality)
    columns = {name: slice(place, place + 1) for place, name in enumerate(names)}
    return columns if inputs.frames is None else columns | {FRAMES: slice(len(names), n_feat)}


def gradient(subject: Subject) -> Float[Tensor, "time feat"]:
    """Slope of the score in each input of each second; sum it up by `norms`."""
    with explaining(subject.module):
        slopes = Saliency(subject.score).attribute(_leaf(subject), abs=False)
    return _checked("gradient", slopes, subject)


def gradient_times_input(subject: Subject) -> Float[Tensor, "time feat"]:
    """Slope times scaled input: contributions against 0, the training minimum, not the baseline."""
    with explaining(subject.module):
        products = InputXGradient(subject.score).attribute(_leaf(subject))
    return _checked("gradient x input", products, subject)


def integrated_gradients(
    subject: Subject, n_steps: int = 32
) -> tuple[Float[Tensor, "time feat"], float]:
    """Contributions against the baseline, and their completeness gap.

    The gap is their sum minus the change of the score from the baseline to the session; more steps
    make it smaller.

    Source: Sundararajan et al., "Axiomatic attribution for deep networks", ICML 2017; steps by
    Gauss and Legendre, as captum has it.
    """
    with explaining(subject.module):
        contributions, gap = IntegratedGradients(subject.score).attribute(
            _leaf(subject),
            baselines=subject.baseline.expand_as(subject.inputs)[None],
            n_steps=n_steps,
            internal_batch_size=AT_ONCE,
            return_convergence_delta=True,
        )
    return _checked("integrated gradients", contributions, subject), gap.item()


def second_effects(subject: Subject) -> Float[Tensor, " time"]:
    """Score minus the score with one second at the baseline: the true effect of each second."""
    seconds = torch.arange(len(subject.inputs), device=subject.inputs.device)
    with explaining(subject.module), torch.no_grad():
        effects = FeatureAblation(subject.score).attribute(
            _leaf(subject),
            baselines=subject.baseline.expand_as(subject.inputs)[None],
            feature_mask=seconds[:, None].expand_as(subject.inputs)[None],
            perturbations_per_eval=AT_ONCE,
        )
    effects = _checked("occlusion", effects, subject)[:, 0]
    return torch.where(effects.abs() < RESOLUTION, 0.0, effects)


def group_effects(subject: Subject) -> Float[Tensor, "group ..."]:
    """Score minus the score with one group of inputs at the baseline throughout the session."""
    variants = subject.inputs.repeat(len(subject.groups) + 1, 1, 1)
    for variant, columns in zip(variants[1:], subject.groups.values(), strict=True):
        variant[:, columns] = subject.baseline[columns]
    scores = subject.scores(variants)
    effects = scores[0] - scores[1:]
    for name, values in zip(subject.groups, effects, strict=True):
        if not values.isfinite().all():
            raise ValueError(
                f"{subject.name}: occlusion of {name} is {values.sum()}, expected a number; is a "
                "weight or an input not finite?"
            )
    return torch.where(effects.abs() < RESOLUTION, 0.0, effects)


def per_second(subject: Subject, n_steps: int = 32) -> dict[str, Float[Tensor, " time"]]:
    """Every method as one number a second: TRUTH, gradients by their norm, contributions summed."""
    return {
        TRUTH: second_effects(subject),
        "gradient": gradient(subject).norm(dim=1),
        "gradient x input": gradient_times_input(subject).sum(1),
        "integrated gradients": integrated_gradients(subject, n_steps)[0].sum(1),
    }


def norms(
    slopes: Float[Tensor, "time feat"], groups: Mapping[str, slice]
) -> Float[Tensor, "time group"]:
    """L2 norm of the slopes of each second and group."""
    return torch.stack([slopes[:, part].norm(dim=1) for part in groups.values()], dim=1)


def sums(
    contributions: Float[Tensor, "time feat"], groups: Mapping[str, slice]
) -> Float[Tensor, "time group"]:
    """Sum of the contributions of each second and group, sign kept."""
    return torch.stack([contributions[:, part].sum(1) for part in groups.values()], dim=1)


@contextmanager
def explaining(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, gradients of inputs alone, attention that is computed as it was written.

    Restored at the end: the mode of every part, whether each weight takes gradients, hooks, and
    torch's fast path of attention.
    """
    modes = {part: part.training for part in module.modules()}
    wanted = {weight: weight.requires_grad for weight in module.parameters()}
    hooks = {part: [dict(getattr(part, kind)) for kind in _HOOKS] for part in modes}
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        module.eval().requires_grad_(False)
        with torch.enable_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part, mode in modes.items():
            part.training = mode
            for kind, before in zip(_HOOKS, hooks[part], strict=True):
                now = getattr(part, kind)
                now.clear()
                now.update(before)
        for weight, wants in wanted.items():
            weight.requires_grad_(wants)


def _leaf(subject: Subject) -> Float[Tensor, "1 time feat"]:
    if subject.target == SECONDS:
        raise ValueError(f"{subject.name}: target is {SECONDS!r}, expected a single score")
    return subject.inputs.detach().clone()[None].requires_grad_()


def _checked(
    method: str, values: Float[Tensor, "1 time feat"], subject: Subject
) -> Float[Tensor, "time feat"]:
    found = values.detach()[0]
    bad = (~found.isfinite()).nonzero()
    if len(bad):
        second, column = bad[0].tolist()
        (name,) = [n for n, part in subject.groups.items() if part.start <= column < part.stop]
        raise ValueError(
            f"{subject.name}: {method} of second {second}, {name} is {found[second, column]}, "
            "expected a number; is a weight or an input not finite?"
        )
    return found
