"""No method's training changes unnoticed."""

import pytest

from bnn_train.spec.annealed import Position
from bnn_train.spec.method import Method
from bnn_train.spec.methods import METHODS
from losses import EPOCHS, NETWORKS, RELATIVE, first_losses, stored
from pairs import some

NETWORKS_ONLY = {"meliusnet22", "reactnet_a"}
"""Rows that differ from another in the network alone."""

GOLDEN = stored()


def test_every_method_and_network_has_its_losses() -> None:
    assert GOLDEN.keys() == {f"{method}/{network}" for method in METHODS for network in NETWORKS}


QUICK = [name for name in sorted(GOLDEN) if name.endswith("/convnet")]


@pytest.mark.parametrize("name", some(sorted(GOLDEN), QUICK))
def test_first_losses(name: str) -> None:
    method, network = name.split("/")
    losses = GOLDEN[name]
    assert losses
    assert first_losses(method, network, steps=len(losses)) == pytest.approx(losses, rel=RELATIVE)


def begins_real(row: Method) -> bool:
    """FleBin's first epoch is the real-valued twin's."""
    return row.weight.progress.gradual and not row.weight.progress.share_at(Position(epochs=EPOCHS))


def test_methods_differ() -> None:
    for network in NETWORKS:
        rows = [name for name, row in METHODS.items() if name == "fp" or not begins_real(row)]
        runs = [tuple(GOLDEN[f"{method}/{network}"]) for method in rows if method not in NETWORKS_ONLY]
        assert len(set(runs)) == len(runs)
