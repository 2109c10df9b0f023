"""Packed networks: one file, read and run with numpy and our kernels alone; torch need not be installed.

from bnn_train.packed import load
logits = load("model.bnn")(images)        # uint8 N×H×W×C, or a list of files
"""

from __future__ import annotations

from bnn_train.packed.runtime import PackedModel, load

__all__ = ["PackedModel", "load"]
