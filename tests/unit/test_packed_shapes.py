"""Sizes of windows against PyTorch's, border classes against their definition."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bnn_train.packed.program import Geometry
from bnn_train.packed.shapes import axes, border_classes, output_size, taps

CASES = [
    (size, kernel, stride, padding, dilation)
    for size, kernel, stride, padding, dilation in product(
        (1, 2, 5, 8), (1, 2, 3), (1, 2, 3), (0, 1, 3), (1, 2)
    )
    if size + 2 * padding >= dilation * (kernel - 1) + 1
]


def geometry_of(kernel: int, stride: int, padding: int, dilation: int) -> Geometry:
    """The rows as given, the columns 1×1."""
    return Geometry(kernel=(kernel, 1), stride=(stride, 1), padding=(padding, 0), dilation=(dilation, 1))


def test_output_sizes_are_pytorchs() -> None:
    for size, kernel, stride, padding, dilation in CASES:
        x, w = torch.zeros(1, 1, size, 1), torch.zeros(1, 1, kernel, 1)
        y = F.conv2d(x, w, None, (stride, 1), (padding, 0), (dilation, 1))
        assert output_size(geometry_of(kernel, stride, padding, dilation), size, 1) == tuple(y.shape[2:])


def test_pooled_sizes_are_pytorchs() -> None:
    for size, kernel, stride, padding, dilation in CASES:
        if padding > kernel // 2:
            continue
        for ceil in (False, True):
            x = torch.zeros(1, 1, size, 1)
            y = F.max_pool2d(x, (kernel, 1), (stride, 1), (padding, 0), (dilation, 1), ceil_mode=ceil)
            assert output_size(geometry_of(kernel, stride, padding, dilation), size, 1, ceil) == tuple(
                y.shape[2:]
            )


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CASES)
def test_taps_and_border_classes(size: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    geometry = geometry_of(kernel, stride, padding, dilation)
    steps = output_size(geometry, size, 1)[0]
    seen = [
        tuple(k for k in range(kernel) if 0 <= i * stride - padding + k * dilation < size)
        for i in range(steps)
    ]
    order = list(dict.fromkeys(seen))
    rows, columns, row_count, column_count = border_classes(geometry, size, 1)
    assert rows.tolist() == [order.index(s) for s in seen]
    assert (columns.tolist(), row_count, column_count) == ([0], len(order), 1)

    found = {(i, k) for i, inside in enumerate(seen) for k in inside}
    reached = set()
    for tap in taps(geometry, (size, 1), (steps, 1)):
        outputs, inputs = range(steps)[tap.outputs[0]], range(size)[tap.inputs[0]]
        for i, at in zip(outputs, inputs, strict=True):
            assert at == i * stride - padding + tap.row * dilation
            reached.add((i, tap.row))
    assert reached == found

    first, end = axes(geometry, size, 1)[0].taps_inside(steps)
    assert [tuple(range(a, b)) for a, b in zip(first, end, strict=True)] == seen


def test_the_number_of_border_classes() -> None:
    rows, columns, row_count, column_count = border_classes(Geometry(kernel=(3, 3), padding=(1, 1)), 5, 1)
    assert (rows.tolist(), row_count) == ([0, 1, 1, 1, 2], 3)
    assert (columns.tolist(), column_count) == ([0], 1)


def test_sizes_do_not_overflow() -> None:
    geometry = Geometry(kernel=(1, 1), padding=(2**24, 2**24))
    assert output_size(geometry, 2**24, 2**24) == (3 * 2**24, 3 * 2**24)
    assert np.prod(np.array(output_size(geometry, 2**24, 2**24), dtype=object)) == 9 * 2**48
