"""A trained network → its packed program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from torch import nn

from bnn_train.errors import ExportError
from bnn_train.export.builder import Builder
from bnn_train.export.emit import Emitter
from bnn_train.export.first import Affine, Pixels, absorbs, affine
from bnn_train.export.graph import Shape
from bnn_train.export.options import Options
from bnn_train.export.plan import Plan, plan
from bnn_train.export.rounding import deterministic, rounded
from bnn_train.export.shares import apart
from bnn_train.export.squeeze import squeeze
from bnn_train.export.trace import Traced, trace
from bnn_train.packed.program import Preprocess, Program


@dataclass(frozen=True)
class Lowering:
    """A network with its packed program: all that an export reads, made from one trace."""

    model: nn.Module
    """The torch network that the packed one must equal: a copy, rounded as the options say."""
    notes: tuple[str, ...]
    """Sentences on what the options did or could not do."""
    program: Program
    tensors: dict[str, NDArray[Any]]
    preprocess: tuple[Preprocess, ...]
    """Steps that the first layer could not absorb; value 0 is then real."""
    built: Builder
    traced: Traced
    plan: Plan
    options: Options
    pixels: Affine | None
    """The normalization that the first layer absorbed."""

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
) -> Lowering:
    """The packed program of a network in evaluation mode, for images C×H×W that ``pixels`` normalizes.

    The network itself stays as it is. Raises ExportError, naming the layer, for what the program cannot
    express.
    """
    options = options or Options()
    own, signs = deterministic(model, options)
    apart(own)
    squeezed = squeeze(own, trace(own, shape).graph)
    traced = trace(own, shape)
    folded = affine(pixels, shape[0])
    notes = [*signs, *squeezed, *rounded(own, traced, folded, options)]
    planned = plan(traced.graph)
    if not pixels and not absorbs(traced.graph, folded):
        raise ExportError(
            "the layer that reads the image quantizes it or is no product, so it cannot read bytes; give"
            " data.normalize a step, or leave the first layer real (method.scope.real)"
        )
    emitter = Emitter(planned, folded if absorbs(traced.graph, folded) else None, options)
    built = emitter.run()
    preprocess = (
        () if emitter.pixels is not None else tuple(_stored(i, step, built) for i, step in enumerate(pixels))
    )
    return Lowering(
        model=own,
        notes=tuple(notes),
        program=built.program(emitter.real[traced.graph.output]),
        tensors=built.tensors,
        preprocess=preprocess,
        built=built,
        traced=traced,
        plan=planned,
        options=options,
        pixels=emitter.pixels,
    )


def _stored(i: int, step: Pixels, built: Builder) -> Preprocess:
    names = {name: built.tensor(f"images.{i}.{name}", array) for name, array in step.tensors.items()}
    return Preprocess(kind=step.kind, options=step.options, tensors=names)  # type: ignore[arg-type]  # checked by pydantic
