"""Pydantic's errors as sentences for the person who wrote the config."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Any, get_args

from pydantic_core import ErrorDetails

from bnn_train.config.merge import at
from bnn_train.config.sections import choices, follow, homes, kin
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.methods import METHODS

Mistake = tuple[KeyPath, str]

# What other programs call our keys.
_SYNONYMS = {
    "learning_rate": "lr",
    "dataset": "data",
    "network": "model",
    "arch": "model",
    "criterion": "loss",
    "scheduler": "schedule",
    "transforms": "normalize",
    "num_epochs": "epochs",
}
_NOUNS: dict[KeyPath, str] = {
    ("method",): "method",
    ("model",): "network",
    ("data", "name"): "data set",
    ("optimizer",): "optimizer",
    ("schedule",): "schedule",
    ("loss",): "loss",
}
_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "tuple_type": "a list",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def mistake(error: ErrorDetails, data: Any) -> Mistake:
    """One pydantic error about ``data`` as the user's key path and what is wrong there."""
    path, sentence = _mistake(error)
    return (path[:-1] if path[-1:] == ("name",) and _is_bare_name(data, path[:-1]) else path), sentence


def _is_bare_name(data: Any, path: KeyPath) -> bool:
    """Whether the user wrote ``model: alexnet`` where the schema has ``model: {name: alexnet}``."""
    try:
        return isinstance(at(data, path), str)
    except LookupError:
        return False


def _mistake(error: ErrorDetails) -> Mistake:
    location, kind = error["loc"], error["type"]
    path, annotation, section = follow(location)
    if kind in ("extra_forbidden", "invalid_key"):
        return path, _foreign_key(location, section) or _unknown_key(path, list(section.model_fields))
    if kind == "too_long" or (kind == "missing" and isinstance(path[-1], int)):
        return _wrong_length(location, kind)
    if kind == "missing":
        return path, "is missing" + _listing("choose", _options(path, annotation))
    if kind == "union_tag_not_found":
        return (*path, "name"), "is missing" + _listing("choose", choices(annotation))
    if kind in ("literal_error", "union_tag_invalid", "unknown_method"):
        return _unknown_name(path, error["input"], _options(path, annotation))
    return path, _told(error, "[key]" in location)


def _told(error: ErrorDetails, is_key: bool) -> str:
    kind, value, context = error["type"], described(error["input"]), error.get("ctx", {})
    if kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        return f"must be {word} {_number(context[bound])}, not {value}"
    if is_key:
        return f"this key must be {_KINDS.get(kind, 'a number')}, not {value}"
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}, not {value}"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, not {value}"


def _options(path: KeyPath, annotation: Any) -> list[str]:
    return list(METHODS) if path in (("method",), ("method", "name")) else choices(annotation)


def _unknown_name(path: KeyPath, value: Any, options: list[str]) -> Mistake:
    noun = _NOUNS.get(path)
    if isinstance(value, dict) and "name" in value:
        path, value = (*path, "name"), value["name"]
    hint = _hint(value, options) if isinstance(value, str) else ""
    if noun and isinstance(value, str):
        return path, f"unknown {noun} {quoted(value)}{hint}{_listing('known', options)}"
    return path, f"must be one of {', '.join(options)}, not {described(value)}{hint}"


def _wrong_length(location: KeyPath, kind: str) -> Mistake:
    path, annotation, _ = follow(location[:-1] if kind == "missing" else location)
    wanted, found = len(get_args(annotation)), "fewer" if kind == "missing" else "more"
    return path, f"must be a list of {wanted} values, and this one has {found}"


def _foreign_key(location: KeyPath, section: Any) -> str:
    """Whose a key is that another section of the same place has, or nothing."""
    key, kinds = str(location[-1]), kin(location)
    owners = [name for name, kind in kinds.items() if key in kind.model_fields]
    own = next((name for name, kind in kinds.items() if kind is section), "")
    return f"belongs to {' and '.join(owners)}, not to {own}; remove it" if owners and own else ""


def _unknown_key(path: KeyPath, keys: list[str]) -> str:
    key = str(path[-1])
    told = f"unknown key{strange(key)}"
    close = _close(key, keys)
    if close:
        return f"{told} (did you mean {close}?)"
    synonym = _close(key, list(_SYNONYMS))
    elsewhere = homes().get(_SYNONYMS.get(synonym, "") or key, [])
    if elsewhere:
        return f"{told} (did you mean {' or '.join(elsewhere[:2])}?)"
    return told + _listing("possible keys", keys)


def _close(word: str, options: Sequence[str]) -> str:
    """The option most like the word, or nothing."""
    plain = {option.lower(): option for option in options}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), plain, n=1, cutoff=0.7)
    return plain[close[0]] if close else ""


def _hint(value: str, options: list[str]) -> str:
    close = _close(value, options)
    return f"{strange(value)} (did you mean {close}?)" if close else strange(value)


def _listing(word: str, options: list[str]) -> str:
    return f"; {word}: {', '.join(options)}" if options else ""


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def strange(text: str) -> str:
    """The code points of letters that only look like the ones meant: ``, with U+0430``, or nothing."""
    odd = [f"U+{ord(letter):04X}" for letter in text if not letter.isascii() or not letter.isprintable()]
    return f", with {', '.join(odd[:3])}" if odd else ""


def shown(path: KeyPath) -> str:
    """``data.normalize.0.name``, without letters that would break the line."""
    text = ".".join(str(key) for key in path)
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def quoted(value: Any) -> str:
    """A value in quotes, cut at 60 letters."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "…")


_DESCRIPTIONS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "nothing",
    bool: lambda value: str(value).lower(),
    str: lambda value: f"the text {quoted(value)}",
    list: lambda value: "a list",
    tuple: lambda value: "a list",
    dict: lambda value: "a mapping of keys",
}


def described(value: Any) -> str:
    """A wrong value in words: ``the text '128'``, ``a list``, ``nothing``, ``3.5``."""
    return _DESCRIPTIONS.get(type(value), repr)(value)
