"""Files that an export wrote, of planes, factors and clips, with one thing in them changed: they are
refused in a sentence, or answer as the reference does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bnn_train.packed import container
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.program import Header
from bnn_train.spec.method import Method
from fuzz.attempt import MOST, Way, attempt
from fuzz.cases import Case
from fuzz.damage import Tensors, damage
from fuzz.draw import Draw
from fuzz.heap import Heap
from lowering import header_of, pair, scramble
from method_rows import CHANNELS, ROWS, conv, dense, learned, norm
from native_kernels import kernels  # noqa: F401  # a fixture

SHAPE = (3, 6, 5)
NAMES = ("abcnet", "bases by channel", "pact × bases", "pact 2", "shift")
CHANGES = 80
"""Of each network, on all kernels in turn."""


def network(method: Method) -> nn.Module:
    """6×5 → 6×5 → 3×2 → 1×1 → 5."""
    vector = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense(method, CHANNELS, 12), nn.BatchNorm1d(12))
    body = (conv(method, padding=1, bias=False), nn.MaxPool2d(2), norm(), conv(method, 2), norm())
    return nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1), norm(), *body, *vector, dense(method, 12, 5))


@pytest.fixture(scope="module", params=NAMES)
def exported(request: pytest.FixtureRequest) -> tuple[Header, Tensors]:
    """Header and tensors of an exported network, as its file has them."""
    torch.manual_seed(0)
    made = pair(scramble(learned(network(ROWS[request.param])), SHAPE), SHAPE)
    return container.unpack(container.pack(header_of(made.lowered, SHAPE), made.lowered.tensors))


def test_one_change_of_program_or_tensors(
    exported: tuple[Header, Tensors],
    kernels: tuple[str, ...],  # noqa: F811
    tmp_path: Path,
) -> None:
    found: Counter[str] = Counter()
    for seed in range(CHANGES):
        draw = Draw(seed)
        header, tensors, name = damage(draw, *exported)
        way = Way(kernels[seed % len(kernels)], file=draw.often(0.3), images=2, steps=True, operations=MOST)
        outcome = attempt(Case(seed, header, tensors, broken=name), way, Heap(), tmp_path)
        assert outcome.kind != "wrong", (seed, name, outcome.words)
        assert outcome.kind == "valid" or outcome.words, (seed, name)
        found[outcome.kind] += 1
        found["compared"] += outcome.compared
    assert found["refused"] > CHANGES / 2
    assert found["compared"] > 8


def test_one_changed_byte_of_the_file(exported: tuple[Header, Tensors]) -> None:
    content = container.pack(*exported)
    rng = np.random.default_rng(0)
    for at, bits in zip(rng.integers(0, len(content), 300), rng.integers(1, 256, 300), strict=True):
        changed = bytearray(content)
        changed[at] ^= bits
        with pytest.raises(PackedFileError):
            container.unpack(bytes(changed))
