"""Does a batch norm centre every quantizer's input, and does each channel still say something?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from bnn_train.binary.layers import BinaryLayer
from bnn_train.check.line import Line, Verdict, judge, percent, some, worst
from bnn_train.check.subject import Subject, inputs_of, quantizing
from bnn_train.inspect.diagnostics import input_codes

MONOTONE = (
    "Relu", "Hardtanh", "Clamp", "Pool", "Mean", "View", "Reshape", "Alias", "Squeeze", "Flatten", "Clone",
    "Copy", "Permute", "Transpose", "ConstantPad", "Slice", "Contiguous", "Dropout",
)  # fmt: skip
"""Autograd nodes that neither weight nor mix channels; parts of their names."""
DEAD = (0.05, 0.5)
BALANCE = (0.2, 0.8)
SATURATED = 3.0
"""|β| over |γ| beyond which a normalized channel keeps one sign for 99.9 % of the images."""


def norms(s: Subject) -> Iterator[Line]:
    """Where quantized inputs come from, what they look like in one training batch, and the norms' γ and β."""
    model = s.copy()
    layers = quantizing(model)
    if layers:
        s.seed("norms")
        images = s.batch(s.affordable(1, least=16))[0]
        seen = inputs_of(layers, lambda: model(images))
        if not s.experiment.method.norm.absent:
            yield _fed(layers, seen)
        yield _alive(layers, {name: x.detach() for name, x in seen.items()})
    found = [m for m in s.model.modules() if isinstance(m, _BatchNorm) and m.affine]
    if layers and found:
        yield _affine(found)


# ------------------------------------------------------------------------------- where from


def _fed(layers: dict[str, BinaryLayer], seen: dict[str, Tensor]) -> Line:
    sources = {name: _sources(x) for name, x in seen.items()}
    bare = {name: from_ - {"norm", "relu", "sum"} for name, from_ in sources.items()}
    none = [name for name, from_ in sources.items() if "norm" not in from_]
    partly = [name for name in sources if bare[name] and name not in none]
    positive = [
        name
        for name, from_ in sources.items()
        if "relu" in from_ and "sum" not in from_ and layers[name].method.activation.quantizer.signs
    ]
    verdict: Verdict = "wrong" if none or positive else "look" if partly else "ok"
    summed = sum("sum" in from_ for from_ in sources.values())
    return Line(
        name="norm before sign",
        verdict=verdict,
        measured=f"{len(sources) - len(none)} of {len(sources)} quantized inputs come from a batch norm"
        + (f", {summed} of them as a residual sum" if summed else "")
        + (f"; none before {some(none)}" if none else "")
        + (f"; a ReLU before {some(positive)}" if positive else ""),
        healthy="all",
        source="XNOR-Net table 3: without, AlexNet loses 14 points of top-1",
        advice=_what_to_do(none, partly, positive),
    )


def _what_to_do(none: list[str], partly: list[str], positive: list[str]) -> str:
    if positive:
        return f"{some(positive)}: nothing is negative behind a ReLU, so that every sign is +1; take it out."
    if none:
        return f"{some(none)}: put a batch norm before it (method.block.order: bn-act-conv-pool does)."
    return f"{some(partly)}: a branch of the sum has no batch norm, so that its scale may drown the others."


def _sources(x: Tensor) -> set[str]:
    """``norm``, or the name of another node, for every place that ``x`` comes from through monotone steps;
    ``sum`` and ``relu`` where it passes those."""
    found: set[str] = set()
    todo: list[Any] = [x.grad_fn]
    visited: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in visited:
            continue
        visited.add(id(node))
        kind = "the image" if node is None else type(node).__name__
        if kind.startswith("Relu"):
            found.add("relu")
        if kind.startswith("Add"):
            found.add("sum")
        if "Norm" in kind:
            found.add("norm")
        elif kind.startswith("Add") or any(part in kind for part in MONOTONE):
            todo += [next_ for next_, _ in node.next_functions if next_ is not None]
        else:
            found.add(kind)
    return found


# ------------------------------------------------------------------------------ what they say


@torch.no_grad()
def _alive(layers: dict[str, BinaryLayer], seen: dict[str, Tensor]) -> Line:
    dead, positive = {}, {}
    for name, x in seen.items():
        codes = input_codes(layers[name], x).transpose(0, 1).flatten(1)
        dead[name] = float((codes.amin(dim=1) == codes.amax(dim=1)).double().mean())
        positive[name] = float((codes > 0).double().mean())
    worst_dead = max(dead, key=lambda name: dead[name])
    uneven = max(positive, key=lambda name: abs(positive[name] - 0.5))
    named = [name for name in seen if dead[name] > DEAD[0] or not BALANCE[0] <= positive[name] <= BALANCE[1]]
    return Line(
        name="activations",
        verdict=worst(
            [
                judge(dead[worst_dead], ok=(0, DEAD[0]), look=(0, DEAD[1])),
                judge(positive[uneven], ok=BALANCE, look=(0.02, 0.98)),
            ]
        ),
        measured=f"channels whose code never changes {percent(dead[worst_dead])} at most ({worst_dead}),"
        f" positive {percent(positive[uneven])} at the most uneven ({uneven})",
        healthy=f"≤ {percent(DEAD[0])} such channels, {percent(BALANCE[0])} to {percent(BALANCE[1])}"
        " positive",
        advice=f"{some(named)}: channels that never change carry nothing; look at the norm before (γ, β,"
        " momentum), at a pooling behind the sign, and at a rate that is too high for the norms.",
    )


@torch.no_grad()
def _affine(found: list[_BatchNorm]) -> Line:
    gamma = torch.cat([norm.weight for norm in found]).double()
    beta = torch.cat([norm.bias for norm in found]).double()
    stuck = float((beta.abs() > SATURATED * gamma.abs()).double().mean())
    negative = float((gamma < 0).double().mean())
    finite = bool(gamma.isfinite().all() and beta.isfinite().all())
    return Line(
        name="norm γ and β",
        verdict=worst([judge(stuck, ok=(0, 0.05), look=(0, 0.5)), "ok" if finite else "wrong"]),
        measured=f"|γ| {gamma.abs().mean():.3g}, |β| {beta.abs().mean():.3g} on average, γ < 0"
        f" {percent(negative)}, |β| > {SATURATED:g}|γ| {percent(stuck)}"
        + ("" if finite else ", NaN or infinity"),
        healthy="|β| > 3|γ| in ≤ 5 % of the channels",
        advice="Those channels stand at one sign for good: lower optimizer.lr, or give the norms no weight"
        " decay.",
    )
