"""Images listed in tables: a CSV file of columns path and label for each part. No torch."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bnn_train.data.folder import Listing, check_count
from bnn_train.errors import DataError, printable
from bnn_train.packed.opening import opened
from bnn_train.spec.data import Data

ENDING = ".csv"
MAX_BYTES = 2**30


class Rows(NamedTuple):
    """The lines of a table."""

    paths: list[str]
    labels: list[str]
    lines: list[int]
    """The line of each in its file, from 1."""


def list_tables(config: Data, tables: Mapping[str, Path]) -> dict[str, Listing]:
    """The images of each part; paths are relative to their table. Classes are the labels of all tables, by
    name, or by number where all are whole numbers. Raises DataError with the line at fault."""
    parts = {part: read_table(path) for part, path in tables.items()}
    for part, rows in parts.items() if config.on_error == "fail" else ():
        _check_files(tables[part], rows)
    classes = _classes({label for rows in parts.values() for label in rows.labels})
    missing = sorted(set(classes) - set(parts["train"].labels))
    if missing:
        raise DataError(
            f"{printable(tables['train'])}: no image of class {printable(missing[0])}, but another table has"
            " one"
        )
    check_count(config, tables["train"], len(classes))
    number = {name: i for i, name in enumerate(classes)}
    trained = set(parts["train"].paths)
    listings = {}
    for part, rows in parts.items():
        table = tables[part]
        both = 0 if part == "train" else sum(path in trained for path in rows.paths)
        notes = (f"{table.name}: {both:,} of its images are for training, too",) if both else ()
        paths = [os.fsencode(path) for path in rows.paths]
        listings[part] = Listing(
            root=table.parent,
            classes=classes,
            paths=np.array(paths),
            labels=np.array([number[label] for label in rows.labels], dtype=np.int64),
            fingerprint=hashlib.sha256(b"\0".join(paths)).hexdigest(),
            notes=notes,
            title=table.name,
        )
    return listings


def read_table(path: Path) -> Rows:
    """The rows of one table; other columns are passed over."""
    text = _text(path)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        head = [name.strip().lower() for name in next(reader, [])]
        if "path" not in head or "label" not in head:
            raise DataError(
                f"{printable(path)}:1: the columns are {', '.join(map(printable, head))}; call two of them"
                " path and label"
            )
        at, to = head.index("path"), head.index("label")
        rows = Rows([], [], [])
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max(at, to) or not row[at].strip() or not row[to].strip():
                raise DataError(
                    f"{printable(path)}:{reader.line_num}: a row without path or label; fill or remove it"
                )
            rows.paths.append(row[at].strip())
            rows.labels.append(unicodedata.normalize("NFC", row[to].strip()))
            rows.lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"{printable(path)}:{reader.line_num}: {error}; mend this line") from None
    if not rows.paths:
        raise DataError(f"{printable(path)}: no rows; list images as path,label")
    return rows


def _text(path: Path) -> str:
    try:
        with opened(path) as file:
            content = file.read(MAX_BYTES)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{printable(path)}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{printable(path)}: not UTF-8 at byte {error.start}; save it as UTF-8") from None


def _classes(names: set[str]) -> tuple[str, ...]:
    whole = all(name.isascii() and name.lstrip("-").isdigit() for name in names)
    return tuple(sorted(names, key=int) if whole else sorted(names))


def _check_files(table: Path, rows: Rows) -> None:
    absent = [i for i, path in enumerate(rows.paths) if not os.path.isfile(table.parent / path)]
    if absent:
        more = f", and {len(absent) - 1:,} more rows" if len(absent) > 1 else ""
        first = printable(table.parent / rows.paths[absent[0]])
        raise DataError(
            f"{printable(table)}:{rows.lines[absent[0]]}: {first}: no such file{more}; paths are relative to"
            " the table's folder"
        )
