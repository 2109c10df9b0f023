"""The grid of programs: each keeps the format's rules, and its thresholds really divide what they see."""

from __future__ import annotations

import numpy as np

from bnn_train.packed import bits
from bnn_train.packed.reference.engine import build
from bnn_train.packed.validate import check
from packed_grid import grid
from packed_programs import header_of, random_input


def test_the_grid_keeps_the_rules() -> None:
    names = []
    for name, made in grid():
        check(header_of(made), made.tensors)
        names.append(name)
    assert len(set(names)) == len(names) > 300


def test_the_grid_tells_engines_apart() -> None:
    """Were all bits of a case alike, a wrong product would pass."""
    shares = []
    for name, made in grid():
        conv = next((i for i, s in enumerate(made.program.steps) if s.layer == "conv"), None)
        step = None if conv is None else made.program.steps[conv]
        if conv is None or step is None or step.op != "conv" or step.bits is None or len(name) % 4:
            continue
        engine, values = build(made.program, made.tensors), {0: random_input(made.program)}
        for i in range(conv + 1):
            values.update(engine.step(i, values, 1))
        channels = made.program.values[step.bits].channels
        shares.append(float(bits.unpack_words(values[step.bits], channels).mean()))
    assert len(shares) > 40
    assert np.mean([0.1 < share < 0.9 for share in shares]) > 0.9
