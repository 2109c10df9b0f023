"""Methods, networks, data sets and quantizers of other packages: by registration, and by entry points.

A package names a function under the entry points ``bnn_train.plugins``; it is called before the first config
is read, and registers what the package brings. A script may register at any time.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, Union, get_args

from bnn_train.config.schema import Experiment
from bnn_train.config.sections import homes
from bnn_train.errors import BnnError
from bnn_train.spec.data import Data
from bnn_train.spec.datasets import DATASETS, Dataset
from bnn_train.spec.method import ActivationSpec, Method, WeightSpec
from bnn_train.spec.methods import ENTRIES, METHODS, Entry
from bnn_train.spec.network_options import Options
from bnn_train.spec.networks import NETWORKS
from bnn_train.spec.outside import MAKERS, ORIGINS, Maker
from bnn_train.spec.quantizer import Quantizer
from bnn_train.spec.record import Record

GROUP = "bnn_train.plugins"
SWITCH = "BNN_PLUGINS"
"""Set to ``off`` in the environment, no entry point is loaded."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_loading: list[str] = []
"""The package whose entry point is being loaded."""


def register_method(method: Method, *, title: str = "", year: int | None = None, **more: Any) -> Method:
    """Add a row to the table of methods; ``more``: fields of an ``Entry``, as ``parent`` or ``published``.

    Raises ValueError for a name that is taken, or is none.
    """
    _claim("method", method.name, METHODS)
    row = {"title": title or method.name, "year": year or datetime.date.today().year, **more}
    ENTRIES[method.name] = Entry(method=method, **row)
    METHODS[method.name] = method
    return method


def register_network(options: type[Options], build: Maker) -> None:
    """Add a network: the class of its options, whose ``name`` is a ``Literal``, and the function (options,
    layers, shape C×H×W, classes) → ``nn.Module``, or where it lies as ``package.module:name``.

    Raises ValueError for a name that is taken, or is none.
    """
    name = _claim("network", _name_of(options), NETWORKS)
    _extend(Experiment, "model", options)
    NETWORKS[name], MAKERS[options] = options, build
    _rebuild(Experiment)


def register_dataset(row: Dataset, read: Maker) -> None:
    """Add a data set that fits into memory: its row, and the function (section ``data`` of the config,
    "train" or "test") → images, uint8 N×C×H×W, and labels; or where it lies as ``package.module:name``.

    Raises ValueError for a name that is taken, or is none.
    """
    if row.layout != "tensor":
        raise ValueError(f"data set {row.name}: its layout must be tensor; folders need no registration")
    _claim("data set", row.name, DATASETS)
    DATASETS[row.name], MAKERS[row.name] = row, read
    field = Data.model_fields["name"]
    field.annotation = Literal[tuple(dict.fromkeys((*get_args(field.annotation), row.name)))]  # type: ignore[assignment]
    _rebuild(Data, Experiment)


def register_quantizer(
    options: type[Quantizer], build: Maker, *, weights: bool = False, inputs: bool = False
) -> None:
    """Add a quantizer: the class of its options, and that of its objects (see ``binary/README.md``), or where
    it lies as ``package.module:name``; for ``weights``, for ``inputs`` of layers, or for both.

    Raises ValueError for a name that is taken, or is none.
    """
    sides = [side for side, wanted in ((WeightSpec, weights), (ActivationSpec, inputs)) if wanted]
    name = _name_of(options)
    known = {_name_of(kind): kind for side in sides for kind in _members(side, "quantizer")}
    _claim("quantizer", name, known)
    for side in sides:
        _extend(side, "quantizer", options)
    MAKERS[options] = build
    _rebuild(*sides, Method, Experiment)


def _claim(kind: str, name: str, table: Mapping[str, object]) -> str:
    """The name, free for whoever registers now: a script may run again, and a package be loaded anew."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{kind} {name!r}: a name is made of a–z, 0–9 and _, and begins with a letter")
    owner = ORIGINS.get((kind, name), "bnn_train itself")
    mine = _loading[-1] if _loading else ""
    if name in table and owner != mine:
        raise ValueError(f"{kind} {name!r} is there already, from {owner or 'a script'}; choose another name")
    ORIGINS[kind, name] = mine
    return name


def _name_of(options: type[Record]) -> str:
    words = get_args(options.model_fields["name"].annotation) if "name" in options.model_fields else ()
    if len(words) != 1:
        raise ValueError(f'{options.__name__}: its options need the line `name: Literal["…"]`')
    return str(words[0])


def _members(owner: type[Record], key: str) -> tuple[type[Record], ...]:
    return get_args(owner.model_fields[key].annotation)


def _extend(owner: type[Record], key: str, options: type[Record]) -> None:
    """Let a union of sections have one more, in place of one of its name."""
    others = [kind for kind in _members(owner, key) if _name_of(kind) != _name_of(options)]
    owner.model_fields[key].annotation = Union[(*others, options)]  # type: ignore[assignment]  # made at run time


def _rebuild(*owners: type[Record]) -> None:
    for owner in owners:
        owner.model_rebuild(force=True)
    homes.cache_clear()


# --------------------------------------------------------------------------------- entry points


@cache
def load_plugins() -> tuple[str, ...]:
    """Call every installed package's entry point, once; their names and versions.

    Raises BnnError for one that fails.
    """
    if os.environ.get(SWITCH) == "off":
        return ()
    return tuple(_loaded(point) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name))


def _loaded(point: EntryPoint) -> str:
    origin = point.name if point.dist is None else f"{point.dist.name} {point.dist.version}"
    _loading.append(origin)
    try:
        register: Callable[[], object] = point.load()
        register()
    except Exception as error:  # whatever a foreign package does
        raise BnnError(
            f"plug-in {point.name} of {origin} ({point.value}) cannot be loaded:"
            f" {type(error).__name__}: {error}; repair or uninstall it, or set {SWITCH}=off"
        ) from error
    finally:
        _loading.pop()
    return origin


def origins(experiment: Experiment) -> list[str]:
    """The packages, with versions, without which an experiment cannot be read."""
    return sorted({origin for key in _named(experiment) if (origin := ORIGINS.get(key))})


def _named(experiment: Experiment) -> Iterator[tuple[str, str]]:
    yield "method", experiment.method.name
    yield "network", experiment.model.name
    yield "data set", experiment.data.name
    yield "quantizer", experiment.method.weight.quantizer.name
    yield "quantizer", experiment.method.activation.quantizer.name
