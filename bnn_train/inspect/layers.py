"""The layer table: shape, parameters, multiply-accumulates and bytes of each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from bnn_train.aligned import aligned
from bnn_train.binary.layers import BinaryLayer
from bnn_train.binary.weight_quantizer import WeightQuantizer
from bnn_train.inspect.probe import observe

REAL_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One module that owns parameters, as the test pass uses it."""

    name: str
    kind: str
    role: str | None = None
    output: tuple[int, ...] | None = None
    """Shape for one image; None if the pass never calls the module."""
    params_binary: int = 0
    """Weights that the test pass quantizes, ``bits`` each."""
    params_real: int = 0
    bits: int = 0
    macs_binary: int = 0
    """Multiply-accumulates of quantized weights with quantized activations."""
    macs_mixed: int = 0
    """… where only one of the two is quantized: additions and subtractions."""
    macs_real: int = 0
    bytes: int = 0
    """Stored: ⌈n·bits/8⌉ for each filter of n quantized weights, 4 for each α, 4 for each real
    parameter and running statistic."""
    bytes_real: int = 0
    """Stored if everything were 32-bit."""
    activations: int = 0
    """Bytes of the input, in bits where the layer quantizes it, and of the real output, for one image."""

    @property
    def params(self) -> int:
        """Trained numbers."""
        return self.params_binary + self.params_real

    @property
    def macs(self) -> int:
        """For one image, of convolutions and dense layers; norms, pooling and scales are not counted."""
        return self.macs_binary + self.macs_mixed + self.macs_real


SUMMED = ("params_binary", "params_real", "macs_binary", "macs_mixed", "macs_real", "bytes", "bytes_real")
LARGEST = ("bits", "activations")


def layer_table(model: nn.Module, shape: Sequence[int]) -> list[LayerRow]:
    """A row for every module that owns parameters, in the order of definition.

    One zero image of ``shape`` (C, H, W) runs through the model in evaluation mode; the model is left
    as it was and may live on the meta device. Weights that the method evaluates unquantized (stochastic
    BinaryConnect) count as real. A parameter that two modules share is counted at the first.
    """
    owners = list(_owners(model))
    outputs: dict[str, Tensor] = {}
    macs: dict[str, int] = {}
    held: dict[str, int] = {}

    def see(name: str, x: Tensor, output: Tensor) -> None:
        module = model.get_submodule(name)
        outputs[name] = output
        macs[name] = macs.get(name, 0) + _macs(module, output)
        held[name] = max(held.get(name, 0), _held(module, x) + REAL_BYTES * output.numel())

    parameter = next(model.parameters(), torch.empty(0))
    observe(model, parameter.new_zeros(1, *shape), owners, see)
    counted: set[int] = set()
    rows = (_row(name, module, outputs.get(name), macs.get(name, 0), counted) for name, module in owners)
    return [replace(row, activations=held.get(row.name, 0)) for row in rows]


def total(rows: Sequence[LayerRow]) -> LayerRow:
    """The sum of all rows, named ``total``; of bits and activations the largest."""
    sums = {field: sum(getattr(row, field) for row in rows) for field in SUMMED}
    sums |= {field: max((getattr(row, field) for row in rows), default=0) for field in LARGEST}
    return LayerRow(name="total", kind="", **sums)


def _macs(module: nn.Module, output: Tensor) -> int:
    """Each output number is a product with one filter."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        return output.numel() * module.weight[0].numel()
    return 0


def _held(module: nn.Module, x: Tensor) -> int:
    """Bytes of a layer's input, as it reads it."""
    if isinstance(module, BinaryLayer) and module.input_quantizer is not None:
        quantizer = module.input_quantizer.quantizer
        return -(-x.numel() * (quantizer.bases or quantizer.code.planes) // 8)
    return REAL_BYTES * x.numel()


def _owners(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every module with parameters of its own, in the order of definition; those of a binary layer's
    quantizers are its own."""
    if isinstance(model, BinaryLayer) or any(True for _ in model.parameters(recurse=False)):
        yield prefix.rstrip("."), model
    if not isinstance(model, BinaryLayer):
        for name, child in model.named_children():
            yield from _owners(child, f"{prefix}{name}.")


def _row(name: str, module: nn.Module, output: Tensor | None, macs: int, counted: set[int]) -> LayerRow:
    own = [p for p in module.parameters() if id(p) not in counted]
    own = own if isinstance(module, BinaryLayer) else [p for p in own if _is_own(p, module)]
    counted.update(id(p) for p in own)
    quantizer = _quantizing(module)
    codes = [p for p in own if quantizer is not None and p is module.weight]
    binary = sum(p.numel() for p in codes)
    real = sum(p.numel() for p in own) - binary
    statistics = sum(b.numel() for b in module.buffers(recurse=False) if b.is_floating_point())
    packed = sum(_packed_bytes(p, quantizer) for p in codes if quantizer is not None)
    return LayerRow(
        name=name,
        kind=type(module).__name__,
        role=getattr(module, "role", None),
        output=None if output is None else tuple(output.shape[1:]),
        params_binary=binary,
        params_real=real,
        bits=_bits(quantizer, codes),
        bytes=packed + REAL_BYTES * (real + statistics),
        bytes_real=REAL_BYTES * (binary + real + statistics),
        **{_arithmetic(module): macs},
    )


def _is_own(parameter: nn.Parameter, module: nn.Module) -> bool:
    return any(parameter is p for p in module.parameters(recurse=False))


def _quantizing(module: nn.Module) -> WeightQuantizer | None:
    """The quantizer of the module's weight in the test pass, if there is one."""
    quantizer = module.weight_quantizer if isinstance(module, BinaryLayer) else None
    if quantizer is None or quantizer.evaluates_latent or quantizer.progress.waits:
        return None
    return quantizer


def _bits(quantizer: WeightQuantizer | None, codes: Sequence[Tensor]) -> int:
    """Of a stored weight, at least 1."""
    if quantizer is None:
        return 0
    own = [quantizer.quantizer.bytes_of(weight) for weight in codes]
    return (
        max((round(8 * size / w.numel()) or 1 for size, w in zip(own, codes, strict=True) if size), default=0)
        or quantizer.bits
    )


def _packed_bytes(weight: Tensor, quantizer: WeightQuantizer) -> int:
    own = quantizer.quantizer.bytes_of(weight)
    if own is not None:
        return own
    decomposed = quantizer.decompose(weight)
    factors, n = decomposed.factors, weight[0].numel()
    filters = decomposed.numbers.shape[1 if quantizer.bases else 0]
    computed = isinstance(factors, Tensor) and quantizer.scale.alpha is None  # a learned α is a parameter
    scales = factors.numel() if computed and isinstance(factors, Tensor) else 0
    return filters * -(-n * quantizer.bits // 8) + REAL_BYTES * scales


def _arithmetic(module: nn.Module) -> str:
    inputs = isinstance(module, BinaryLayer) and module.quantizes_input
    quantized = (_quantizing(module) is not None) + inputs
    return ("macs_real", "macs_mixed", "macs_binary")[quantized]


# ------------------------------------------------------------------------------------ for people


LEFT = (0, 1, 2, 3, 7)
"""Columns that hold words."""


def format_layers(rows: Sequence[LayerRow]) -> str:
    """The rows as an aligned table with totals, shares and the compression below."""
    everything = total(rows)
    coded = f"{everything.bits or 1}-bit"
    head = ("layer", "kind", "role", "output", coded, "real", "MACs", "product", "bytes")
    table = aligned(head, [_cells(row) for row in rows], LEFT, _cells(everything))
    return "\n".join([*table, "", *_summary(everything)])


def _cells(row: LayerRow) -> tuple[str, ...]:
    products = {"binary": row.macs_binary, "mixed": row.macs_mixed, "real": row.macs_real}
    used = [name for name, count in products.items() if count]
    return (
        row.name or "(model)",
        row.kind,
        row.role or "",
        "×".join(map(str, row.output or ())),
        f"{row.params_binary:,}" if row.params_binary else "",
        f"{row.params_real:,}" if row.params_real else "",
        f"{row.macs:,}" if row.macs else "",
        used[0] if len(used) == 1 else "",
        f"{row.bytes:,}",
    )


def _summary(row: LayerRow) -> list[str]:
    shares = ", ".join(
        f"{100 * count / row.macs if row.macs else 0:.2f} % {name}"
        for name, count in (("binary", row.macs_binary), ("mixed", row.macs_mixed), ("real", row.macs_real))
    )
    ratio = row.bytes_real / row.bytes if row.bytes else 1.0
    return [
        f"parameters  {row.params:,}: {row.params_binary:,} of {row.bits or 1} bit, {row.params_real:,} real",
        f"MACs        {row.macs:,} per image: {shares}",
        f"bytes       {row.bytes:,}, packed; {row.bytes_real:,} in 32 bits: {ratio:.1f} times smaller",
        f"activations {row.activations:,} bytes at most, for a layer's input (bits if quantized) and output",
    ]
