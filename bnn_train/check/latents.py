"""Where the latent weights lie: inside the clip, at it, beyond it."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.check.line import Line, Verdict, judge, percent, some, worst
from bnn_train.check.subject import Subject
from bnn_train.inspect.diagnostics import positive_share, share

PRESSED = (0.5, 0.95)
"""Share at the clip: BinaryConnect's weights gather there by the end (arXiv 1511.00363, figure 2)."""


@torch.no_grad()
def latents(s: Subject) -> Iterator[Line]:
    """Shares over all binary layers, and the layers that break their own rule."""
    layers = dict(binary_layers(s.model))
    if not layers:
        return
    if not next(iter(layers.values())).method.weight.quantizer.latent:
        yield _stored(layers)
        return
    yield _placed(layers)
    fresh = s.checkpoint is None and s.experiment.training.init_from is None
    yield _balanced(layers, one_sided=fresh and s.experiment.method.latent.starts_positive)


def _stored(layers: dict[str, BinaryLayer]) -> Line:
    off = [name for name, layer in layers.items() if not bool((layer.weight.abs() == 1).all())]
    return Line(
        name="stored weights",
        verdict="wrong" if off else "ok",
        measured=f"other numbers than ±1 in {some(off) or 'none'}",
        healthy="±1 everywhere",
        source="Bop, arXiv 1906.02107",
        advice="Only an optimizer that flips may touch them: set optimizer.binary: bop, and no weight decay.",
    )


def _placed(layers: dict[str, BinaryLayer]) -> Line:
    clips = {name: _bound(layer) for name, layer in layers.items()}
    inside, at, beyond = _shares(layers, clips)
    clipped = any(layer.method.latent.clip is not None for layer in layers.values())
    over = [name for name, share in beyond.items() if share > 0]
    nans = [name for name, layer in layers.items() if not bool(torch.isfinite(layer.weight).all())]
    frozen = [name for name in over if _masked(layers[name])]
    verdict: Verdict = "wrong" if nans or (clipped and over) else "look" if frozen else "ok"
    pressed = judge(max(at.values()), ok=(0, PRESSED[0]), look=(0, PRESSED[1]))
    bound = f"±{min(clips.values()):g}"
    rule = "clip" if clipped else "1 (the method does not clip)"
    return Line(
        name="latent weights",
        verdict=worst([verdict, pressed if clipped else "ok"]),
        measured=f"inside {percent(_mean(inside))}, at {bound} {percent(_mean(at))}, beyond"
        f" {percent(_mean(beyond))}; bound: {rule}" + (f"; NaN in {some(nans)}" if nans else ""),
        healthy=f"none beyond, at the clip ≤ {percent(PRESSED[0])}"
        if clipped
        else "finite; a mask needs |w| ≤ 1",
        source="BinaryConnect §2.4 clips after every update; the share is our judgement",
        advice=_advice(nans, over, frozen, clipped),
    )


def _masked(layer: BinaryLayer) -> bool:
    """Whether weights outside the estimator's window get no gradient at all."""
    quantizer = layer.weight_quantizer
    return quantizer is not None and not quantizer.gradient.keeps and quantizer.estimator.masks


def _advice(nans: list[str], over: list[str], frozen: list[str], clipped: bool) -> str:
    if nans:
        return f"{some(nans)}: NaN or infinity; go back to a checkpoint before it and lower optimizer.lr."
    if clipped and over:
        return f"{some(over)}: beyond the clip they drift away and never flip; no step clipped them."
    if frozen:
        return (
            f"{some(frozen)}: the weight gradient is cut off beyond ±1, so those weights are frozen: set"
            " method.latent.clip: 1.0."
        )
    return "Weights at the clip no longer move outwards: the rate is high for the scale; let it fall further."


def _bound(layer: BinaryLayer) -> float:
    clip = layer.method.latent.clip
    return 1.0 if clip is None else clip


def _shares(layers: dict[str, BinaryLayer], clips: dict[str, float]) -> tuple[dict[str, float], ...]:
    """Inside, at, beyond, per layer."""
    tests = (torch.lt, torch.eq, torch.gt)
    return tuple(
        {name: share(test(layer.weight.abs(), clips[name])) for name, layer in layers.items()}
        for test in tests
    )


def _mean(shares: dict[str, float]) -> float:
    return sum(shares.values()) / len(shares)


def _balanced(layers: dict[str, BinaryLayer], *, one_sided: bool) -> Line:
    """``one_sided``: weights that have not been trained yet are all +1."""
    positive = {name: positive_share(layer.codes().value) for name, layer in layers.items()}
    far = max(positive, key=lambda name: abs(positive[name] - 0.5))
    return Line(
        name="latent balance",
        verdict="ok" if one_sided else judge(positive[far], ok=(0.2, 0.8), look=(0.05, 0.95)),
        measured=f"+1 {percent(_mean(positive))} of the weights, farthest from half"
        f" {percent(positive[far])} ({far})",
        healthy="all +1 at the beginning, by method.latent.init; 20 to 80 % in every layer once trained"
        if one_sided
        else "20 to 80 % in every layer",
        advice="A filter of one sign only adds its inputs up: check method.latent.init, or set"
        " method.latent.center.",
    )
