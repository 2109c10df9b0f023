"""Makes the packed file that ``test_packed_file`` reads.

    PYTHONPATH=.:tests python tests/golden/packed_file.py

Only for a new version of the format, under a new name: files of version 1 stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bnn_train.packed import container, load
from bnn_train.packed.program import Conv, Epilogue, Geometry, Map, Pool
from packed_programs import SIGN, TERNARY, UNSIGNED_2, Made, Maker, header_of

HERE = Path(__file__).parent
FILE, LOGITS = HERE / "packed_v1.bnn", HERE / "packed_v1.json"
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


def norm(m: Maker, name: str, channels: int) -> tuple[str, str]:
    return m.reals(f"{name}.a", channels, scale=0.3), m.reals(f"{name}.b", channels)


def conv(
    m: Maker, name: str, source: int, kind: Any, outputs: int, *, geometry: Geometry = SAME, **fields: Any
) -> None:
    weight = m.weight(name, kind, outputs, geometry, m.values[source].channels)
    if "thresholds" in fields:
        code, spread, exact = fields["thresholds"]
        fields["thresholds"] = m.thresholds(name, code, outputs, spread, exact=exact, flip=True)
    m.steps.append(Conv(layer=name, input=source, weight=weight, geometry=geometry, **fields))


if __name__ == "__main__":
    made = network()
    container.write(FILE, header_of(made), made.tensors)
    logits = load(FILE, kernel="reference")(pixels()).tolist()
    LOGITS.write_text(json.dumps(logits, indent=1) + "\n", encoding="utf-8")
