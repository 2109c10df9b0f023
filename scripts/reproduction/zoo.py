"""Every method on one network: the board on CIFAR-10, and a small one on the embedded digits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bnn_train.config.loader import load
from bnn_train.spec.method import Method
from bnn_train.spec.methods import ENTRIES, METHODS
from reproduction.table import Row, Stage, Table

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
BOARD = "cifar10/fp_resnet20_board"
TWIN = "twin-of-"
_SOLVED = "starts from a trained network, which is another budget"
NO_BOARD: dict[str, str] = {
    "bwnh": _SOLVED,
    "qcnn": _SOLVED,
    "ternary_residual": _SOLVED,
    "tsq": _SOLVED,
    "groupnet": "has five networks in one, which is another budget",
    "ebp": "has formulas for dense layers alone",
    "tea": "wants a plain chain without norms, which a residual network is not",
    "meliusnet22": "is another network; its axes are those of binarydensenet28",
    "reactnet_a": "is another network; its axes are those of reactnet",
}
"""Rows that the board's network has no place for, and why."""
WANTS: dict[str, tuple[str, ...]] = {
    "bop": ("optimizer.binary={name: bop, threshold: 1.0e-6, gamma: 1.0e-3}",),
    "rsgd": ("optimizer.binary={name: rsgd, rate: 100}",),
}
"""Settings that a row needs beside its name, laid over the board's config."""
STAGED: dict[str, tuple[Stage, ...]] = {}
"""Trainings before that of a row."""
FAMILY = ("block", "norm")
"""The sections that a real-valued twin has in common with its method."""


def twin_of(name: str) -> str:
    """The row of the real-valued network with the same blocks and norms: the first that has them."""
    same = (other for other in METHODS if _family(METHODS[other]) == _family(METHODS[name]))
    first = next(other for other in same if other not in NO_BOARD)
    return "fp" if first == "fp" else f"{TWIN}{first}"


def _family(method: Method) -> tuple[object, ...]:
    return tuple(getattr(method, section) for section in FAMILY)


def _twin(name: str) -> Row:
    """The real-valued row of a method's blocks and norms."""
    dumped = METHODS[name].model_dump(mode="json", by_alias=True)
    method = {"name": "fp", **{section: dumped[section] for section in FAMILY}}
    return Row(name=f"{TWIN}{name}", config=BOARD, overrides=(f"method={json.dumps(method)}",))


def _board() -> Iterator[Row]:
    yield Row(name="fp", config=BOARD, remark="")
    for name in ENTRIES:
        if name in NO_BOARD or name == "fp":
            continue
        overrides = (f"method={name}", *WANTS.get(name, ()))
        yield Row(name=name, config=BOARD, overrides=overrides, stages=STAGED.get(name, ()))
    for twin in dict.fromkeys(twin_of(name) for name in METHODS if name not in NO_BOARD):
        if twin != "fp":
            yield _twin(twin.removeprefix(TWIN))


def _digits() -> Iterator[Row]:
    """The rows that start from scratch, each as its own start says; those of several stages are left out."""
    for name, entry in ENTRIES.items():
        config = entry.start.removesuffix(".yaml")
        if load(CONFIGS / entry.start).training.init_from is None:
            overrides = (f"method={name}",) if config == "quickstart" else ()
            yield Row(name=name, config=config, overrides=overrides)


def zoo_tables() -> tuple[Table, ...]:
    """Both."""
    return (
        Table(
            name="board",
            title="CIFAR-10, ResNet-20: every method under one budget",
            folder="cifar10",
            rows=tuple(_board()),
        ),
        Table(
            name="digits",
            title="Embedded digits: every method that starts from scratch",
            folder="digits",
            rows=tuple(_digits()),
        ),
    )
