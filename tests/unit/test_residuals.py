"""Signs of residuals in pieces, against the chain written out and torch's own derivative of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bnn_train.binary.estimators import ESTIMATORS, Estimator
from bnn_train.binary.quantizers import residuals
from bnn_train.binary.quantizers.base import through
from bnn_train.binary.quantizers.residuals import pieces, residual_signs
from bnn_train.binary.sign import sign
from bnn_train.spec import estimators as spec

DRAWN = torch.Generator().manual_seed(1)
WINDOWS = torch.randn(37, 3, 3, 3, dtype=torch.float64, generator=DRAWN)
INSIDE = (torch.rand(37, 1, 3, 3, generator=DRAWN) > 0.3).double()
MAPS = torch.randn(7, 3, 5, 4, dtype=torch.float64, generator=DRAWN)
EACH = [torch.rand(37, 1, 1, 1, dtype=torch.float64, generator=DRAWN) + 0.2 for _ in range(3)]
ALL = [torch.tensor(v, dtype=torch.float64) for v in (0.9, 0.5, 0.2)]


def chain(x: Tensor, inside: Tensor | None, factors: list[Tensor], estimator: Estimator) -> Tensor:
    signs: list[Tensor] = []
    for v in factors:
        s = through(sign(x), x, estimator)
        signs.insert(0, s if inside is None else s * inside)
        x = x - v * signs[0]
    return torch.stack(signs)


@pytest.mark.parametrize("options", [spec.Clip(), spec.Identity(), spec.Triangle()], ids=lambda o: o.name)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("start", "inside", "factors"),
    [
        (WINDOWS, INSIDE, EACH),
        (WINDOWS, None, EACH),
        (MAPS, None, ALL),
        (MAPS.contiguous(memory_format=torch.channels_last), None, ALL),
    ],
    ids=["padded", "windows", "maps", "turned"],
)
def test_value_and_gradient(
    monkeypatch: pytest.MonkeyPatch,
    start: Tensor,
    inside: Tensor | None,
    factors: list[Tensor],
    count: int,
    options: spec.Estimator,
) -> None:
    monkeypatch.setattr(residuals, "PIECE", 5 * start[0].numel())  # the last piece is a part of one
    estimator, used = ESTIMATORS.build(options), factors[:count]
    ours, theirs = start.clone().requires_grad_(), start.clone().requires_grad_()
    found, wanted = residual_signs(ours, inside, used, estimator), chain(theirs, inside, used, estimator)
    assert torch.equal(found, wanted)
    weights = torch.randn(wanted.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    before = weights.clone()
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-13, atol=1e-13)
    assert torch.equal(weights, before)


@pytest.mark.parametrize("shape", [(10, 4), (1, residuals.PIECE + 1), (5, residuals.PIECE // 2), (0, 3)])
def test_pieces_are_the_rows_in_order(shape: tuple[int, ...]) -> None:
    x = torch.arange(shape[0])[:, None].expand(shape)
    rows = [int(row) for piece in pieces(x) for row in x[piece, 0]]
    assert rows == list(range(shape[0]))


def test_an_estimator_that_follows_gradients_sees_all_of_them_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    estimator = ESTIMATORS.build(spec.FixedPointGradient()).train()
    follow = estimator.slope

    def watched(g: Tensor, x: Tensor) -> Tensor:
        seen.append(len(g))
        return follow(g, x)

    monkeypatch.setattr(residuals, "PIECE", 1)
    monkeypatch.setattr(estimator, "slope", watched)
    x = MAPS.float().requires_grad_()
    residual_signs(x, None, [v.float() for v in ALL[:2]], estimator).sum().backward()
    assert seen == [7, 7]
