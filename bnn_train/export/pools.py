"""Poolings, means, type-A shortcuts, maps joined and parted as steps."""

from __future__ import annotations

from typing import Any

from bnn_train.errors import ExportError
from bnn_train.export.graph import Op
from bnn_train.packed.program import Channels, Concat, Geometry, Mean, Pool, Step, Subsample


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
        geometry=Geometry(
            kernel=_pair(module.kernel_size),
            stride=_pair(module.stride),
            padding=_pair(module.padding),
            dilation=_pair(getattr(module, "dilation", 1)),
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


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
