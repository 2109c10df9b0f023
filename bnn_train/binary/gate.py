"""Factors that a layer's input decides, channel by channel."""

from __future__ import annotations

from torch import Tensor, nn

from bnn_train.binary.channels import Gated
from bnn_train.binary.global_average import GlobalAverage


class GatedConv2d(nn.Module):
    """y[o] · σ(W₂·relu(W₁·x̄))[o], y the convolution's output and x̄ the means of its real input's maps, W₁ of
    I/r×I and W₂ of O×I/r without biases (Real-to-Binary, arXiv 2003.11535 §4.3; Larq's real_to_bin_nets.py).

    In a block that begins with its norm the real input is the normalized one, as Larq has it."""

    def __init__(self, conv: nn.Conv2d, reduction: int) -> None:
        super().__init__()
        hidden = max(1, conv.in_channels // reduction)
        self.conv = conv
        self.gate = nn.Sequential(
            GlobalAverage(),
            nn.Flatten(),
            nn.Linear(conv.in_channels, hidden, bias=False),
            nn.ReLU(),
            nn.Linear(hidden, conv.out_channels, bias=False),
            nn.Sigmoid(),
        )
        self.gated = Gated()

    def forward(self, x: Tensor) -> Tensor:
        """N×I×H×W → N×O×H′×W′."""
        y: Tensor = self.gated(self.conv(x), self.gate(x))
        return y
