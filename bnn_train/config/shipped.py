"""The configs that come with the package, by name: ``quickstart``, ``mnist/bnn_mlp``, ``bnn_mlp.yaml``."""

from __future__ import annotations

import difflib
import os
import re
from functools import cache
from pathlib import Path

from bnn_train.errors import ConfigError, RunError, printable
from bnn_train.files import expanded, write_atomic

_PACKAGE = Path(__file__).resolve().parents[1]
FOLDER = next(
    (place for place in (_PACKAGE / "configs", _PACKAGE.parent / "configs") if place.is_dir()),
    _PACKAGE / "configs",
)
"""In an installation they lie inside the package, in a checkout beside it."""
ENDING = ".yaml"
_EXTENDS = re.compile(rf"^extends: *(\S+{ENDING})", re.MULTILINE)


@cache
def shipped() -> dict[str, Path]:
    """Every shipped config by its name, without ending: ``mnist/bnn_mlp`` → its file. Empty if they were
    removed."""
    paths = sorted(FOLDER.rglob(f"*{ENDING}"))
    return {_name(path.relative_to(FOLDER)): path for path in paths}


def named(word: Path | str) -> Path | None:
    """The shipped config of this name; its folder may be left out where one config alone has the name.

    Raises ConfigError for a name that several have.
    """
    known, name = shipped(), _name(Path(word))
    ends = [name] if name in known else [other for other in known if other.endswith(f"/{name}")]
    if len(ends) > 1:
        raise ConfigError([f"{word}: no such file, and {len(ends)} shipped configs: {', '.join(ends)}"])
    return known[ends[0]] if ends else None


def resolved(word: Path | str) -> Path:
    """The file that a user's word means: the path, if a file lies there, else the shipped config of that
    name; a word that is neither, as a path. Raises ConfigError for a name that several configs have."""
    path = expanded(word)
    if path.exists() and not path.is_dir():
        return path
    return named(path) or path


def nearest(word: Path | str) -> str | None:
    """The name of the shipped config that a misspelled word may have meant."""
    name, known = _name(Path(word)), shipped()
    if close := difflib.get_close_matches(name, known, n=1):
        return close[0]
    lasts = {other.rpartition("/")[2]: other for other in known}
    close = difflib.get_close_matches(name.rpartition("/")[2], lasts, n=1)
    return lasts[close[0]] if close else None


def copy_config(word: str, target: Path | None) -> Path:
    """Copy a shipped config to a file or folder of the user's (default: its own name, here); the file made.
    What it extends it still finds, by name.

    Raises BnnError for an unknown name, and rather than overwrite a file.
    """
    source = named(word)
    if source is None:
        close = nearest(word)
        hint = f"did you mean {close}?" if close else "bnn-train --list names them"
        raise RunError(f"--copy-config {printable(word)}: no such shipped config; {hint}")
    copy = _place(source, target)
    if copy.exists():
        raise RunError(f"{copy}: exists already; name another place: --copy-config {word} DEST")
    copy.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(
        copy,
        _EXTENDS.sub(
            lambda found: f"extends: {_parent(source, found[1])}", source.read_text(encoding="utf-8")
        ),
    )
    return copy


def _place(source: Path, target: Path | None) -> Path:
    if target is None:
        return Path(source.name)
    is_folder = target.is_dir() or target.suffix not in (".yaml", ".yml")
    return target / source.name if is_folder else target


def _parent(source: Path, name: str) -> str:
    """The shipped name of what a shipped config extends."""
    return Path(os.path.normpath(source.parent / name)).relative_to(FOLDER).as_posix()


def _name(path: Path) -> str:
    """``configs/mnist/bnn_mlp.yaml`` → ``mnist/bnn_mlp``."""
    parts = path.parts[1:] if path.parts[:1] == (FOLDER.name,) else path.parts
    return Path(*parts).with_suffix("").as_posix() if path.suffix == ENDING else Path(*parts).as_posix()
