"""The exported PyTorch file answers as the packed reference, bit for bit, without bnn_train installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bnn_train.errors import ExportError
from bnn_train.export.targets.table import recognised
from bnn_train.export.targets.target import Content
from bnn_train.export.targets.torch_files import TARGET, plain, source
from bnn_train.spec.record import Record
from exported import (
    CASES,
    PREPROCESSES,
    SOME,
    agreed,
    content_of,
    differing,
    ending_exactly,
    noise,
    preprocessed,
    wanted,
)
from method_rows import ROWS, conv, lowered, network, norm


def answered(content: Content, path: Path) -> int:
    """The count of logits that are not the reference's."""
    TARGET.write(content, path, Record())
    assert TARGET.open is not None
    opened, images = TARGET.open(path), noise(content)
    assert opened.header == content.header
    return differing(opened.logits(images), wanted(content, images))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in SOME else [pytest.mark.slow]) for n in CASES]
)
def test_every_kind_of_step(name: str, tmp_path: Path) -> None:
    different = answered(content_of(CASES[name]), tmp_path / "m.py")
    assert different == 0 or not agreed(CASES[name])


@pytest.mark.parametrize("name", ["irnet", "abcnet", "pact 2", "signs × bases, K", "bases × ternary"])
def test_methods(name: str, tmp_path: Path) -> None:
    model = network(conv(ROWS[name], padding=1, bias=False), norm(), conv(ROWS[name], 1, bias=True))
    different = answered(ending_exactly(lowered(model)), tmp_path / "m.py")
    assert different == 0 or name.endswith(", K")  # K scales by what sums of pixels rounded


@pytest.mark.parametrize("kind", PREPROCESSES)
def test_preprocessing(kind: str, tmp_path: Path) -> None:
    different = answered(preprocessed(kind), tmp_path / "m.py")
    assert different == 0 or kind == "zca"


SCRIPT = """
import sys
import numpy as np, torch
from model import load
assert not any(name.startswith("bnn_train") for name in sys.modules)
network = load()
images = torch.from_numpy(np.load("images.npy")).permute(0, 3, 1, 2)
np.save("logits.npy", network(images).numpy())
weights = [step.weight for step in network.steps if hasattr(step, "weight")]
print(sorted({float(x) for w in weights for x in w.flatten()}))
"""


def test_without_bnn_train(tmp_path: Path) -> None:
    """In a folder of its own, with an interpreter that does not find the package."""
    content = content_of(CASES["residual-net"])
    TARGET.write(content, tmp_path / "model.py", Record())
    images = noise(content)
    np.save(tmp_path / "images.npy", images)
    (tmp_path / "user.py").write_text(SCRIPT)
    blocked = "import sys; sys.modules['bnn_train'] = None; import runpy; sys.path.insert(0, '.');"
    command = [sys.executable, "-c", f"{blocked} del sys.modules['bnn_train']; runpy.run_path('user.py')"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "[-1.0, 1.0]\n"
    assert differing(np.load(tmp_path / "logits.npy"), wanted(content, images)) == 0


def test_the_file_knows_nothing_of_us() -> None:
    text = source()
    assert "import bnn_train" not in text
    assert "from bnn_train" not in text
    assert text.count("from __future__ import annotations") == 1
    compile(text, "model.py", "exec")


def test_weights_are_plain_numbers(tmp_path: Path) -> None:
    content = content_of(CASES["codes-u2-ternary-pad0"])
    TARGET.write(content, tmp_path / "m.py", Record())
    stored = load_file(tmp_path / "m.safetensors")
    assert stored.keys() == content.tensors.keys()
    assert stored["conv.w"].dtype == np.int8
    assert set(stored["conv.w"].flat) == {-1, 0, 1}
    assert all(np.array_equal(stored[name], tensor) for name, tensor in plain(content).items())


def test_foreign_files(tmp_path: Path) -> None:
    """None is replaced, none is run."""
    assert TARGET.open is not None
    content, path = content_of(CASES["to-sign"]), tmp_path / "m.py"
    assert recognised(path) is None
    path.write_text("print('mine')")
    with pytest.raises(ExportError, match=r"m\.py: is in the way, and no export wrote it"):
        TARGET.write(content, path, Record())
    assert list(tmp_path.iterdir()) == [path]
    path.unlink()
    path.with_suffix(".safetensors").write_bytes(b"mine")
    with pytest.raises(ExportError, match=r"m\.safetensors: is in the way"):
        TARGET.write(content, path, Record())
    path.with_suffix(".safetensors").unlink()
    assert answered(content, path) == 0
    assert recognised(path) is TARGET
    path.write_text(path.read_text() + "\nprint('changed')\n")
    with pytest.raises(ExportError, match=r"runs no foreign code; export it again, or .*from m import"):
        TARGET.open(path)
    assert answered(content, path) == 0
