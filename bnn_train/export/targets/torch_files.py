"""Plain PyTorch: one Python file that needs torch alone, and its weights as ordinary numbers beside it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.export.targets.needs import named
from bnn_train.export.targets.target import Content, Opened, Target
from bnn_train.files import write_atomic
from bnn_train.packed import bits, preprocess, strict_json
from bnn_train.packed.container import parse_header
from bnn_train.packed.operands import BitWeight, Code, IntWeight, Planes
from bnn_train.packed.program import Conv, Header
from bnn_train.packed.reference.weights import digits, widen
from bnn_train.spec.record import Record

Array = NDArray[Any]
PARTS = ("arithmetic", "steps", "windows", "pixels", "network")
"""Files of ``torch_network``, in the order in which they need each other."""
HEADER = "bnn_train.header"
BATCH = 256
_MOST = 2**22


def source() -> str:
    """The Python file: the same for every network."""
    folder = files("bnn_train.export.targets.torch_network")
    imports: set[str] = set()
    bodies = []
    for part in PARTS:
        text = folder.joinpath(f"{part}.py").read_text(encoding="utf-8")
        found = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
        imports |= {line for node in found for line in _import(node)}
        bodies.append("\n".join(text.splitlines()[found[-1].end_lineno or 0 :]).strip("\n"))
    head = "\n".join(["from __future__ import annotations", "", *sorted(imports, key=_order)])
    return f"{_TITLE}\n{head}\n\n\n" + "\n\n\n".join(bodies) + "\n"


def _import(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    module = node.module if isinstance(node, ast.ImportFrom) else None
    if module == "__future__" or (module or "").startswith("bnn_train."):
        return
    for alias in node.names:
        yield ast.unparse(ast.ImportFrom(module, [alias], 0) if module else ast.Import([alias]))


def _order(line: str) -> tuple[bool, bool, str]:
    """The standard library's first."""
    return "torch" in line, line.startswith("from"), line


_TITLE = '''"""A binarized network in plain PyTorch, which needs torch alone; written by bnn-export.

    from model import load                 # this file, and the .safetensors of its name beside it
    network = load()
    logits = network(images)               # uint8 N×C×H×W; network.classes has their names

Weights are ordinary numbers, O×I×rows×columns: +1 and −1 where the network is binary. A module of
``network.steps`` does what its docstring says; as a program, this file lists them.
"""
'''


def _write(content: Content, path: Path, _options: Record) -> Sequence[str]:
    weights = path.with_suffix(".safetensors")
    if weights.exists() and not _is_ours(weights):
        raise ExportError(f"{weights}: is in the way, and no export as torch wrote it; name another --out")
    if path.exists() and not (_text(path) or "").startswith(_TITLE):
        raise ExportError(f"{path}: is in the way, and no export wrote it; name another --out")
    from safetensors.numpy import save

    raw = save(plain(content), {HEADER: strict_json.dump(content.header.model_dump())})
    write_atomic(weights, raw)
    write_atomic(path, source())
    return (
        f"torch      {weights.name}: {len(raw):,} bytes of plain weights; {path.name}: needs torch alone",
    )


def plain(content: Content) -> dict[str, Array]:
    """The tensors as anyone would store them: weights as numbers O×I×rows×columns, of planes P×O×…."""
    found = {name: np.ascontiguousarray(tensor) for name, tensor in content.tensors.items()}
    for step in content.header.program.steps:
        if isinstance(step, Conv):
            source = content.header.program.values[step.input]
            inner = source.channels // step.geometry.groups
            weight = _weight(step, content.tensors, (*step.geometry.kernel, inner))
            found[step.weight.tensor] = np.ascontiguousarray(np.moveaxis(weight, -1, -3))
    for pixels in content.header.images.preprocess:
        if "kernel" in pixels.options:
            size = int(pixels.options["kernel"])
            found[f"gaussian.{size}"] = preprocess.gaussian(size)
    return found


def _weight(step: Conv, tensors: Any, shape: tuple[int, int, int]) -> Array:
    """…O×Kh×Kw×I, the smallest type that holds the numbers."""
    weight = step.weight
    stored = tensors[weight.tensor]
    if isinstance(weight, IntWeight):
        return _smallest(digits(weight, tensors))
    if not isinstance(weight, BitWeight):
        return widen(stored)
    if isinstance(weight.code, Planes):
        return 1 - 2 * bits.filter_signs(stored, shape).astype(np.int8)
    code: Code = weight.code
    numbers = bits.filter_codes(stored, shape, code).astype(np.int64)
    return _smallest(numbers if weight.gain is None else numbers * tensors[weight.gain])


def _smallest(numbers: Array) -> Array:
    most = int(np.abs(numbers).max())
    return numbers.astype(np.int8 if most < 2**7 else np.int16 if most < 2**15 else np.int32)


def _open(path: Path) -> Opened:
    """Runs our own text of the file; another one would be foreign code."""
    if _text(path) != source():
        raise ExportError(
            f"{path}: is not the file that this bnn-export writes, and bnn-eval runs no foreign code; export"
            f" it again, or run it yourself: from {path.stem} import load"
        )
    import torch

    from bnn_train.export.targets.torch_network.network import load

    network = load(path.with_suffix(".safetensors"))

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        found = []
        with torch.inference_mode():
            for at in range(0, len(images), BATCH):
                x = torch.from_numpy(np.ascontiguousarray(images[at : at + BATCH].transpose(0, 3, 1, 2)))
                found.append(network(x).numpy())
        return np.concatenate(found)

    return Opened(_header(path.with_suffix(".safetensors")), named("torch"), logits)


def _header(path: Path) -> Header:
    return parse_header(_metadata(path)[HEADER])


def _metadata(path: Path) -> dict[str, str]:
    """Of a safetensors file; none for anything else."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            found = json.loads(file.read(length)) if length <= _MOST else None
        metadata = found.get("__metadata__") if isinstance(found, dict) else None
    except (OSError, ValueError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _is_ours(path: Path) -> bool:
    return isinstance(_metadata(path).get(HEADER), str)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


TARGET: Target = Target(
    name="torch",
    summary="one Python file and plain ±1 weights for anyone's PyTorch",
    write=_write,
    open=_open,
    recognises=lambda path: path.suffix.lower() == ".py" and _is_ours(path.with_suffix(".safetensors")),
    endings=(".py",),
)
