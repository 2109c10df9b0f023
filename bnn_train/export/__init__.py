"""Trained networks in other formats. The package can be called: ``bnn_train.export(checkpoint, out)``."""

from __future__ import annotations

import sys
from pkgutil import resolve_name
from types import ModuleType
from typing import Any


class _Export(ModuleType):
    """The package under whose name ``bnn_train`` has a function, too: importing one would hide the other."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return resolve_name("bnn_train.api:export")(*arguments, **options)


sys.modules[__name__].__class__ = _Export
