"""The tables of names as they were, after a test that registers some."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bnn_train.config import plugins
from bnn_train.config.schema import Data, Experiment
from bnn_train.spec import outside
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.method import ActivationSpec, Method, WeightSpec
from bnn_train.spec.methods import ENTRIES, METHODS
from bnn_train.spec.networks import NETWORKS
from bnn_train.spec.record import Record

TABLES: tuple[dict[Any, Any], ...] = (ENTRIES, METHODS, NETWORKS, DATASETS, outside.MAKERS, outside.ORIGINS)
FIELDS: tuple[tuple[type[Record], str], ...] = (
    (Experiment, "model"),
    (Data, "name"),
    (WeightSpec, "quantizer"),
    (ActivationSpec, "quantizer"),
)


def forget() -> None:
    """The example package, loaded or not."""
    plugins.load_plugins.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "bnn_example"]:
        del sys.modules[name]


@contextmanager
def restored() -> Iterator[None]:
    """What is registered inside is forgotten at the end."""
    tables = [dict(table) for table in TABLES]
    fields = [owner.model_fields[key].annotation for owner, key in FIELDS]
    forget()
    try:
        yield
    finally:
        for table, before in zip(TABLES, tables, strict=True):
            table.clear()
            table.update(before)
        for (owner, key), annotation in zip(FIELDS, fields, strict=True):
            owner.model_fields[key].annotation = annotation
        plugins._rebuild(WeightSpec, ActivationSpec, Method, Data, Experiment)
        forget()
