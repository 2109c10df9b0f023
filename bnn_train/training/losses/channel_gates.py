"""A term that closes the gates of channels that are not needed (Widening and Squeezing)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from bnn_train.binary.quantizers import Quantizer
from bnn_train.training.losses.terms import Context, Term


class ChannelGates(Term):
    """Σ |g| over the gates of all channels: ∂/∂g = sign(g), the same for each, so that a gate stays open only
    where the loss holds it against that (Widening and Squeezing, arXiv 2002.00555, has a penalty on redundant
    features; that it is L1 on gates is our derivation)."""

    def __init__(self, section: Any) -> None:
        self.weight = section.weight

    def __call__(self, context: Context) -> Tensor:
        total = context.logits.new_zeros(())
        for module in context.model.modules():
            if isinstance(module, Quantizer) and module.gates is not None:
                total = total + module.gates.abs().sum()
        return total

    def told(self) -> str:
        return "The loss has a term that closes gates of channels."
