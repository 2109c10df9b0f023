"""Facts about a packed network that its page tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from bnn_train.packed.program import BitWeight, Conv, Header, Program
from bnn_train.packed.shapes import output_size

Tensors = Mapping[str, NDArray[Any]]
_FEW = 12
"""So many class names are told."""


class Signs(NamedTuple):
    """A layer with weights in bits."""

    tensor: str
    weights: int
    """Signs, of all planes."""
    products: int
    """Products of two signs for one image; 0 where the input is no bits."""


def layers_of_signs(program: Program, tensors: Tensors) -> Iterator[Signs]:
    """The layers with weights in bits, in their order."""
    for step in program.steps:
        if isinstance(step, Conv) and isinstance(step.weight, BitWeight):
            source, geometry = program.values[step.input], step.geometry
            planes, outputs = tensors[step.weight.tensor].shape[:2]
            taps = geometry.kernel[0] * geometry.kernel[1]
            weights = int(planes * outputs * taps * (source.channels // geometry.groups))
            height, width = output_size(geometry, source.height, source.width)
            seen = source.code.planes if source.code is not None else 0
            yield Signs(step.weight.tensor, weights, weights * seen * height * width)


def one_bit_weights(program: Program, tensors: Tensors) -> int:
    """Signs among the weights."""
    return sum(layer.weights for layer in layers_of_signs(program, tensors))


def rows(header: Header, tensors: Tensors, size: int, data: str) -> dict[str, str]:
    """Names and values, for people."""
    images, layers = header.images, list(layers_of_signs(header.program, tensors))
    products = sum(layer.products for layer in layers)
    signs = {layer.tensor for layer in layers}
    others = sum(tensor.size for name, tensor in tensors.items() if name not in signs)
    classes = len(header.classes)
    return {
        "Method": header.method,
        "Network": header.model,
        "Trained on": data,
        "Input": f"{images.width}×{images.height} pixels, {'grey' if images.channels == 1 else 'colour'}",
        "Classes": ", ".join(header.classes) if classes <= _FEW else f"{classes:,}",
        "Packed file": f"{size:,} bytes",
        "One-bit weights": f"{sum(layer.weights for layer in layers):,}",
        "Other numbers": f"{others:,} (thresholds, norms, real weights)",
        "Bit products": f"{products:,} an image, 32 at a time" if products else "none",
        "Made by": header.made_by,
    }
