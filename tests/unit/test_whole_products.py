"""Where a GPU may round a product to whole numbers: only where both sides are such."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bnn_train.binary import product
from bnn_train.binary.layers import BinaryLinear


@pytest.mark.parametrize(
    ("method", "dropout", "training", "whole"),
    [
        ("bnn", 0.0, True, True),
        ("bnn", 0.5, False, True),
        ("bnn", 0.5, True, False),  # what is left is divided by its share
        ("self_binarizing", 0.0, True, False),
        ("self_binarizing", 0.0, False, True),
        ("lowprec", 0.0, True, False),
    ],
)
def test_only_sums_of_whole_numbers_are_rounded(
    method: str, dropout: float, training: bool, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    real = product.exact

    def watched(*tensors: Any, whole: bool, **options: Any) -> torch.Tensor:
        told.append(whole)
        return real(*tensors, whole=whole, **options)

    monkeypatch.setattr(product, "exact", watched)
    BinaryLinear(8, 4, method=method, role="body", dropout=dropout).train(training)(torch.randn(2, 8))
    assert told == [whole]
