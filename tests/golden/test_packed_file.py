"""A packed file of every version stays readable, packs to itself, and computes what it always did."""

from __future__ import annotations

import hashlib
import json

import pytest

from bnn_train.packed import container, load
from native_kernels import kernels  # noqa: F401  # a fixture
from packed_file import NETWORKS, file_of, logits_of, pixels

VERSIONS = tuple(NETWORKS)
DIGESTS = {
    1: "603372e32606cf5ab396cc373240d6a849ee9e8be30fd685e48c886321d79124",
    2: "b1f2c4166dac82511dcccb761503cbaebe678697ac39da853846d6d9e0560179",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_its_bytes(version: int) -> None:
    content = file_of(version).read_bytes()
    assert hashlib.sha256(content).hexdigest() == DIGESTS[version]
    header, tensors = container.read(file_of(version))
    assert header.version == version
    assert container.pack(header, tensors) == content


@pytest.mark.parametrize("version", VERSIONS)
def test_its_logits(version: int) -> None:
    """Whole-number products and single roundings only: equal on every machine."""
    wanted = json.loads(logits_of(version).read_text(encoding="utf-8"))
    assert load(file_of(version), isa="reference")(pixels()).tolist() == wanted


@pytest.mark.parametrize("version", VERSIONS)
def test_its_logits_on_every_kernel(version: int, kernels: tuple[str, ...]) -> None:  # noqa: F811
    wanted = json.loads(logits_of(version).read_text(encoding="utf-8"))
    for kernel in kernels:
        assert load(file_of(version), isa=kernel)(pixels()).tolist() == wanted, kernel
