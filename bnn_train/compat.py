"""Make torchvision importable beside a CPU build of torch.

The torchvision wheel on PyPI is built for CUDA. Beside a CPU-only torch its compiled operators do not
load, and torchvision 0.28 then stops on import, because it describes two operators that are not there:
``torchvision::nms`` and ``torchvision::qnms``. Declaring both is enough for its readers, transforms and
networks, which are Python; calling the operators themselves still fails.
"""

from __future__ import annotations

import torch

_MISSING = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> None:
    """Call before the first ``import torchvision`` in a process; changes nothing where that works.

    The plain import comes first: an operator declared beforehand would clash with the compiled one of a
    torchvision that fits.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        _declare()
        import torchvision  # noqa: F401  # only whether it imports


def _declare() -> None:
    for name in _MISSING:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)
