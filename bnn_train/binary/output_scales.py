"""Factors on the output of a product, beside the scale of its weight."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.geometry import Geometry
from bnn_train.binary.tables import Table
from bnn_train.spec import scales as spec

Padded = Callable[[Tensor], tuple[Tensor, Geometry]]
"""Puts zeros around a map as the layer pads it; what is left to the convolution."""


class OutputScale(nn.Module):
    """No factor."""

    reads_input = False
    """Whether it is measured on the layer's real input."""

    def __init__(self, spec: object) -> None:
        super().__init__()
        self.spec = spec

    def of_map(self, x: Tensor, groups: int, kernel: tuple[int, ...], padded: Padded) -> Tensor | None:
        """N×groups×H′×W′ factors of a convolution's output, or None."""
        return None

    def of_features(self, x: Tensor) -> Tensor | None:
        """N×…×1 factors of a dense layer's output, or None."""
        return None


OUTPUT_SCALES: Table[OutputScale] = Table()
OUTPUT_SCALES.builds(spec.Unscaled)(OutputScale)


@OUTPUT_SCALES.builds(spec.XnorK)
class XnorK(OutputScale):
    """K = A ∗ k (XNOR-Net, arXiv 1603.05279 eq. 10): A = mean |x| over a group's channels, k = 1/(Kh·Kw)."""

    reads_input = True

    def of_map(self, x: Tensor, groups: int, kernel: tuple[int, ...], padded: Padded) -> Tensor | None:
        a = torch.unflatten(x, 1, (groups, -1)).abs().mean(dim=2)  # N G H W
        kh, kw = kernel
        box = a.new_full((groups, 1, kh, kw), 1 / (kh * kw))
        a, geometry = padded(a)
        return F.conv2d(a, box, None, *geometry)

    def of_features(self, x: Tensor) -> Tensor | None:
        return x.abs().mean(dim=-1, keepdim=True)
