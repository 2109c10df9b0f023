"""The quantizers, a file each. A file here is part of the table by being here."""

from __future__ import annotations

from pkgutil import iter_modules, resolve_name

from bnn_train.binary.quantizers.base import QUANTIZERS, Codes, Quantizer
from bnn_train.spec.quantizers import Quantizer as QuantizerSpec

__all__ = ["QUANTIZERS", "Codes", "Quantizer", "quantizer"]

for _module in iter_modules(__path__):
    resolve_name(f"{__name__}.{_module.name}")


def quantizer(spec: QuantizerSpec, *arguments: int) -> Quantizer:
    """The object that some options build."""
    return QUANTIZERS.build(spec, *arguments)
