"""Methods by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf

from graphlab.erase.errors import EraseError
from graphlab.erase.methods.method import Avoiding, ClosedForm, Finetuning, Fusing, Masking, Method, Retraining
from graphlab.erase.objective import PRESETS, Ablation, TermWeights
from graphlab.names import nearest

TASK = "nsfw"
"""The task of the published weights: the one in which a single concept is erased."""
FULL = PRESETS["paper-b"][TASK]
ANT = Finetuning(FULL)
BOUNDARIES = (-inf, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, inf)
"""Values of t' (log SNR) that are compared; bases are trained from -4 to 3."""
INTERSECTION = Masking(seeds=3)


def method(name: str) -> Method:
    """The method of that name; EraseError for another."""
    if name not in METHODS:
        raise EraseError(f"no method is called {name!r}", hint=nearest(name, METHODS) or f"known: {', '.join(METHODS)}")
    return METHODS[name]


def boundary_name(log_snr: float) -> str:
    """What ANT at a t' of `log_snr` is called."""
    return f"ant@{log_snr:g}"


def _with(**weights: float) -> TermWeights:
    """The full weights, those not named being 0."""
    names = ("erase", "preserve", "uncond_early", "uncond_late")
    return TermWeights(*(weights.get(name, 0.0) for name in names))


def _trajectory() -> Iterable[Method]:
    late, early = FULL.uncond_late, FULL.uncond_early
    yield Method("ant", "all four terms, weights of reading B", ANT)
    yield Method("ant-paper-a", "all four terms, weights of reading A", Finetuning(PRESETS["paper-a"][TASK]))
    yield Method("esd", "reversed at all levels (ablation A)", Finetuning(_with(erase=1.0), -inf))
    weights = _with(erase=1.0, uncond_late=late)
    yield Method("esd+uncond", "ESD and the unconditional term at all levels (ablation B)", Finetuning(weights, -inf))
    yield Method("ant-c", "reversed late, nothing else (ablation C)", Finetuning(_with(erase=1.0)))
    yield Method("ant-d", "C and the late unconditional term (ablation D)", Finetuning(weights))
    weights = _with(erase=1.0, preserve=FULL.preserve)
    yield Method("ant-e", "C and the preserving term (ablation E)", Finetuning(weights))
    yield Method("ant-inverted", "reversed early and kept late, as released", _released(inverted_axis=True))
    says = "unconditional terms without gradient, as released"
    yield Method("ant-dead", says, _released(dead_unconditional=True))
    yield Method("ant-student", "points on the student's own paths", replace(ANT, sampler="student"))
    for value in BOUNDARIES:
        weights = FULL if abs(value) < inf else _end(value, late, early)
        yield Method(boundary_name(value), f"ANT with t' at log SNR {value:g}", Finetuning(weights, value))


def _released(*, inverted_axis: bool = False, dead_unconditional: bool = False) -> Finetuning:
    """ANT with defects of the released code."""
    return replace(ANT, ablation=Ablation(inverted_axis, dead_unconditional))


def _end(value: float, late: float, early: float) -> TermWeights:
    """Weights where one side has no level: its terms have no point."""
    if value < 0:
        return _with(erase=FULL.erase, uncond_late=late)
    return _with(preserve=FULL.preserve, uncond_early=early)


def _masked() -> Iterable[Method]:
    masks = {
        "single": ("one map", Masking(forms=1)),
        "intersection-3": ("3 maps intersected", Masking(seeds=1)),
        "intersection-9": ("9 maps intersected", INTERSECTION),
        "intersection-24": ("24 maps intersected", Masking(seeds=8)),
        "random": ("as dense in every weight as 9 maps intersected", replace(INTERSECTION, random=True)),
        "bottom": ("the lowest gradients of one map, as released", Masking(forms=1, keep="bottom")),
    }
    for name, (says, masking) in masks.items():
        yield Method(f"ant+{name}", f"ANT in a mask: {says}", replace(ANT, masking=masking))
    salun = Masking(forms=1, ranking="global", everywhere=True)
    how = Finetuning(_with(erase=1.0), -inf, masking=salun)
    yield Method("salun", "ESD in a mask: the highest half of all gradients of one map", how)


def _others() -> Iterable[Method]:
    yield Method("uce", "closed form: the concept's keys and values become those of the empty prompt", ClosedForm())
    yield Method("ant-fused", "a low-rank change a concept, fused in closed form", Fusing(ANT))
    yield Method("negative-prompt", "guidance away from the concept; no weight changes", Avoiding())
    yield Method("retrained", "a base that never saw the concept", Retraining())


METHODS = {made.name: made for made in (*_trajectory(), *_masked(), *_others())}
"""{name: method}."""
