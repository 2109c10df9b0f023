"""Tables from the options of an axis to the object that they build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from bnn_train.spec.outside import maker_of
from bnn_train.spec.record import Record

T = TypeVar("T")


class Table(Generic[T]):
    """One axis: the class of options → the class of objects."""

    def __init__(self) -> None:
        self.rows: dict[type[Record], Callable[..., T]] = {}

    def builds(self, spec: type[Record]) -> Callable[[type[T]], type[T]]:
        """A decorator: objects of this class are built from such options."""

        def register(built: type[T]) -> type[T]:
            self.rows[spec] = built
            return built

        return register

    def build(self, spec: Record, *arguments: Any) -> T:
        """The object of some options."""
        return self.built_from(type(spec))(spec, *arguments)

    def built_from(self, spec: type[Record]) -> Callable[..., T]:
        """The class of objects that such options build, a plug-in's among them."""
        made: Callable[..., T] = self.rows.get(spec) or maker_of(spec)
        return made
