"""Inputs that stand exactly on the threshold of a sign."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bnn_train.check.line import Line, Verdict, judge, percent, some, worst
from bnn_train.check.subject import Subject, inputs_of, quantizing

FEW, MANY = 0.02, 0.1
"""Sums of few signs, centred over a small batch, fall on 0 now and then; a ReLU makes half of them 0."""


def ties(s: Subject) -> Iterator[Line]:
    """Shares of 0, −0.0 and NaN at the inputs of all signs, over one training batch."""
    model = s.copy()
    layers = {n: m for n, m in quantizing(model).items() if m.method.activation.quantizer.signs}
    if not layers:
        return
    s.seed("ties")
    images = s.batch(s.affordable(1, least=16))[0]
    with torch.no_grad():
        seen = inputs_of(layers, lambda: model(images))
    zeros = {name: float((x == 0).double().mean()) for name, x in seen.items()}
    negative = {name: float(((x == 0) & x.signbit()).double().mean()) for name, x in seen.items()}
    nans = [name for name, x in seen.items() if bool(x.isnan().any())]
    most = max(zeros, key=lambda name: zeros[name])
    verdict: Verdict = judge(zeros[most], ok=(0, FEW), look=(0, MANY))
    yield Line(
        name="sign ties",
        verdict=worst([verdict, "wrong" if nans else "ok"]),
        measured=f"exact zeros {percent(zeros[most])} at most ({most}), −0.0"
        f" {percent(max(negative.values()))}, NaN in {some(nans) or 'none'}",
        healthy=f"≤ {percent(FEW)} zeros, no NaN",
        advice=_advice(nans, [name for name, share in zeros.items() if share > FEW]),
    )


def _advice(nans: list[str], tied: list[str]) -> str:
    if nans:
        return (
            f"NaN reaches {some(nans)} and hides behind the sign, which makes +1 of it: check data and norms."
        )
    return (
        f"{some(tied)}: sign(0) is +1 here and 0 in torch.sign, so ties decide results; a ReLU, dropout or a"
        " constant channel before the sign makes them: put a batch norm right before it."
    )
