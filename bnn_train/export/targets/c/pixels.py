"""The preprocessing of pixels as C: those that change every pixel by itself."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.export.targets.c.arrays import real
from bnn_train.export.targets.c.fields import Gathered
from bnn_train.export.targets.c.memory import IMAGE, Plan
from bnn_train.export.targets.target import Content
from bnn_train.packed.program import Preprocess

_WHY = {
    "gcn": "it takes the root of a sum over the whole image, whose last bits no two libraries share",
    "zca": "its matrix has a row and a column for every pixel",
    "lcn": "it filters the image with square roots, whose last bits no two libraries share",
}


def prepared(content: Content, plan: Plan, found: Gathered) -> str:
    """The function `prepare`; nothing where the first layer reads pixels. Raises ExportError."""
    steps = content.header.images.preprocess
    if not steps:
        return ""
    images = content.header.images
    lines = [line for i, step in enumerate(steps) for line in _lines(i, step, images.channels, found)]
    words = [
        "/* Pixels to the real numbers that the first layer reads. */",
        "static void prepare(uint32_t *m)",
        "{",
        f"    const uint8_t *image = (const uint8_t *)(m + {plan.places[IMAGE]});",
        "    int32_t i;",
        f"    for (i = 0; i < {images.height * images.width * images.channels}; i++) {{",
        "        float x = image[i];",
        *(f"        {line}" for line in lines),
        f"        put(m + {plan.places[0]} + i, x);",
        "    }",
        "}",
        "",
    ]
    return "\n".join(words)


def _lines(i: int, step: Preprocess, channels: int, found: Gathered) -> list[str]:
    if step.kind in _WHY:
        raise ExportError(
            f"data.normalize: {step.kind} has no form in C: {_WHY[step.kind]}; train with unit, signed,"
            " mean_std or pixel_mean"
        )
    if step.kind == "signed":
        return [f"x = x * {real(2 / 255)};", "x = x - 1.0f;"]
    unit = "x = x / 255.0f;"
    match step.kind:
        case "mean_std":
            mean = _array(f"pixel_mean_{i}", found.tensors[step.tensors["mean"]], found)
            std = _array(f"pixel_std_{i}", found.tensors[step.tensors["std"]], found)
            return [unit, f"x = x - {mean}[i % {channels}];", f"x = x / {std}[i % {channels}];"]
        case "pixel_mean":
            image = found.tensors[step.tensors["mean"]].transpose(1, 2, 0)
            return [unit, f"x = x - {_array(f'pixel_mean_{i}', image, found)}[i];"]
    return [unit]


def _array(name: str, numbers: NDArray[Any], found: Gathered) -> str:
    return found.arrays.add(name, "float", numbers, "real numbers")
