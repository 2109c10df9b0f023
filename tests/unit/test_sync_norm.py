"""Synchronised norms against those of one process, with nobody to send to; ``test_together.py`` has two."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from bnn_train.binary.draws import shared_weight_draws, weights_draw
from bnn_train.binary.quantizers.signs import stochastic_sign
from bnn_train.binary.shift_norm import ShiftNorm1d, ShiftNorm2d
from bnn_train.binary.sync_norm import Synced, norms_apart, synchronised, uncounted
from bnn_train.errors import RunError
from bnn_train.world import ALONE

CPU = torch.device("cpu")
NORMS = [
    nn.BatchNorm1d(6, eps=1e-4, momentum=0.1),
    nn.BatchNorm2d(6, momentum=None),
    nn.BatchNorm2d(6, affine=False),
    ShiftNorm1d(6, eps=1e-4, momentum=0.1),
    ShiftNorm2d(6, eps=1e-4, momentum=None),
]


def images(norm: nn.Module) -> Tensor:
    shape = (9, 6) if isinstance(norm, nn.BatchNorm1d) else (9, 6, 4, 3)
    return 2 + 3 * torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("norm", NORMS, ids=lambda norm: repr(norm).partition(",")[0] + str(norm.momentum))
def test_one_process_computes_as_ever(norm: nn.Module) -> None:
    own, other = deepcopy(norm).double(), deepcopy(norm).double()
    for parameters in zip(own.parameters(), other.parameters(), strict=True):
        drawn = torch.randn(6, dtype=torch.float64)
        for parameter in parameters:
            parameter.data.copy_(drawn)
    synced = synchronised(nn.Sequential(other), ALONE)[0]  # type: ignore[index]  # a sequence
    assert isinstance(synced, Synced)
    assert isinstance(synced, type(norm))
    assert synced.state_dict().keys() == norm.state_dict().keys()
    for _ in range(2):
        x, y = (images(norm).requires_grad_() for _ in range(2))
        y.data.copy_(x.data)
        g = torch.randn_like(x)
        one, two = own(x), synced(y)
        one.backward(g)
        two.backward(g)
        pairs = [(one, two), (x.grad, y.grad)]
        pairs += [(p.grad, q.grad) for p, q in zip(own.parameters(), other.parameters(), strict=True)]
        pairs += list(zip(own.buffers(), synced.buffers(), strict=True))
        for a, b in pairs:
            assert a is not None
            assert b is not None
            torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(own.eval()(x), synced.eval()(x), rtol=1e-11, atol=1e-11)


def test_half_precision_passes_through() -> None:
    x = torch.randn(8, 6, 3, 3, dtype=torch.bfloat16)
    norm = nn.BatchNorm2d(6)
    synced = synchronised(nn.Sequential(deepcopy(norm)), ALONE)
    assert synced(x).dtype == torch.bfloat16
    torch.testing.assert_close(synced(x), norm(x), rtol=0.02, atol=0.02)


def test_borrowed_images_do_not_count() -> None:
    net = synchronised(nn.Sequential(nn.BatchNorm1d(2)), ALONE)
    with uncounted(net):
        assert net[0].total(torch.ones(3)).tolist() == [0, 0, 0]  # type: ignore[index]
        assert net[0].total_back(torch.ones(3)).tolist() == [0, 0, 0]  # type: ignore[index]
    assert net[0].total(torch.ones(3)).tolist() == [1, 1, 1]  # type: ignore[index]


def test_apart_they_are_torchs_own() -> None:
    norm = nn.BatchNorm1d(6)
    net, x = synchronised(nn.Sequential(deepcopy(norm)), ALONE), torch.randn(8, 6)
    with norms_apart(net):
        assert torch.equal(net(x), norm(x))


def test_a_norm_that_appears_twice_stays_one() -> None:
    norm = nn.BatchNorm1d(6)
    net = synchronised(nn.Sequential(norm, nn.Sequential(norm)), ALONE)
    assert net[0] is net[1][0]  # type: ignore[index]


class Other(nn.BatchNorm1d):
    """Of somebody else."""


def test_norms_of_other_kinds_are_refused() -> None:
    with pytest.raises(RunError, match=r"training\.sync_norms: 0 is a Other, which cannot be synchronised"):
        synchronised(nn.Sequential(Other(6)), ALONE)


def test_weights_draw_the_same_whatever_else_is_drawn() -> None:
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        with shared_weight_draws(CPU, 7):
            before = torch.rand(3)
            with weights_draw(CPU):
                first = stochastic_sign(torch.zeros(50))
            between = torch.rand(3)
            with weights_draw(CPU):
                found.append(torch.cat([first, stochastic_sign(torch.zeros(50))]))
        torch.manual_seed(seed)
        assert torch.equal(torch.cat([before, between]), torch.rand(6))
    torch.manual_seed(7)
    alone = torch.cat([stochastic_sign(torch.zeros(50)) for _ in range(2)])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], alone)
    with weights_draw(CPU):
        torch.manual_seed(3)
    assert torch.default_generator.initial_seed() == 3
