"""A term that draws latent weights to the two values that they are quantized to (BNN+)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from bnn_train.binary.layers import binary_layers
from bnn_train.binary.weight_quantizer import WeightQuantizer
from bnn_train.training.losses.terms import Context, Term


def _median(size: Tensor, u: Tensor, quantizer: WeightQuantizer) -> Tensor:
    groups = 1 if 0 in quantizer.dims else len(u)
    middle = size.detach().reshape(groups, -1).median(dim=1).values
    return middle.view(-1, *[1] * (u.dim() - 1))


def _own(size: Tensor, u: Tensor, quantizer: WeightQuantizer) -> Tensor:
    alpha = quantizer.quantized(u, drawn=False)[1]
    return u.new_ones(()) if alpha is None else alpha


CENTRES: dict[str, Callable[[Tensor, Tensor, WeightQuantizer], Tensor]] = {
    "one": lambda size, u, quantizer: u.new_ones(()),
    "mean": lambda size, u, quantizer: size.detach().mean(dim=quantizer.dims, keepdim=True),
    "median": _median,
    "scale": _own,
}
"""By the name in a config, α from |u|, the quantizer's input u, and the quantizer."""
FORMS: dict[str, Callable[[Tensor], Tensor]] = {"l1": torch.abs, "l2": torch.square}
"""By the name in a config, the penalty of α − |u|."""


class Regularizer(Term):
    """R₁ = mean |α − |w|| or R₂ = mean (α − |w|)² of each binary layer, added over the layers (BNN+, arXiv
    1812.11800; means instead of sums are our choice, so that λ does not hang on the widths).

    Gradients, with w the quantizer's input: R₁: −sign(α − |w|)·sign(w)/n, R₂: −2(α − |w|)·sign(w)/n. α = mean
    |w| is where R₂ is least and the median where R₁ is, so that there nothing is lost by holding it constant.
    A learned α has the opposite of the sums of both."""

    def __init__(self, section: Any) -> None:
        self.weight = section.weight
        self.centre, self.penalty = CENTRES[section.alpha], FORMS[section.form]

    def __call__(self, context: Context) -> Tensor:
        total = context.logits.new_zeros(())
        for each in self._of_layers(context):
            total = total + each
        return total

    def _of_layers(self, context: Context) -> Iterator[Tensor]:
        for _, layer in binary_layers(context.model):
            quantizer = layer.weight_quantizer
            if quantizer is not None:
                u = quantizer.prepared(layer.weight)
                size = u.abs()
                yield self.penalty(self.centre(size, u, quantizer) - size).mean()

    def told(self) -> str:
        return "The loss has a term that draws binary weights to ±α."
