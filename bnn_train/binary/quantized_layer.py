"""The part that both binary layers share: quantizers on weight and input, and their product."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.arguments import check_layer, copied, method_of
from bnn_train.binary.bases_product import bases_product
from bnn_train.binary.geometry import Geometry
from bnn_train.binary.inits import INITS
from bnn_train.binary.input_quantizer import InputQuantizer
from bnn_train.binary.output_gradients import OUTPUT_GRADIENTS, OutputGradient
from bnn_train.binary.output_scales import OUTPUT_SCALES, OutputScale
from bnn_train.binary.product import product
from bnn_train.binary.quantizers import Codes
from bnn_train.binary.quantizers.base import Factors
from bnn_train.binary.real_product import serves
from bnn_train.binary.weight_quantizer import WeightQuantizer
from bnn_train.spec.method import Method, Role


class QuantizedLayer(nn.Module):
    """The common part of both layers; mixed in before the float parent."""

    weight: Tensor
    bias: Any  # the parents declare it, and differently
    method: Method
    role: Role
    dropout: float
    channel_dropout: bool
    weight_quantizer: WeightQuantizer | None
    """None where the layer multiplies with its latent weight as it is."""
    input_quantizer: InputQuantizer | None
    """None where the product sees the input as it is; the first layer reads the image."""
    output_scale: OutputScale
    output_gradient: OutputGradient

    def _adopt(
        self, method: Method | str, role: Role, dropout: float, channel_dropout: bool, channels: int
    ) -> None:
        check_layer(role, self.weight.dtype, dropout)
        row = method_of(method)
        self.method, self.role = row, role
        self.dropout, self.channel_dropout = dropout, channel_dropout
        binarizes, quantizes = row.binarizes(role), row.quantizes_input(role)
        weight = copied(row.weight, self.weight.shape)
        if binarizes and weight.pre.copied > 1:
            self.weight = nn.Parameter(self.weight.detach()[:: weight.pre.copied].clone())
        self.weight_quantizer = (
            WeightQuantizer(weight, self.weight, centered=row.latent.center) if binarizes else None
        )
        self.input_quantizer = InputQuantizer(row.activation, channels) if quantizes else None
        self.output_scale = OUTPUT_SCALES.build(row.output_scale)
        self.output_gradient = OUTPUT_GRADIENTS.build(row.output_gradient)
        self.to(self.weight.device, self.weight.dtype)
        self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Draw the latent weights as the method says, set what quantizers learn to what suits them, the bias
        to 0. A new layer has been through this; with neither weight nor input quantized it is its parent."""
        if not (self.binarizes or self.quantizes_input):
            return
        INITS[self.method.latent.init](self, self.weight)
        self.start_learned()
        if self.bias is not None:
            self.bias.zero_()

    @torch.no_grad()
    def start_learned(self) -> None:
        """Set what quantizers learn to what suits the weights as they are: a learned α to mean |w|."""
        if self.weight_quantizer is not None:
            self.weight_quantizer.initialise(self.weight)
        if self.input_quantizer is not None:
            self.input_quantizer.initialise()
        self.output_scale.initialise()

    def gate_input(self) -> None:
        """Give the input's channels gates, where its quantizer has such: one layer makes them, and nothing
        but this one reads them."""
        if self.input_quantizer is not None:
            self.input_quantizer.quantizer.gate(self.input_quantizer.channels, self.weight)

    @property
    def quantizes_input(self) -> bool:
        """Whether the product sees quantized activations."""
        return self.input_quantizer is not None

    @property
    def binarizes(self) -> bool:
        """Whether the product sees quantized weights."""
        return self.weight_quantizer is not None

    @property
    def reads_latent(self) -> bool:
        """Whether this pass multiplies with the latent weight itself."""
        quantizer = self.weight_quantizer
        if quantizer is None or (not self.training and quantizer.evaluates_latent):
            return True
        return quantizer.progress.waits

    def sums_real(self, x: Tensor, geometry: Geometry | None) -> WeightQuantizer | None:
        """The weight's quantizer, where this pass of training multiplies a real ``x`` by tables of sums."""
        quantizer = self.weight_quantizer
        if quantizer is None or self.reads_latent or not (self.training and torch.is_grad_enabled()):
            return None
        return quantizer if serves(x, self.weight, quantizer, geometry) else None

    def read_weight(self) -> Tensor:
        """The weight of this forward pass: quantized, or latent where the method evaluates so."""
        if self.weight_quantizer is None or self.reads_latent:
            return self.weight
        quantized: Tensor = self.weight_quantizer(self.weight)
        return quantized

    def read_input(self, x: Tensor) -> Tensor:
        """The input of this forward pass, quantized, then dropped out."""
        return self._dropped(self.quantized(x))

    def quantized(self, x: Tensor) -> Tensor:
        """The input of this forward pass, quantized where the layer does so."""
        return x if self.input_quantizer is None else self.input_quantizer(x)

    def _dropped(self, x: Tensor, bases: int = 0) -> Tensor:
        if not self.dropout:
            return x
        drop = F.dropout2d if self.channel_dropout else F.dropout
        if not bases:
            return drop(x, self.dropout, self.training)
        return x * drop(torch.ones_like(x[0]), self.dropout, self.training)

    def _coded(self, x: Tensor, inputs: InputQuantizer) -> tuple[Tensor, Factors]:
        """Codes of the input, dropped out, and their factors."""
        codes, factors = inputs.coded(x)
        return self._dropped(codes, inputs.bases), factors

    def _multiplied(
        self,
        codes: Tensor,
        factors: Factors,
        quantizer: WeightQuantizer,
        inputs: InputQuantizer,
        geometry: Geometry | None = None,
        *,
        zeros: bool = False,
    ) -> Tensor:
        """The exact product of the input's codes with those of the weight. ``zeros``: there are codes 0
        around the signs of a map."""
        drops = bool(self.dropout and self.training)  # what is left is divided by its share
        whole, zeros = inputs.quantizer.whole and not drops, zeros or drops
        weight = quantizer.prepared(self.weight)
        signs = inputs.quantizer.signs and not zeros
        if inputs.bases or quantizer.bases:
            y = bases_product(
                codes,
                factors,
                weight,
                quantizer,
                bases=inputs.bases,
                geometry=geometry,
                signs=signs,
                whole=whole,
            )
        else:
            y = product(codes, weight, quantizer, unit=factors, geometry=geometry, signs=signs, whole=whole)
        quantizer.observe(weight)
        return y

    def codes(self) -> Codes:
        """The deterministic codes of the weight and their factors, as an export stores them.

        Raises TypeError for a layer whose weight is not quantized.
        """
        if self.weight_quantizer is None:
            raise TypeError(f"{type(self).__name__} of role {self.role} has a real weight")
        return self.weight_quantizer.decompose(self.weight)

    def extra_repr(self) -> str:
        """The float layer's line, with method and role."""
        return f"{super().extra_repr()}, method={self.method.name}, role={self.role}"
