"""bnn_train: train, evaluate, export and run binarized image classifiers.

The names below are imported when they are first asked for, so that ``import bnn_train`` needs no torch.
``API.md`` tells how to use them.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "api": ("Run", "Trained", "build_model", "evaluate", "experiment", "load", "train"),
    "binary.convert": ("binarize",),
    "binary.input_quantizer": ("InputQuantizer",),
    "binary.latent": ("enforce",),
    "binary.layers": ("BinaryConv2d", "BinaryLinear", "binary_layers"),
    "binary.placed": ("place",),
    "binary.weight_quantizer": ("WeightQuantizer",),
    "config.plugins": ("register_dataset", "register_method", "register_network", "register_quantizer"),
    "config.schema": ("Experiment",),
    "errors": ("BnnError",),
    "inspect.evaluation": ("Evaluation",),
    "packed": ("PackedModel",),
    "prediction": ("classifier", "predict"),
    "spec.annealed": ("Position",),
    "spec.method": ("Method",),
    "spec.methods": ("METHODS",),
}
_PLACES = {name: f"bnn_train.{home}:{name}" for home, names in _HOMES.items() for name in names}
_PLACES["export"] = "bnn_train.export"  # a package that can be called

__all__ = ["__version__", *sorted(_PLACES)]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = resolve_name(_PLACES[name])
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
