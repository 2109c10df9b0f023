"""The instruction set of the packed kernels that training runs on, and who must not meet them."""

from __future__ import annotations

import os

import torch

from bnn_train.packed import native
from bnn_train.packed.kernels import asked_for

SWITCH = "BNN_TRAIN_KERNEL"
"""Environment variable: ``off`` keeps training on PyTorch's own convolutions."""


def chosen() -> str | None:
    """The instruction set that the environment asks training products to run on, or None."""
    found = native.available()
    if not found or os.environ.get(SWITCH) == "off" or asked_for() == "reference":
        return None
    wanted = asked_for() or found[0]
    return wanted if wanted in found else None


_KERNEL = chosen()
"""Looked up once, on import: a compiler that traces a network finds a constant here and no library."""


def kernel() -> str | None:
    """The instruction set that training products run on, or None: then PyTorch multiplies."""
    return _KERNEL


_exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)  # torch 2.7 has the first


def exporting() -> bool:
    """Whether an exporter listens: other programs know PyTorch's operators, not these."""
    return bool(torch.jit.is_tracing() or _exporting())  # type: ignore[attr-defined, no-untyped-call]  # in torch


def traced() -> bool:
    """Whether an exporter or a compiler listens."""
    return exporting() or torch.compiler.is_compiling()
