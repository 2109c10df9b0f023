"""Options of a format from the command line: ``KEY=VALUE`` as its record reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args, get_origin

from pydantic import ValidationError

from bnn_train.errors import ExportError
from bnn_train.export.targets.target import Target
from bnn_train.spec.record import Record


def parsed(target: Target, pairs: Sequence[str]) -> Record:
    """The options of a format with ``pairs`` for its defaults. Raises ExportError."""
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ExportError(f"--with {pair}: write KEY=VALUE; {_choices(target)}")
        if key not in target.options.model_fields:
            raise ExportError(f"--with {pair}: {target.name} has no option {key}; {_choices(target)}")
        if key in given:
            raise ExportError(f"--with {pair}: {key} is given twice")
        given[key] = value
    try:
        return target.options.model_validate_strings(given, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = str(first["loc"][0])
        raise ExportError(f"--with {key}={given[key]}: {first['msg']}") from None


def described(target: Target) -> list[str]:
    """One line for each option: its values, the default first."""
    return [_line(target.options, key) for key in target.options.model_fields]


def _line(options: type[Record], key: str) -> str:
    field = options.model_fields[key]
    kind = field.annotation
    values = [str(field.default)]
    if get_origin(kind) is Literal:
        values += [str(word) for word in get_args(kind) if word != field.default]
    if kind is bool:
        values.append(str(not field.default))
    told = f": {field.description}" if field.description else ""
    return f"{key}={'|'.join(values)}{told}"


def _choices(target: Target) -> str:
    keys = list(target.options.model_fields)
    return f"its options are {', '.join(keys)}" if keys else f"{target.name} has no options"
