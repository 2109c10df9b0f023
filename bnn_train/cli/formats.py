"""The format of an export: told by ``--format`` or by the ending of the path, and what ``--help`` says."""

from __future__ import annotations

import os
from pathlib import Path

from bnn_train.errors import BnnError
from bnn_train.export.targets import folders
from bnn_train.export.targets.options import described
from bnn_train.export.targets.table import DEFAULT, TARGETS
from bnn_train.export.targets.target import Target


def choose(path: Path, name: str | None) -> Target:
    """The format for a path. Raises BnnError where the two do not fit."""
    by_ending = next((t for t in TARGETS.values() if path.suffix.lower() in t.endings), None)
    if name is None:
        if by_ending is None and os.path.isdir(path):
            return _of_folder(path)
        return by_ending or DEFAULT
    found = TARGETS[name]
    _check_pair(path, found, by_ending)
    return found


def check_ending(path: Path) -> None:
    """Raises BnnError for a packed file under a name that promises another format, or at no file at all."""
    other = _FOREIGN.get(path.suffix.lower())
    if other is not None:
        known = ", ".join(sorted(ending for t in TARGETS.values() for ending in t.endings))
        raise BnnError(
            f"{path}: bnn-export does not write {other}; name the file like {path.with_suffix('.bnn')}, or"
            f" by the ending of another format ({known})"
        )
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise BnnError(f"{path}: cannot be written: it is no regular file; name the file like model.bnn")


def epilog() -> str:
    """The formats with their endings and options, for ``--help``."""
    lines = ["formats (--format), the endings that choose them, and their options (--with):"]
    for target in TARGETS.values():
        endings = ", ".join(target.endings) or "a folder"
        lines.append(f"  {target.name:<10}{endings:<8}{target.summary}")
        lines += [f"  {'':<10}{'':<8}--with {line}" for line in described(target)]
    examples = ("--out model.bnn", "--out model.onnx --with weights=int8")
    lines += ["", "examples:", *(f"  bnn-export --checkpoint runs/quickstart {text}" for text in examples)]
    return "\n".join(lines)


def _of_folder(path: Path) -> Target:
    """An export in a folder is replaced by one of its format; in others, nothing is written unasked."""
    found = folders.manifest(path)
    target = TARGETS.get(found["format"]) if found else None
    if target is not None and target.is_folder:
        return target
    formats = " or ".join(f"--format {t.name}" for t in TARGETS.values() if t.is_folder)
    more = f", or give {formats} to fill it" if formats else ""
    raise BnnError(f"{path}: cannot be written: it is a folder; name a file in it{more}")


def _check_pair(path: Path, chosen: Target, by_ending: Target | None) -> None:
    ending = path.suffix.lower()
    if by_ending is not None and by_ending is not chosen and ending not in chosen.also:
        fitting = f"name it like {_example(path, chosen)}, or give --format {by_ending.name}"
        raise BnnError(f"{path}: {ending} is {by_ending.name}, and --format says {chosen.name}; {fitting}")
    if chosen is not DEFAULT and by_ending is None and chosen.endings:
        raise BnnError(f"{path}: a file of {chosen.name} is named like {_example(path, chosen)}")


def _example(path: Path, target: Target) -> str:
    return str(path.with_suffix(target.endings[0] if target.endings else ""))


_FOREIGN = {
    **dict.fromkeys((".ort",), "ONNX Runtime's own format"),
    **dict.fromkeys((".pt", ".pth", ".pt2", ".ptl", ".pte", ".torchscript", ".ckpt"), "PyTorch's pickles"),
    **dict.fromkeys((".tflite", ".lite", ".pb", ".h5", ".hdf5", ".keras", ".litert"), "TensorFlow's formats"),
    **dict.fromkeys((".safetensors",), "checkpoints"),
    **dict.fromkeys((".mlmodel", ".mlpackage", ".mlmodelc"), "Core ML's formats"),
    **dict.fromkeys((".engine", ".plan", ".trt"), "TensorRT's formats"),
    **dict.fromkeys((".param", ".mnn", ".gguf", ".pdmodel"), "that runtime's format"),
    **dict.fromkeys((".npz", ".npy", ".pkl", ".pickle", ".zip"), "arrays"),
    **dict.fromkeys((".json", ".yaml", ".yml", ".txt", ".md", ".csv"), "text"),
}
