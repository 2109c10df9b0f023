"""Poolings, means, type-A shortcuts, maps joined and parted as steps."""

from __future__ import annotations

from typing import Any

from bnn_train.errors import ExportError
from bnn_train.export.graph import Op
from bnn_train.packed.program import Channels, Concat, Geometry, Mean, Pool, Step, Subsample
from bnn_train.packed.shapes import axes


def pool_step(op: Op, input_: int, output: int, flip: str | None = None) -> Pool:
    """A max- or average-pooling."""
    module: Any = op.module
    average = op.kind == "avgpool"
    if average and module.divisor_override is not None:
        raise ExportError(
            f"{op.layer}: divides by {module.divisor_override}; the packed program divides by the taps"
        )
    return Pool(
        layer=op.layer,
        input=input_,
        output=output,
        kind="average" if average else "max",
        geometry=_inside(
            Geometry(
                kernel=_pair(module.kernel_size),
                stride=_pair(module.stride),
                padding=_pair(module.padding),
                dilation=_pair(getattr(module, "dilation", 1)),
            ),
            op.inputs[0].shape[1:],
        ),
        ceil=module.ceil_mode,
        include_padding=not average or module.count_include_pad,
        flip=flip,
    )


def real_step(op: Op, inputs: list[int], output: int) -> Step:
    """The step of an operation that gives no bits."""
    module: Any = op.module
    common: dict[str, Any] = {"layer": op.layer, "input": inputs[0], "output": output}
    if op.kind == "concat":
        return Concat(**common, second=inputs[1])
    if op.kind == "channels":
        return Channels(**common, start=range(op.inputs[0].channels)[module.start : module.stop].start)
    if op.kind in ("maxpool", "avgpool"):
        return pool_step(op, inputs[0], output)
    if op.kind == "pad":
        return Subsample(**common, stride=_pair(module.stride), before=module.before)
    if _pair(module.output_size) != (1, 1):
        raise ExportError(
            f"{op.layer}: averages to {module.output_size}; the packed program averages whole maps only"
        )
    return Mean(**common)


def _inside(geometry: Geometry, size: tuple[int, int]) -> Geometry:
    """The window without the taps that no pixel can meet: ``ceil_mode`` lets one be larger than the map,
    which the compiled kernels refuse."""
    rows, columns = (
        axis.kernel if axis.padding else min(axis.kernel, -(-axis.size // axis.dilation))
        for axis in axes(geometry, *size)
    )
    return geometry.model_copy(update={"kernel": (rows, columns)})


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
