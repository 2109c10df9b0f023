"""Writing packed files: atomic, in one spelling, and readable by the safetensors library."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from bnn_train.packed import container
from bnn_train.packed.errors import PackedFileError
from packed_damage import rich, small


def test_the_library_reads_it(tmp_path: Path) -> None:
    header, tensors = rich()
    container.write(tmp_path / "m.bnn", header, tensors)
    found = load_file(tmp_path / "m.bnn")
    assert set(found) == set(tensors)
    assert all(np.array_equal(found[name], t) and found[name].dtype == t.dtype for name, t in tensors.items())
    with safe_open(tmp_path / "m.bnn", framework="np") as file:
        assert file.metadata()["format"] == "bnn_train packed"
        assert file.metadata()["version"] == "1"


def test_tensors_lie_at_multiples_of_their_elements_size() -> None:
    content = container.pack(*rich())
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    _, tensors = container.unpack(content)
    assert all(t.ctypes.data % t.dtype.itemsize == 0 for t in tensors.values())


def test_the_same_content_is_the_same_bytes() -> None:
    header, tensors = rich()
    content = container.pack(header, tensors)
    backwards = dict(reversed(tensors.items()))
    other = {name: np.asfortranarray(t) for name, t in backwards.items()}
    assert container.pack(header, other) == content
    assert container.pack(*container.unpack(content)) == content


def test_big_endian_tensors_are_turned() -> None:
    header, tensors = rich()
    turned = {name: t.astype(t.dtype.newbyteorder(">")) for name, t in tensors.items()}
    assert container.pack(header, turned) == container.pack(header, tensors)


def test_any_experiment(tmp_path: Path) -> None:
    header, tensors = small()
    experiment: dict[str, Any] = {
        "text": 'α × \U0001f600 " \\ \n',
        "numbers": [0, -1, 2**80, 1.0, -0.0, 1e-300, 0.1],
        "nested": {"none": None, "list": [[], {}, [True]]},
        "": {"": ""},
    }
    header = header.model_copy(update={"experiment": experiment, "classes": ("ä", "日本", "\U0001f600")})
    container.write(tmp_path / "m.bnn", header, tensors)
    assert container.read(tmp_path / "m.bnn")[0] == header


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, "\ud800"])
def test_an_experiment_that_json_cannot_hold(value: Any) -> None:
    header, tensors = small()
    with pytest.raises(PackedFileError):
        container.pack(header.model_copy(update={"experiment": {"a": value}}), tensors)


def test_a_failed_write_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.bnn"
    container.write(path, *small())
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PackedFileError, match=r"m\.bnn: cannot be written: No space left"):
        container.write(path, *rich())
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.bnn"]


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(PackedFileError, match="cannot be written"):
        container.write(tmp_path / "none" / "m.bnn", *small())


def test_the_digests() -> None:
    header, tensors = small()
    content = container.pack(header, tensors)
    for tensor in tensors.values():
        assert hashlib.sha256(tensor.tobytes()).hexdigest().encode() in content
