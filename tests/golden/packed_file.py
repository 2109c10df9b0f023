"""Makes the packed files that ``test_packed_file`` reads.

    PYTHONPATH=.:tests python tests/golden/packed_file.py

Writes those that are missing: files of an earlier version of the format stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bnn_train.packed import container, load
from bnn_train.packed.program import Conv, Epilogue, Geometry, Map, Planes, Pool
from packed_programs import SIGN, TERNARY, UNSIGNED_2, Made, Maker, header_of

HERE = Path(__file__).parent
SAME = Geometry(kernel=(3, 3), padding=(1, 1))


def pixels() -> np.ndarray:
    """Five images without any random generator."""
    return (np.arange(5 * 6 * 6 * 3) * 37 % 251).astype(np.uint8).reshape(5, 6, 6, 3)


def network() -> Made:
    """Digits, ternary and sign weights, codes of two planes, both pools, every line of the epilogue but K."""
    m = Maker(1)
    x, real, signs = m.value("u8", 6, 6, 3), m.value("f32", 6, 6, 16), m.value("bits", 6, 6, 16, SIGN)
    first = Epilogue(scale=m.reals("first.scale", 16, scale=1e-6), norm=norm(m, "first", 16))
    conv(m, "first", x, "int2", 16, epilogue=first, output=real, bits=signs, thresholds=(SIGN, 0.5, False))
    pooled = m.value("bits", 3, 3, 16, SIGN)
    flip = m.tensor("pool.flip", m.rng.integers(0, 2, 16), np.uint8)
    half = Geometry(kernel=(2, 2), stride=(2, 2))
    m.steps.append(Pool(layer="pool", input=signs, output=pooled, kind="max", geometry=half, flip=flip))
    codes = m.value("bits", 3, 3, 24, UNSIGNED_2)
    conv(m, "second", pooled, TERNARY, 24, pad=-1, bits=codes, thresholds=(UNSIGNED_2, 6.0, True))
    short = m.value("f32", 3, 3, 16)
    window = Geometry(kernel=(3, 3), stride=(2, 2), padding=(1, 1))
    step = Pool(
        layer="short", input=real, output=short, kind="average", geometry=window, include_padding=False
    )
    m.steps.append(step)
    stream = m.value("f32", 3, 3, 16)
    third = Epilogue(bias=m.reals("third.bias", 9, 16), norm=norm(m, "third", 16), activation="hardtanh",
                     residual=short, stream="relu")  # fmt: skip
    conv(m, "third", codes, SIGN, 16, pad=1, epilogue=third, output=stream)
    again = m.value("bits", 3, 3, 16, SIGN)
    rule = m.thresholds("sign", SIGN, 16, 0.3, exact=False, flip=False)
    m.steps.append(Map(layer="sign", input=stream, bits=again, thresholds=rule))
    logits, last = m.value("f32", 1, 1, 4), Geometry(kernel=(3, 3))
    conv(m, "last", again, SIGN, 4, geometry=last, epilogue=Epilogue(norm=norm(m, "last", 4)), output=logits)
    return m.done(logits)


def planes_network() -> Made:
    """Planes with factors on either side and on both, meeting codes and reals, pooled, padded either way."""
    m = Maker(2)
    two, three = Planes(count=2), Planes(count=3)
    x, real, signs = m.value("u8", 6, 6, 3), m.value("f32", 6, 6, 16), m.value("bits", 6, 6, 16, three)
    first = Epilogue(scale=m.reals("first.scale", 16, scale=1e-6), norm=norm(m, "first", 16))
    conv(m, "first", x, "int2", 16, epilogue=first, output=real, bits=signs, thresholds=(three, 0.5, False))
    pooled = m.value("bits", 3, 3, 16, three)
    flip = m.tensor("pool.flip", m.rng.integers(0, 2, 16), np.uint8)
    half = Geometry(kernel=(2, 2), stride=(2, 2))
    m.steps.append(Pool(layer="pool", input=signs, output=pooled, kind="max", geometry=half, flip=flip))
    codes = m.value("bits", 3, 3, 24, UNSIGNED_2)
    second = Epilogue(bias=m.reals("second.bias", 9, 24), activation="hardtanh")
    conv(
        m, "second", pooled, two, 24, pad=-1, epilogue=second, bits=codes, thresholds=(UNSIGNED_2, 0.6, False)
    )
    again = m.value("bits", 3, 3, 40, two)
    conv(m, "third", codes, three, 40, bits=again, thresholds=(two, 9.0, False))
    whole = m.value("bits", 3, 3, 40, two)
    conv(m, "fourth", again, TERNARY, 40, pad=1, bits=whole, thresholds=(two, 5.0, False))
    logits, last = m.value("f32", 1, 1, 4), Geometry(kernel=(3, 3))
    conv(m, "last", whole, two, 4, geometry=last, epilogue=Epilogue(norm=norm(m, "last", 4)), output=logits)
    return m.done(logits)


NETWORKS = {1: network, 2: planes_network}


def file_of(version: int) -> Path:
    """The packed file of a version."""
    return HERE / f"packed_v{version}.bnn"


def logits_of(version: int) -> Path:
    """Its logits for ``pixels``, as JSON."""
    return HERE / f"packed_v{version}.json"


def norm(m: Maker, name: str, channels: int) -> tuple[str, str]:
    return m.reals(f"{name}.a", channels, scale=0.3), m.reals(f"{name}.b", channels)


def conv(
    m: Maker, name: str, source: int, kind: Any, outputs: int, *, geometry: Geometry = SAME, **fields: Any
) -> None:
    weight = m.weight(name, kind, outputs, geometry, m.values[source].channels)
    if "thresholds" in fields:
        code, spread, exact = fields["thresholds"]
        fields["thresholds"] = m.thresholds(name, code, outputs, spread, exact=exact, flip=True)
    factors = m.input_factors(name, source)
    step = Conv(layer=name, input=source, weight=weight, geometry=geometry, input_factors=factors, **fields)
    m.steps.append(step)


def write_missing() -> None:
    """Write the file and the logits of every version that has none."""
    for version, build in NETWORKS.items():
        if file_of(version).exists():
            continue
        made = build()
        container.write(file_of(version), header_of(made), made.tensors)
        logits = load(file_of(version), isa="reference")(pixels()).tolist()
        logits_of(version).write_text(json.dumps(logits, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_missing()
