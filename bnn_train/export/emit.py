"""From the plan to the program: one step for each segment, pooling or input scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bnn_train.errors import ExportError
from bnn_train.export import numbers
from bnn_train.export.bends import bend_of, falls
from bnn_train.export.builder import Builder, Meaning
from bnn_train.export.first import Affine
from bnn_train.export.graph import ELEMENTWISE, Key, Op, binary, key_of, scales_input
from bnn_train.export.options import Options
from bnn_train.export.plan import Plan, Quantization, Segment, emits, segment
from bnn_train.export.pools import pool_step, real_step
from bnn_train.export.products import Product, product_of
from bnn_train.export.thresholds import Found, float_thresholds, integer_thresholds
from bnn_train.packed.bits import code_numbers
from bnn_train.packed.operands import SIGN, Planes
from bnn_train.packed.program import Activation, Conv, Epilogue, InputScale, Map, Prelu, Thresholds


@dataclass(frozen=True)
class Bits:
    """Bits that a step gives: a value's index and the thresholds."""

    index: int
    thresholds: Thresholds


class Emitter:
    """Walks the plan in order."""

    def __init__(self, plan: Plan, pixels: Affine | None, options: Options) -> None:
        self.plan, self.pixels, self.options = plan, pixels, options
        self.out = Builder()
        self.real: dict[Op, int] = {}
        self.bits: dict[tuple[Op, Key], int] = {}

    def run(self) -> Builder:
        """Everything, in order."""
        image = self.plan.graph.image
        kind = "f32" if self.pixels is None else "u8"
        self.real[image] = self.out.value(kind, image.shape, Meaning(image))  # type: ignore[arg-type]  # one of two literals
        for op in self.plan.emitted:
            if emits(op):
                self._segment(op)
                continue
            if op is not image:
                self.real[op] = self.out.value("f32", op.shape, Meaning(op))
                self.out.step(real_step(op, [self.real[v] for v in op.inputs], self.real[op]), op)
            self._maps(op, self.plan.quantizations.get(op, []))
        return self.out

    # ------------------------------------------------------------------------------ segments

    def _segment(self, op: Op) -> None:
        """A convolution or map with its epilogue; the first quantizer that reads the result comes with it."""
        found = segment(op)
        quantizations = self.plan.quantizations.get(op, [])
        first, others = quantizations[:1], quantizations[1:]
        if found.folds:
            self._convolution(op, found, first[0] if first else None)
        else:
            self._map(op, found, first[0] if first else None)
        for quantization in first:
            self._pools(quantization)
        self._maps(op, others)

    def _convolution(self, op: Op, found: Segment, quantization: Quantization | None) -> None:
        product = self._product(found.base)
        whole = op not in self.plan.real and found.plain and product.bound is not None
        if quantization is not None and whole and product.input_scale is None:
            self._compare(op, product, quantization)
            return
        layer = found.base.layer
        scale = self.out.optional(f"{layer}.scale", product.scale)
        bias = self.out.optional(f"{layer}.bias", product.bias)
        epilogue = self._epilogue(found, scale=scale, input_scale=product.input_scale, bias=bias)
        bits = None if quantization is None else self._quantized(op, quantization, layer)
        self.out.step(self._conv(product, epilogue=epilogue, **self._results(op, bits)), found.base)

    def _compare(self, op: Op, product: Product, quantization: Quantization) -> None:
        """Whole numbers, compared with whole-number thresholds: no epilogue."""
        inner = numbers.product_function(op)
        through = self._function(quantization)
        bound = product.bound or 0
        found = integer_thresholds(lambda x: through(inner(x)), op.channels, quantization.key.levels, bound)
        bits = self._stored(op, quantization, op.layer, found)
        self.out.step(self._conv(product, bits=bits.index, thresholds=bits.thresholds), op)

    def _conv(self, product: Product, **results: Any) -> Conv:
        return Conv(
            layer=product.op.layer,
            input=product.input,
            weight=product.weight,
            geometry=product.geometry,
            pad=product.pad,
            input_factors=product.factors,
            **results,
        )

    def _product(self, op: Op) -> Product:
        key = key_of(op)
        input_ = self.real[op.inputs[0]] if key is None else self.bits[op.inputs[0], key]
        pixels = self.pixels if op.inputs[0] is self.plan.graph.image else None
        last = [other for other in self.plan.graph.ops if other.kind == "product"][-1]
        form = self.options.last if op is last else self.options.real
        product = product_of(op, input_, pixels, form=form, first=self.options.first, out=self.out)
        return product if not scales_input(op) else product.with_scale(self._input_scale(op, product))

    def _input_scale(self, op: Op, product: Product) -> int:
        groups, height, width = product.geometry.groups, *op.shape[1:]
        index = self.out.value("f32", (groups, height, width), Meaning(op.inputs[0], scales=op))
        step = InputScale(
            layer=op.layer, input=self.real[op.inputs[0]], output=index, geometry=product.geometry
        )
        self.out.step(step, op)
        return index

    def _map(self, op: Op, found: Segment, quantization: Quantization | None) -> None:
        bits = None if quantization is None else self._quantized(op, quantization, op.layer)
        epilogue = self._epilogue(found)
        step = Map(layer=op.layer, input=self.real[found.base], epilogue=epilogue, **self._results(op, bits))
        self.out.step(step, op)

    def _epilogue(self, found: Segment, **product: Any) -> Epilogue:
        norm = None
        if found.norm is not None:
            factor, summand = numbers.norm_of(found.norm)
            layer = found.norm.layer
            norm = self.out.tensor(f"{layer}.factor", factor), self.out.tensor(f"{layer}.summand", summand)
        return Epilogue(
            gate=None if found.gate is None else self._gate(found.gate),
            norm=norm,
            activation=self._activation(found.activation),
            residual=None if found.residual is None else self.real[found.residual],
            stream=self._activation(found.stream),
            **product,
        )

    def _gate(self, op: Op) -> int:
        if op.inputs[1].shape != (op.channels, 1, 1):
            raise ExportError(
                f"{op.layer}: its gate has the shape {op.inputs[1].shape}; the packed program has one factor"
                f" for each of its {op.channels} channels"
            )
        return self.real[op.inputs[1]]

    def _activation(self, op: Op | None) -> Activation:
        if op is None:
            return "none"
        if op.kind != "prelu":
            return op.kind  # type: ignore[return-value]  # a word of both
        stored = {name: self.out.tensor(f"{op.layer}.{name}", a) for name, a in bend_of(op).items()}
        return Prelu(**{name.rpartition(".")[2]: tensor for name, tensor in stored.items()})

    def _results(self, op: Op, bits: Bits | None) -> dict[str, Any]:
        """Where the result goes."""
        results: dict[str, Any] = {}
        if op in self.plan.real:
            results["output"] = self.real[op] = self.out.value("f32", op.shape, Meaning(op))
        if bits is not None:
            results |= {"bits": bits.index, "thresholds": bits.thresholds}
        return results

    # ------------------------------------------------------------------------------ quantizers

    def _maps(self, op: Op, quantizations: list[Quantization]) -> None:
        """Quantizers that no step brings along."""
        for quantization in quantizations:
            layer = f"{quantization.products[0].layer}.input"
            bits = self._quantized(op, quantization, layer)
            step = Map(layer=layer, input=self.real[op], bits=bits.index, thresholds=bits.thresholds)
            self.out.step(step, op)
            self._pools(quantization)

    def _quantized(self, op: Op, quantization: Quantization, layer: str) -> Bits:
        found = float_thresholds(self._function(quantization), op.channels, quantization.key.levels)
        return self._stored(op, quantization, layer, found)

    def _stored(self, op: Op, quantization: Quantization, layer: str, found: Found) -> Bits:
        code = quantization.key.code
        index = self.out.value("bits", op.shape, Meaning(op, quantization.chain, quantization.key), code)
        self.bits[quantization.value, quantization.key] = index
        flip = self._flip(layer, found.flip)
        tensor = self.out.tensor(f"{layer}.thresholds", found.values)
        return Bits(index, Thresholds(tensor=tensor, flip=flip))

    def _flip(self, layer: str, falls: NDArray[np.bool_]) -> str | None:
        return self.out.tensor(f"{layer}.flip", falls.astype(np.uint8)) if falls.any() else None

    def _function(self, quantization: Quantization) -> numbers.Function:
        """From numbers M×C to the count of thresholds that they pass; of planes, to their signs P×M×C."""
        through = numbers.chain_function(modules_of(quantization.chain))
        layer = binary(quantization.products[0])
        if layer is None:
            raise ExportError(f"{quantization.products[0].layer}: is no binary layer")
        quantize, code = numbers.codes_function(layer), quantization.key.code
        if isinstance(code, Planes) or code == SIGN:
            return lambda x: quantize(through(x))
        codes = torch.from_numpy(code_numbers(code)).float()  # −1, 0, 1 are the codes 0, 1, 2
        return lambda x: torch.searchsorted(codes, quantize(through(x)).contiguous())

    def _pools(self, quantization: Quantization) -> None:
        """The chain's poolings, on bits: each a maximum, or a minimum where the rest of the chain falls."""
        for at, op in enumerate(quantization.chain):
            if op.kind != "maxpool":
                continue
            rest = quantization.chain[at + 1 :]
            down = falls([inner for inner in rest if inner.kind in ELEMENTWISE])
            before = self.bits[quantization.value, quantization.key]
            meaning = Meaning(op, rest, quantization.key)
            index = self.out.value("bits", op.shape, meaning, quantization.key.code)
            flip = self._flip(op.layer, np.broadcast_to(down, op.channels))
            self.out.step(pool_step(op, before, index, flip), op)
            self.bits[quantization.value, quantization.key] = index


def modules_of(chain: tuple[Op, ...]) -> list[nn.Module]:
    """The modules of a chain without its poolings."""
    return [module_of(op) for op in chain if op.kind in ELEMENTWISE]


def module_of(op: Op) -> nn.Module:
    """The module of an elementwise operation; a function call has its like."""
    if op.module is not None:
        return op.module
    return nn.ReLU() if op.kind == "relu" else nn.Hardtanh()
