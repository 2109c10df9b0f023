"""Nonlinearities and gates of random programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnn_train.packed.program import Conv, Epilogue, Geometry, Prelu

if TYPE_CHECKING:
    from packed_programs import Maker

LINES = {"prelu": "negative", "maxout": "negative positive", "rprelu": "negative before after"}


def bend(m: Maker, name: str, kind: str, channels: int) -> Any:
    """A nonlinearity by its word; ``prelu``, ``maxout`` and ``rprelu`` with random slopes of any sign."""
    if kind not in LINES:
        return kind
    return Prelu(**{line: m.reals(f"{name}.{line}", channels) for line in LINES[kind].split()})


def gate(m: Maker, source: int, outputs: int) -> int:
    """Factors between 0 and 1 that a dense layer makes of a whole map."""
    v = m.values[source]
    geometry = Geometry(kernel=(v.height, v.width))
    weight = m.weight("gate", "int1", outputs, geometry, v.channels)
    found = m.value("f32", 1, 1, outputs)
    epilogue = Epilogue(scale=m.reals("gate.scale", outputs, scale=1e-3), activation="sigmoid")
    step = Conv(layer="gate", input=source, output=found, weight=weight, geometry=geometry, epilogue=epilogue)
    m.steps.append(step)
    return found
