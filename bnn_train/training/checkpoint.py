"""Checkpoints: safetensors for tensors, JSON for the rest, one SHA-256 over both; no pickle.

``torch.load`` and safetensors notice no flipped bit, so the digest is checked before anything is
used. A file is written beside its final place, synced, and renamed over it: at any moment ``last``
is entirely the old or entirely the new one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file
from torch import Tensor

from bnn_train.config.local import located
from bnn_train.errors import CheckpointError, RunError
from bnn_train.files import link_file, replace_file
from bnn_train.training.renamed import renamed
from bnn_train.world import World

FORMAT = "bnn_train checkpoint"
VERSION = 1
"""Of memory cards and many network disks."""
LAST, PREVIOUS, BEST = "last.safetensors", "previous.safetensors", "best.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors under ``model.``, ``optimizer.``, ``ema.``, ``preprocess.``, ``signs.``; the rest in
    ``state``."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]

    def section(self, name: str) -> dict[str, Tensor]:
        """The tensors under ``name.``, without that prefix."""
        return {
            key[len(name) + 1 :]: value for key, value in self.tensors.items() if key.startswith(f"{name}.")
        }


def _digest(tensors: dict[str, Tensor], state: str) -> str:
    digest = hashlib.sha256(state.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write(path: Path, checkpoint: Checkpoint) -> None:
    """Save atomically and durably. Raises RunError, the former file untouched, if the disk refuses."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()}
    state = json.dumps(checkpoint.state, sort_keys=True)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "state": state,
        "sha256": _digest(tensors, state),
    }
    try:
        replace_file(path, lambda place: save_file(tensors, place, metadata=metadata))
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{path}: cannot write the checkpoint: {error}; the one before is untouched"
        ) from error


def link(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``, atomically; a copy where the disk knows no links."""
    try:
        link_file(source, target)
    except OSError as error:
        raise RunError(f"{target}: cannot link it to {source.name}: {error}") from error


def read(path: Path) -> Checkpoint:
    """Load and verify. Raises CheckpointError in one sentence for anything but an intact checkpoint."""
    _check_readable(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            _check_format(path, metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path}: damaged, cut short, or not a bnn_train checkpoint ({error});"
            " use another checkpoint of the run"
        ) from None
    if _digest(tensors, metadata["state"]) != metadata["sha256"]:
        raise CheckpointError(
            f"{path}: damaged: the contents do not match their SHA-256; use another checkpoint"
        )
    return Checkpoint(renamed(tensors), _located(_state(path, metadata["state"]), path))


def _located(state: dict[str, Any], path: Path) -> dict[str, Any]:
    """The state with the folders that its file does not tell, where it lies in its run."""
    experiment, folder = state.get("experiment"), path.absolute().parent
    if not isinstance(experiment, dict) or folder.name != "checkpoints":
        return state
    return {**state, "experiment": located(experiment, folder.parent)}


def _check_readable(path: Path) -> None:
    """Raises RunError where the disk or the rights are at fault, and not the file."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None


def _state(path: Path, text: str) -> dict[str, Any]:
    """The JSON, which must be a mapping of text that can be written again."""
    try:
        state = json.loads(text)
        json.dumps(state, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its state cannot be read ({error}); use another checkpoint") from None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: its state is no mapping; use another checkpoint")
    return state


def _check_format(path: Path, metadata: dict[str, str]) -> None:
    if metadata.get("format") != FORMAT or "state" not in metadata or "sha256" not in metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not a bnn_train checkpoint")
    if metadata.get("version") != str(VERSION):
        raise CheckpointError(
            f"{path}: checkpoint format {metadata.get('version')}, this bnn_train reads {VERSION};"
            " use the version that wrote it"
        )


def sent(path: Path, world: World) -> Checkpoint:
    """The checkpoint that the first process reads there, in every process."""
    with world.agreed():
        own = read(path) if world.is_writer else None
    return shared(own, world)


def shared(own: Checkpoint | None, world: World) -> Checkpoint:
    """The checkpoint of the first process, in every process."""
    if own is not None and world.alone:
        return own
    tensors = b"" if own is None else save({name: t.contiguous() for name, t in own.tensors.items()})
    content, state = world.sent(tensors), world.told_by(0, own and own.state)
    return own or Checkpoint(load(content), state)


def saved(folder: Path) -> bool:
    """Whether a run has ever saved a checkpoint there, be it damaged since or not."""
    return any((folder / name).is_file() for name in (LAST, PREVIOUS, BEST))


def newest(folder: Path) -> tuple[Checkpoint, list[str]]:
    """The checkpoint of a run to go on from, and a sentence for each one that had to be passed over."""
    skipped: list[str] = []
    for name in (LAST, PREVIOUS, BEST):
        path = folder / name
        if not path.is_file():
            continue
        try:
            return read(path), skipped
        except CheckpointError as error:
            skipped.append(str(error))
    if not skipped:
        raise CheckpointError(f"{folder}: no usable checkpoint: there is none")
    raise CheckpointError(
        f"{folder}: no usable checkpoint: {'; '.join(skipped)}; put back a copy of one, or begin anew by"
        " --set run.overwrite=true"
    )
