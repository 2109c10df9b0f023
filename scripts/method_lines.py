"""Lines of product code that each method brought in, as a section of configs/METHODS.md.

    python scripts/method_lines.py

Of a row: its ``Method``, and what no row before it (parents first, then by year) uses of the options and
objects on its axes, its optimizer and the terms of its loss, helpers among them; apart from that what its
``Entry`` tells of the paper.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import iter_modules, resolve_name
from statistics import median
from typing import Any

from pydantic import BaseModel

from bnn_train.binary.estimators import ESTIMATORS
from bnn_train.binary.output_gradients import OUTPUT_GRADIENTS
from bnn_train.binary.output_scales import OUTPUT_SCALES
from bnn_train.binary.pre import PRES
from bnn_train.binary.progress import PROGRESS
from bnn_train.binary.quantizers import QUANTIZERS
from bnn_train.binary.scales import SCALES
from bnn_train.cli.common import say
from bnn_train.config.loader import load
from bnn_train.report.markdown import table
from bnn_train.spec import methods
from bnn_train.spec.method import Method
from bnn_train.spec.methods import ENTRIES, Entry
from definitions import Lines, Part, counted, module, reached, used, value_of

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FOLDERS = tuple(
    f"bnn_train.{folder}" for folder in ("spec", "binary", "training.losses", "training.optimizers")
)
"""Where a method's code stands."""
OBJECTS: dict[type, Any] = {
    options: built
    for axis in (QUANTIZERS, PRES, ESTIMATORS, SCALES, OUTPUT_SCALES, OUTPUT_GRADIENTS, PROGRESS)
    for options, built in axis.rows.items()
}
"""By the class of its options, what an axis builds."""
WORDS = {
    "weight.gradient": ("bnn_train.binary.gradients", "GRADIENTS"),
    "weight.gain": ("bnn_train.binary.gradients", "GAINS"),
    "latent.init": ("bnn_train.binary.inits", "INITS"),
    "latent.lr_scale": ("bnn_train.binary.latent", "COEFFICIENTS"),
    "block.post_add_activation": ("bnn_train.binary.nonlinear", "STREAMS"),
    "block.conv_activation": ("bnn_train.binary.nonlinear", "STREAMS"),
    "norm.kind": ("bnn_train.binary.factory", "NORMS_2D"),
    "loss": ("bnn_train.training.losses.base", "BASES"),
    "terms": ("bnn_train.training.losses.table", "TERMS"),
    "optimizer": ("bnn_train.training.optimizers.assembly", "KINDS"),
}
"""Axes whose objects stand in a table by a word, and where."""
SHARED = (
    ("bnn_train.spec.methods.entry", ("Entry", "Published", "variant")),
    ("bnn_train.spec.method", ("Method",)),
    ("bnn_train.binary.layers", ("BinaryConv2d", "BinaryLinear")),
    ("bnn_train.binary.quantizers.base", ("Quantizer", "QUANTIZERS")),
    ("bnn_train.binary.output_scales", ("OutputScale",)),
    ("bnn_train.training.losses.terms", ("Term",)),
    ("bnn_train.training.optimizers.kind", ("Kind",)),
    ("bnn_train.spec.optimizers", ("Adam", "AdaMax", "SGD")),
    ("bnn_train.spec.learning", ("CrossEntropy", "SquareHinge")),
)
SHARED_WORDS = {"optimizer": ("adam", "adamax", "sgd"), "loss": ("cross_entropy", "square_hinge")}
"""The base of every method: the layers, bases of the axes, torch's optimizers, the base losses."""


@dataclass(frozen=True)
class Brought:
    """The lines of one row."""

    row: Lines
    """The ``Method``."""
    axes: Lines
    told: Lines
    """Lines of documentation in both."""
    paper: Lines
    """The rest of the ``Entry``: title, year, parent, published numbers, note."""
    new: tuple[str, ...]
    """The classes that it brought in."""

    @property
    def code(self) -> int:
        """Without documentation."""
        return len(self.row | self.axes)

    @property
    def all(self) -> int:
        """With documentation and what the field knows of it."""
        return len(self.row | self.axes | self.told | self.paper)


def _named(path: str, *names: str) -> Iterator[Part]:
    yield from (Part(path, module(path).definitions[name]) for name in names)


def _written(name: str) -> Part:
    """The expression that is a row, in the ``ROWS`` of its file."""
    for file in iter_modules(methods.__path__):
        path = f"{methods.__name__}.{file.name}"
        rows: tuple[Entry, ...] = getattr(resolve_name(path), "ROWS", ())
        names = [row.name for row in rows]
        if name in names:
            listed = value_of(module(path).definitions["ROWS"])
            if isinstance(listed, ast.Tuple) and len(listed.elts) == len(rows):
                return Part(path, listed.elts[names.index(name)])
    raise ValueError(f"{name} is no element of the tuple ROWS of a file")


def _method_in(entry: Part) -> Iterator[Part]:
    """The parts of a row's expression that make the method: ``method=…`` of an Entry, or a helper's first."""
    call = entry.node
    if not isinstance(call, ast.Call):
        raise ValueError(f"{entry.module}: a row that is no call")
    named = (word.value for word in call.keywords if word.arg == "method")
    made = Part(entry.module, next(named, None) or call.args[0])
    yield from used(made, FOLDERS) if isinstance(made.node, ast.Name) else [made]


def _of_word(axis: str, word: str) -> Iterator[Part]:
    """The value behind a word in an axis's table."""
    path, name = WORDS[axis]
    listed = value_of(module(path).definitions[name])
    if not isinstance(listed, ast.Dict):
        raise ValueError(f"{path}.{name} is no dict that is written out")
    for key, value in zip(listed.keys, listed.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == word:
            yield Part(path, value)


def _of_options(options: BaseModel) -> Iterator[Part]:
    """The classes of some options and of the object that they build, and of those inside."""
    for one in (type(options), OBJECTS.get(type(options))):
        if one is not None:
            yield from _named(one.__module__, one.__name__)
    for value in dict(options).values():
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, BaseModel):
                yield from _of_options(inner)


def _of_method(method: Method) -> Iterator[Part]:
    yield from _of_options(method)
    for axis in WORDS:
        section, _, key = axis.partition(".")
        if key:
            yield from _of_word(axis, getattr(getattr(method, section), key))


def _of_config(start: str) -> Iterator[Part]:
    """The optimizers and the loss that a config trains with."""
    experiment = load(CONFIGS / start)
    optimizer, loss = experiment.optimizer, experiment.loss
    for section in (optimizer, *((optimizer.binary,) if optimizer.binary else ())):
        yield from _named(type(section).__module__, type(section).__name__)
        yield from _of_word("optimizer", section.name)
    yield from _of_word("loss", loss.name)
    for term in loss.terms:
        yield from _named(type(term).__module__, type(term).__name__)
        yield from _of_word("terms", term.name)


def _parents_first() -> list[str]:
    order: list[str] = []

    def take(name: str) -> None:
        if name and name not in order:
            take(ENTRIES[name].parent)
            order.append(name)

    for name in ENTRIES:
        take(name)
    return order


def brought() -> Mapping[str, Brought]:
    """By row, what it brought in; the real-valued twin's is what all of them share, and not counted."""
    known = {part for path, name in WORDS.values() for part in _named(path, name)}
    shared = [part for path, names in SHARED for part in _named(path, *names)]
    shared += [part for axis, words in SHARED_WORDS.items() for w in words for part in _of_word(axis, w)]
    reached(iter([*shared, *_of_method(Method(name=""))]), FOLDERS, known)
    found: dict[str, Brought] = {}
    for name in _parents_first():
        entry = ENTRIES[name]
        written = _written(name)
        parts = reached(_method_in(written), FOLDERS, known)
        around = reached(iter([written]), FOLDERS, known)
        parts += reached(_of_method(entry.method), FOLDERS, known)
        parts += reached(_of_config(entry.start), FOLDERS, known)
        own = [part for part in parts if part.module.startswith(methods.__name__)]
        others = [part for part in parts if part not in own]
        (row, row_told), (axes, axes_told), (entry_lines, _) = counted(own), counted(others), counted(around)
        new = dict.fromkeys(part.node.name for part in others if isinstance(part.node, ast.ClassDef))
        classes = tuple(n for n in new if n[0] != "_")
        found[name] = Brought(row, axes, row_told | axes_told, entry_lines - row, classes)
    return {name: found[name] for name in ENTRIES if ENTRIES[name].parent}


def lines_section() -> str:
    """How it is counted, the medians, and the table of all added rows."""
    rows = brought()
    medians = [
        median(count)
        for count in zip(
            *((len(b.row), len(b.axes), b.code, b.code + len(b.paper), b.all) for b in rows.values()),
            strict=True,
        )
    ]
    code = [one.code for one in rows.values()]
    words = (
        "Counted by `python scripts/method_lines.py`: lines of product code, without blank ones, comments,"
        " docstrings and imports. row: the `Method`. axes: options and objects of the axes, of the optimizer"
        " and of the terms of the loss (those of the config that it starts from), with their helpers. What"
        " several rows use counts for the first, parents first, then by year. paper: the rest of the"
        " `Entry`, which is no code: title, year, parent, published numbers, note. Not counted: layers,"
        " networks and blocks, rules of the config, hooks in the training loop, exports and kernels.",
        f"Over {len(code)} rows the median is **{medians[2]:g}** lines of code: {medians[0]:g} of the row,"
        f" {medians[1]:g} of the axes; {medians[3]:g} with what the `Entry` tells of the paper,"
        f" {medians[4]:g} with docstrings, too. {sum(one < 40 for one in code)} rows have fewer than 40, the"
        f" largest {max(code)}.",
    )
    body = [
        (
            f"`{n}`",
            *(len(b.row), len(b.axes), b.code, len(b.paper), b.all),
            ", ".join(f"`{c}`" for c in b.new),
        )
        for n, b in rows.items()
    ]
    head = ("name", "row", "axes", "code", "paper", "with docstrings", "brought in")
    return "\n\n".join([*words, table(head, body)])


if __name__ == "__main__":
    say(lines_section())
    sys.exit(0)
