"""The objects of rows that other packages and scripts brought, and who brought which."""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

from bnn_train.errors import BnnError

Maker = Callable[..., Any] | str
"""A function or class, or where it lies as ``package.module:name``, for one that imports torch."""

MAKERS: dict[object, Maker] = {}
"""Makers of networks and quantizers by the class of their options, readers of data sets by name."""
ORIGINS: dict[tuple[str, str], str] = {}
"""By kind and name, the package that brought it with its version; empty for a script."""


def maker_of(key: object) -> Callable[..., Any]:
    """The function behind a row from outside. Raises BnnError where its module has none, KeyError for a row
    of our own."""
    maker = MAKERS[key]
    if not isinstance(maker, str):
        return maker
    try:
        found: Callable[..., Any] = resolve_name(maker)
    except (ImportError, AttributeError, ValueError) as error:
        raise BnnError(f"{maker}, which a plug-in registered, cannot be imported: {error}") from None
    return found
