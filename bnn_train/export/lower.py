"""A trained network → its packed program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from torch import nn

from bnn_train.errors import ExportError
from bnn_train.export.builder import Builder
from bnn_train.export.emit import Emission
from bnn_train.export.first import Affine, Pixels, absorbs, affine
from bnn_train.export.graph import Shape
from bnn_train.export.options import Options
from bnn_train.export.plan import Plan, plan
from bnn_train.export.trace import Traced, trace
from bnn_train.packed.program import Preprocess, Program


@dataclass(frozen=True)
class Lowered:
    """The program with its tensors, and how it came from the network."""

    program: Program
    tensors: dict[str, NDArray[Any]]
    preprocess: tuple[Preprocess, ...]
    """Steps that the first layer could not absorb; value 0 is then real."""
    built: Builder
    traced: Traced
    plan: Plan
    options: Options
    pixels: Affine | None
    """What the first layer absorbed."""

    @property
    def shifts(self) -> bool:
        """Whether black pixels are not 0 to the network, so that borders need biases of their own."""
        return self.pixels is not None and bool(self.pixels.summand.any())

    @property
    def gains(self) -> bool:
        """Whether the channels of the image have factors of their own."""
        return self.pixels is not None and bool((self.pixels.factor != self.pixels.factor[0]).any())


def lower(
    model: nn.Module, shape: Shape, pixels: Sequence[Pixels] = (), options: Options | None = None
) -> Lowered:
    """The packed program of a network in evaluation mode, for images C×H×W that ``pixels`` normalizes.

    Raises ExportError, naming the layer, for what the program cannot express.
    """
    options = options or Options()
    traced = trace(model, shape)
    planned = plan(traced.graph)
    folded = affine(pixels, shape[0])
    if not pixels and not absorbs(traced.graph, folded):
        raise ExportError("the image is not normalized, but read by a layer that cannot take bytes")
    emission = Emission(planned, folded if absorbs(traced.graph, folded) else None, options)
    built = emission.run()
    preprocess = (
        () if emission.pixels is not None else tuple(_stored(i, step, built) for i, step in enumerate(pixels))
    )
    program = built.program(emission.real[traced.graph.output])
    return Lowered(program, built.tensors, preprocess, built, traced, planned, options, emission.pixels)


def _stored(i: int, step: Pixels, built: Builder) -> Preprocess:
    names = {name: built.tensor(f"images.{i}.{name}", array) for name, array in step.tensors.items()}
    return Preprocess(kind=step.kind, options=step.options, tensors=names)  # type: ignore[arg-type]  # checked by pydantic
