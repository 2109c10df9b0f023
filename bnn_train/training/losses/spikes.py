"""A term that keeps spikes rare (Eedn)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLayer
from bnn_train.training.losses.terms import Context, Term


class Spikes(Term):
    """½·Σ_l mean_c ā², ā the share of images and pixels at which channel c of layer l's input spikes (Eedn,
    arXiv 1603.08270; its mean over the channels is our choice). ∂/∂x = ā·q̃′(x)/(C·N), N numbers in a
    channel, through the estimator of the input quantizer."""

    def __init__(self, section: Any) -> None:
        self.weight = section.weight
        self._inputs: dict[nn.Module, Tensor] = {}

    def attach(self, model: nn.Module) -> None:
        """Watch the inputs of all layers that quantize theirs."""
        for module in model.modules():
            if isinstance(module, BinaryLayer) and module.quantizes_input:
                module.register_forward_pre_hook(self._see)

    def _see(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if layer.training:
            self._inputs[layer] = inputs[0]

    def __call__(self, context: Context) -> Tensor:
        seen, self._inputs = self._inputs, {}
        total = context.logits.new_zeros(())
        for layer, x in seen.items():
            if isinstance(layer, BinaryLayer) and layer.input_quantizer is not None:
                spikes = layer.input_quantizer(x).float().transpose(0, 1).flatten(1)
                total = total + spikes.mean(dim=1).square().mean() / 2
        return total

    def told(self) -> str:
        return "The loss has a term that keeps spikes rare."
