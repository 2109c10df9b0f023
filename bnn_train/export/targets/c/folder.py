"""The folder that an export writes: texts by path, from a network's C source."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from bnn_train.export.targets.c.arrays import lines
from bnn_train.export.targets.c.memory import IMAGE
from bnn_train.export.targets.c.options import COptions
from bnn_train.export.targets.c.source import Source, prefixed
from bnn_train.export.targets.c.templates import cut, piece
from bnn_train.export.targets.target import Content
from bnn_train.packed import strict_json
from bnn_train.packed.program import Images
from bnn_train.packed.runtime import PackedModel

FORMAT = "bnn_train c"
NETWORK = "network.json"
_VECTORS = 8
_LARGE = 2**18
"""Bytes of an image from which fewer are tried."""
_CODE, _STACK = 6144, 384
"""Bytes of code and stack that boards are offered, beside the constants and the memory."""
_BOARDS = ("board.h", "main.c", "cortex-m3.c", "cortex-m3.ld", "riscv32.c", "riscv32.ld")


def texts_of(content: Content, source: Source, options: COptions) -> dict[str, str]:
    """Every file of the folder."""
    features = set(source.features)
    features |= {"logits"} if options.logits else set()
    features |= {"exact"} if source.is_exact else set()
    flash, ram = board_bytes(source)
    words = {
        "FLASH": str(flash),
        "RAM": str(ram),
        "RAW": "every class's number as a float" if options.logits else "the answer as 32 bits",
    }
    found = {
        "selftest.c": cut(piece("folder/selftest.c"), features),
        "vectors.h": _vectors(content, source),
        "run.c": cut(piece("folder/run.c"), features, words),
        "Makefile": cut(piece("folder/Makefile"), features, words).replace(
            "NAME = bnn", f"NAME = {options.prefix}"
        ),
        "README.md": _readme(content, source, options),
        **{f"boards/{name}": piece(f"folder/boards/{name}") for name in _BOARDS},
    }
    texts = {path: prefixed(text, options.prefix) for path, text in found.items()}
    return {
        **texts,
        f"{options.prefix}.h": source.header,
        f"{options.prefix}.c": source.code,
        f"{options.prefix}_data.h": source.data,
        NETWORK: _network(content, options),
    }


def board_bytes(source: Source) -> tuple[int, int]:
    """Flash and RAM that boards are offered: powers of two that hold the network."""
    constants = sum(source.arrays.sizes.values()) + _CODE
    return _power(constants), _power(4 * source.plan.words + _STACK)


def _power(size: int) -> int:
    return 1 << (size - 1).bit_length()


def _network(content: Content, options: COptions) -> str:
    header = content.header.model_dump()
    parts = {"format": FORMAT, "prefix": options.prefix, "logits": options.logits, "header": header}
    return strict_json.dump(parts) + "\n"


def drawn(number: int, images: Images) -> NDArray[np.uint8]:
    """Image ``number`` of the self-test, as its C draws it: noise, smoothed where the number is even."""
    count = images.height * images.width * images.channels
    found, state, last = np.empty(count, np.uint8), number, 128
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        noise = state >> 24
        last = noise if number % 2 else (3 * last + noise) // 4
        found[i] = last
    return found.reshape(images.height, images.width, images.channels)


def _vectors(content: Content, source: Source) -> str:
    images = content.header.images
    count = _VECTORS if images.height * images.width * images.channels < _LARGE else 2
    model = PackedModel.from_parts(content.header, dict(content.tensors))
    logits = model(np.stack([drawn(n + 1, images) for n in range(count)]))
    tolerance = 1e-4 * float(max(np.abs(logits).max(), 1e-30))
    answers = "".join(f"{line}\n" for line in lines(logits.argmax(axis=1), "int32_t"))
    words = "".join(f"{line}\n" for line in lines(logits.reshape(-1).view(np.uint32), "uint32_t"))
    texts = [
        f"/* Made by the packed network, {model.isa}. */",
        f"#define VECTORS {count}",
        *([] if source.is_exact else [f"#define TOLERANCE {tolerance!r}f"]),
        f"static const int expected_answers[] = {{\n{answers}}};",
    ]
    if "real" in source.features or "no_head" in source.features:
        texts.append(f"static const uint32_t expected_logits[] = {{\n{words}}};")
    return "\n".join([*texts, ""])


def _readme(content: Content, source: Source, options: COptions) -> str:
    header, images = content.header, content.header.images
    floatless = "" if source.uses_floats else ", and no real number in an answer"
    words = {
        "WHAT": re.sub(r"[^ -~]", "?", f"{header.model} by {header.method}"),
        "MADE_BY": header.made_by,
        "FLOATLESS": floatless,
        "EXACT": ", bit for bit" if source.is_exact else " but for the last bits of sums of real numbers",
        "VECTORS": str(_VECTORS),
        "MEMORY": f"{4 * source.plan.words:,}",
        "SHAPE": f"{images.height}×{images.width}×{images.channels}",
        "ORDER": ", the channels of a pixel side by side" if images.channels > 1 else "",
        "SIZES": sizes_table(source),
        "PLAN": plan_table(content, source),
    }
    return cut(piece("folder/README.md"), set(), words)


def sizes_table(source: Source) -> str:
    """Bytes of constants, by what they are for."""
    rows = [f"| {use} | {size:,} |" for use, size in source.arrays.sizes.items()]
    total = sum(source.arrays.sizes.values())
    return "\n".join(["| constants | bytes |", "| --- | ---: |", *rows, f"| together | {total:,} |"])


def plan_table(content: Content, source: Source) -> str:
    """Every value that is kept, and its place."""
    values, plan = content.header.program.values, source.plan
    makers = {v: job.step.layer for job in plan.jobs for v in job.written}
    rows = ["| value | from byte | bytes | made by |", "| --- | ---: | ---: | --- |"]
    for v, place in sorted(plan.places.items(), key=lambda item: item[0]):
        shape = values[max(v, 0)]
        kind = "u8" if v == IMAGE else shape.type
        what = f"{kind} {shape.height}×{shape.width}×{shape.channels}"
        rows.append(f"| {what} | {4 * place:,} | {4 * plan.sizes[v]:,} | {makers.get(v, 'the image')} |")
    return "\n".join(rows)
