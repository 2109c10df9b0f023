"""Fields that earlier packed files do not have: a header is spelled in one way, and theirs must stay."""

from __future__ import annotations

from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from bnn_train.spec.record import Record

LATER = "later"
"""Marks such a field, in ``Annotated``."""


class Later(Record):
    """A record that leaves such fields out of a dump where they have their default."""

    @model_serializer(mode="wrap")
    def _spelled(self, dumped: SerializerFunctionWrapHandler) -> dict[str, Any]:
        later = {name: f.default for name, f in type(self).model_fields.items() if LATER in f.metadata}
        return {key: value for key, value in dumped(self).items() if later.get(key, dumped) != value}
