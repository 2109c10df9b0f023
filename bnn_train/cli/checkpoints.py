"""The file behind a command's ``--checkpoint``."""

from __future__ import annotations

from bnn_train.inspect.checkpoints import find, is_packed

__all__ = ["find", "is_packed"]
