"""The gradient with respect to a layer's output, as the method rounds it on its way back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.binary.tables import Table
from bnn_train.spec import output_gradients as spec


class OutputGradient(nn.Module):
    """It stays as it is."""

    untrue = ""
    """How a gradient differs that is no derivative of the loss; empty where it is one."""

    def __init__(self, spec: object) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, y: Tensor) -> Tensor:
        """N×… → the same numbers."""
        return y


OUTPUT_GRADIENTS: Table[OutputGradient] = Table()
OUTPUT_GRADIENTS.builds(spec.RealGradient)(OutputGradient)


@OUTPUT_GRADIENTS.builds(spec.NoisyUniform)
class NoisyUniform(OutputGradient):
    """g̃ = 2M·(q(clip(g/(2M) + ½ + u, 0, 1)) − ½), q(r) = round(n·r)/n, n = 2^bits − 1; M = max|g| of each
    image, u ~ U(−½, ½)/n from torch's global generator (DoReFa-Net, arXiv 1606.06160 eq. 12). The noise makes
    it true on average, but for what is clipped at ∓M."""

    untrue = "gradients at outputs are rounded at random in training and stood as they are here"
    spec: spec.NoisyUniform

    def forward(self, y: Tensor) -> Tensor:
        if not y.requires_grad:
            return y
        result: Tensor = _Rounded.apply(y, 2**self.spec.bits - 1)  # type: ignore[no-untyped-call]  # in torch
        return result


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, steps: int) -> Tensor:
        ctx.steps = steps
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        g, n = grads[0].float() if grads[0].dtype in (torch.bfloat16, torch.float16) else grads[0], ctx.steps
        largest = 2 * g.abs().amax(dim=tuple(range(1, g.dim())), keepdim=True)
        noise = (torch.rand_like(g) - 0.5) / n
        share = g / torch.where(largest == 0, 1.0, largest) + (0.5 + noise)
        rounded = share.clamp_(0, 1).mul_(n).round_().div_(n).sub_(0.5).mul_(largest)
        return rounded.to(grads[0].dtype), None
