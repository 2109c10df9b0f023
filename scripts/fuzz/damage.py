"""One rule broken, by a little: a size, an index, a shape or a setting that is off by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.packed.program import BitWeight, Code, Conv, Header, Planes, Program, Step, Value
from fuzz.draw import Draw

Array = NDArray[Any]
Tensors = dict[str, Array]
Broken = tuple[Header, Tensors]


def damage(draw: Draw, header: Header, tensors: Tensors) -> tuple[Header, Tensors, str]:
    """The program changed in one place, and the name of the change. It may by chance still be valid."""
    name = draw.one(tuple(_CHANGES))
    changed, others = _CHANGES[name](draw, header, tensors)
    return changed, others, name


def _with_program(header: Header, **fields: Any) -> Header:
    return header.model_copy(update={"program": header.program.model_copy(update=fields)})


def _with_value(header: Header, i: int, **fields: Any) -> Header:
    values = list(header.program.values)
    values[i] = values[i].model_copy(update=fields)
    return _with_program(header, values=tuple(values))


def _with_step(header: Header, i: int, **fields: Any) -> Header:
    steps = list(header.program.steps)
    steps[i] = steps[i].model_copy(update=fields)
    return _with_program(header, steps=tuple(steps))


def _size(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    i, field = draw.below(len(header.program.values)), draw.one(("height", "width", "channels"))
    value: Value = header.program.values[i]
    size = getattr(value, field)
    changed = draw.one((size + 1, size + 32, 2 * size, 2**24, max(1, size - 1), 1))
    return _with_value(header, i, **{field: changed}), tensors


def _code(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    i = draw.below(len(header.program.values))
    code = draw.one(
        (
            Code(),
            Code(values=(1, 1), denominator=2),
            Code(values=(1,) * 8, denominator=2),
            Planes(count=1),
            Planes(count=3),
            Planes(count=3, digits=True),
            None,
        )
    )
    return _with_value(header, i, code=code), tensors


def _type(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    i = draw.below(len(header.program.values))
    return _with_value(header, i, type=draw.one(("u8", "f32", "bits"))), tensors


def _index(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    program: Program = header.program
    i = draw.below(len(program.steps))
    step: Step = program.steps[i]
    field = draw.one([f for f in ("input", "output", "bits", "second") if getattr(step, f, None) is not None])
    at = getattr(step, field)
    changed = draw.one((at + 1, max(0, at - 1), len(program.values), 4095, 0))
    return _with_step(header, i, **{field: changed}), tensors


def _shared_index(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    """Another residual, gate or input scale."""
    i = draw.below(len(header.program.steps))
    step = header.program.steps[i]
    if not hasattr(step, "epilogue"):
        return _index(draw, header, tensors)
    field = draw.one(("residual", "input_scale", "gate"))
    other = draw.below(len(header.program.values) + 1)
    return _with_step(header, i, epilogue=step.epilogue.model_copy(update={field: other})), tensors


def _geometry(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    windows = [i for i, s in enumerate(header.program.steps) if hasattr(s, "geometry")]
    if not windows:
        return _size(draw, header, tensors)
    i = draw.one(windows)
    step: Any = header.program.steps[i]
    field, d = draw.one(("kernel", "stride", "padding", "dilation")), draw.below(2)
    pair = list(getattr(step.geometry, field))
    pair[d] = draw.one((pair[d] + 1, pair[d] - 1, 0, -1, 2**24, 2**24 + 1, 2**31, 2**32, 2**63))
    geometry = step.geometry.model_copy(update={field: tuple(pair)})
    return _with_step(header, i, geometry=geometry), tensors


def _groups(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    windows = [i for i, s in enumerate(header.program.steps) if hasattr(s, "geometry")]
    if not windows:
        return _type(draw, header, tensors)
    i = draw.one(windows)
    step: Any = header.program.steps[i]
    groups = draw.one((step.geometry.groups + 1, 2 * step.geometry.groups, 2, 2**24))
    return _with_step(header, i, geometry=step.geometry.model_copy(update={"groups": groups})), tensors


def _setting(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    i = draw.below(len(header.program.steps))
    step = header.program.steps[i]
    if isinstance(step, Conv) and draw.often(0.3) and tensors:
        return _factors(draw, header, i, tensors), tensors
    if isinstance(step, Conv):
        return _with_step(header, i, pad=1 if step.pad == 0 else 0), tensors
    for field, changed in (
        ("ceil", True),
        ("before", 1),
        ("before", 2**31),
        ("start", 2**24),
        ("kind", "average"),
    ):
        if hasattr(step, field) and getattr(step, field) != changed:
            return _with_step(header, i, **{field: changed}), tensors
    return _index(draw, header, tensors)


def _factors(draw: Draw, header: Header, i: int, tensors: Tensors) -> Header:
    """Factors that are missing, or that no planes ask for; another version; or planes for a code."""
    step: Any = header.program.steps[i]
    name = draw.one((None, draw.one(tuple(tensors))))
    weight = step.weight
    match draw.below(4):
        case 0:
            return _with_step(header, i, input_factors=name)
        case 1:
            return header.model_copy(update={"version": draw.one((0, 1, 2, 3))})
        case 2 if isinstance(weight, BitWeight):
            return _with_step(header, i, weight=weight.model_copy(update={"factors": name}))
        case _ if isinstance(weight, BitWeight):
            changed = {"code": draw.one((Planes(count=2), Code())), "factors": name}
            return _with_step(header, i, weight=weight.model_copy(update=changed))
    return _with_step(header, i, input_factors=name)


def _tensor(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    if not tensors:
        return header, {"odd": np.zeros(1, np.float32)}
    name = draw.one(tuple(tensors))
    return header, {**tensors, name: draw.one(_TENSOR_CHANGES)(tensors[name])}


def _content(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    if not tensors:
        return header, {"odd": np.zeros(1, np.float32)}
    name = draw.one(tuple(tensors))
    changed = tensors[name].copy()
    changed.reshape(-1).view(np.uint8)[-draw.up_to(changed.nbytes)] ^= draw.one((1, 0x80, 0x7F, 0xFF))
    return header, {**tensors, name: changed}


def _absent(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    if not tensors:
        return header, {"odd": np.zeros(1, np.float32)}
    name = draw.one(tuple(tensors))
    return header, {key: tensor for key, tensor in tensors.items() if key != name}


def _order(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    steps = list(header.program.steps)
    i, j = draw.below(len(steps)), draw.below(len(steps))
    steps[i], steps[j] = steps[j], steps[i]
    return _with_program(header, steps=tuple(steps)), tensors


def _output(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    return _with_program(header, output=draw.below(len(header.program.values) + 1)), tensors


def _images(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    field = draw.one(("height", "width", "channels"))
    images = header.images
    changed = images.model_copy(update={field: getattr(images, field) + 1})
    return header.model_copy(update={"images": changed}), tensors


def _classes(draw: Draw, header: Header, tensors: Tensors) -> Broken:
    return header.model_copy(update={"classes": (*header.classes, "one more")}), tensors


_TENSOR_CHANGES: tuple[Callable[[Array], Array], ...] = (
    lambda t: t[:-1] if len(t) > 1 else np.concatenate([t, t]),
    lambda t: np.ascontiguousarray(t[..., :-1]) if t.shape[-1] > 1 else np.concatenate([t, t], -1),
    lambda t: t.reshape(-1),
    lambda t: t[None],
    lambda t: t.astype(np.float64) if t.dtype == np.float32 else t.astype(np.float32),
    lambda t: t.reshape(-1).view(np.uint8).reshape(*t.shape[:-1], -1),
)
_CHANGES: dict[str, Callable[[Draw, Header, Tensors], Broken]] = {
    "size": _size,
    "code": _code,
    "type": _type,
    "index": _index,
    "shared index": _shared_index,
    "geometry": _geometry,
    "groups": _groups,
    "setting": _setting,
    "tensor": _tensor,
    "content": _content,
    "absent tensor": _absent,
    "order": _order,
    "output": _output,
    "images": _images,
    "classes": _classes,
}
