"""MeliusNet-22, -29, -42, -59 (Bethge et al., arXiv 2001.05936)."""

from __future__ import annotations

from torch import Tensor, nn

from bnn_train.binary.channels import Channels, Concat
from bnn_train.binary.factory import Layers
from bnn_train.models.densenet import Dense, normed_convolution, staged
from bnn_train.models.init import glorot_normal, initialise_real
from bnn_train.models.sizes import Shape
from bnn_train.spec.binary_networks import MeliusNet22


class Improvement(nn.Module):
    """x, to whose last channels conv(sign(norm(x))) is added."""

    def __init__(self, layers: Layers, channels: int, improved: int) -> None:
        super().__init__()
        self.body = normed_convolution(layers, channels, improved)
        self.kept = Channels(0, channels - improved)
        self.last = Channels(channels - improved, channels)
        self.join = Concat()

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W → N×C×H×W."""
        joined: Tensor = self.join(self.kept(x), self.last(x) + self.body(x))
        return joined


def meliusnet(network: MeliusNet22, layers: Layers, shape: Shape, classes: int) -> nn.Module:
    """Four stages of dense and improvement blocks in turn, three transitions; N×C×H×W → N×classes."""
    growth = network.width

    def stage(i: int, channels: int) -> tuple[list[nn.Module], int, int]:
        blocks: list[nn.Module] = []
        for _ in range(network.blocks[i]):
            blocks.append(Dense(layers, channels, growth))
            channels += growth
            blocks.append(Improvement(layers, channels, growth))
        kept = 0 if i == len(network.transitions) else network.transitions[i]
        return blocks, channels, max(1, kept * growth // 64)

    model = staged(network, layers, shape, classes, stage, len(network.blocks))
    initialise_real(model, glorot_normal)
    return model
