"""Networks of the zoo's blocks: lines with a bend, maps joined and parted, gates made at run time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.binary.channels import Channels, Concat, Gated
from bnn_train.binary.nonlinear import PReLU, RPReLU
from lowering import scramble
from method_rows import CHANNELS, conv, row

SHAPE = (3, 9, 8)
BNN = row("bnn")
SHIFTED = row("bireal", activation={"pre": "shift"})


def bent(module: nn.Module, seed: int = 0, slopes: tuple[float, float] = (-1.0, 1.0)) -> nn.Module:
    """Slopes and shifts at random; the slopes between two ends."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in module.named_parameters():
            low, high = (-0.7, 0.7) if name in ("before", "after") else slopes
            p.copy_(torch.rand(p.shape, generator=draw) * (high - low) + low)
    return module


class Block(nn.Module):
    """A network around a block: first → norm → block → norm → sign product → mean → dense."""

    def __init__(self, block: nn.Module, channels: int = CHANNELS) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS)
        self.block, self.end = block, nn.BatchNorm2d(channels)
        self.sign = conv(BNN, inputs=channels, padding=1, bias=False)
        self.mean, self.last = nn.AdaptiveAvgPool2d(1), nn.Linear(CHANNELS, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.norm(self.first(x)))
        y: Tensor = self.last(torch.flatten(self.mean(self.sign(self.end(x))), 1))
        return y


class ReAct(nn.Module):
    """conv → norm → + shortcut → RPReLU, twice, and two branches joined."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(SHIFTED, padding=1, bias=False) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(CHANNELS) for _ in range(3))
        self.first, self.second = bent(RPReLU(CHANNELS), 1), bent(RPReLU(2 * CHANNELS), 2)
        self.join = Concat()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.norms[0](self.convs[0](x)) + x)
        one, other = (self.norms[i](self.convs[i](x)) + x for i in (1, 2))
        y: Tensor = self.second(self.join(one, other))
        return y


class Dense(nn.Module):
    """x → concat(x, f(x)), three times, then a transition: pooling, ReLU, a real 1×1."""

    def __init__(self, growth: int = 5) -> None:
        super().__init__()
        widths = [CHANNELS + growth * i for i in range(3)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(w) for w in widths)
        self.convs = nn.ModuleList(conv(BNN, inputs=w, outputs=growth, padding=1, bias=False) for w in widths)
        self.join, wide = Concat(), CHANNELS + 3 * growth
        self.transition = nn.Sequential(
            nn.BatchNorm2d(wide), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(wide, CHANNELS, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        for norm, layer in zip(self.norms, self.convs, strict=True):
            x = self.join(x, layer(norm(x)))
        y: Tensor = self.transition(x)
        return y


class Melius(nn.Module):
    """A dense step, then the last channels improved: concat(x[:−g], x[−g:] + f(x))."""

    def __init__(self, growth: int = 5) -> None:
        super().__init__()
        wide = CHANNELS + growth
        self.one, self.two = nn.BatchNorm2d(CHANNELS), nn.BatchNorm2d(wide)
        self.grow = conv(BNN, outputs=growth, padding=1, bias=False)
        self.improve = conv(BNN, inputs=wide, outputs=growth, padding=1, bias=False)
        self.join, self.head, self.tail = Concat(), Channels(0, wide - growth), Channels(wide - growth, wide)

    def forward(self, x: Tensor) -> Tensor:
        x = self.join(x, self.grow(self.one(x)))
        y: Tensor = self.join(self.head(x), self.tail(x) + self.improve(self.two(x)))
        return y


class RealToBinary(nn.Module):
    """norm → sign → conv → × gate of the normed input → PReLU → + shortcut."""

    def __init__(self, bias: bool = False, pools_output: bool = False, negative: float = -1.0) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(CHANNELS), conv(SHIFTED, padding=1, bias=bias)
        self.mean, self.flat = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.down, self.up = nn.Linear(CHANNELS, 2, bias=bias), nn.Linear(2, CHANNELS, bias=bias)
        self.relu, self.sigmoid, self.gated = nn.ReLU(), nn.Sigmoid(), Gated()
        self.prelu = bent(PReLU(CHANNELS), slopes=(negative, 1.0))
        self.pools_output = pools_output

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        y = self.conv(normed)
        seen = self.flat(self.mean(y if self.pools_output else normed))
        gate = self.sigmoid(self.up(self.relu(self.down(seen))))
        z: Tensor = self.prelu(self.gated(y, gate)) + x
        return z


class SqueezeExcitation(nn.Module):
    """conv → norm → × gate of itself → + shortcut → hardtanh; then a gate alone before a sign."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = conv(BNN, padding=1, bias=False), nn.BatchNorm2d(CHANNELS)
        self.mean, self.gated, self.act = nn.AdaptiveAvgPool2d(1), Gated(), nn.Hardtanh()
        self.up = nn.Linear(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        gate = torch.sigmoid(self.up(torch.flatten(self.mean(y), 1)))
        z: Tensor = self.gated(self.act(self.gated(y, gate) + x), gate)
        return z


class Quick(nn.Module):
    """conv → ReLU → norm → + shortcut; a stride-1 pooling and a fixed depthwise blur."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(row("bnn", padding=1), padding=1, bias=False)
        self.relu, self.norm = nn.ReLU(), nn.BatchNorm2d(CHANNELS)
        self.pool = nn.MaxPool2d(3, 1, padding=1)
        self.blur = nn.Conv2d(CHANNELS, CHANNELS, 3, 2, padding=1, groups=CHANNELS, bias=False)
        line = torch.tensor([1.0, 2.0, 1.0])
        self.blur.weight.requires_grad_(False).copy_((line[:, None] * line / 16).expand(CHANNELS, 1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.relu(self.conv(x))) + x
        y: Tensor = self.blur(self.pool(torch.relu(x)))
        return y


def between(*modules: nn.Module) -> Callable[[], nn.Module]:
    """Modules between a product of signs and a sign."""
    return lambda: nn.Sequential(conv(BNN, padding=1, bias=False), *modules)


def _norm() -> nn.Module:
    return nn.BatchNorm2d(CHANNELS)


RISING, FALLING, ANY = (0.0, 1.0), (-1.0, 0.0), (-1.0, 1.0)
LINES: dict[str, Callable[[], Any]] = {
    "prelu": lambda: PReLU(CHANNELS),
    "maxout": lambda: PReLU(CHANNELS, learns_positive=True),
    "rprelu": lambda: RPReLU(CHANNELS),
    "torch's": lambda: nn.PReLU(CHANNELS),
    "torch's of one slope": lambda: nn.PReLU(),
}
BLOCKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "react": (ReAct, 2 * CHANNELS),
    "dense": (Dense, CHANNELS),
    "melius": (Melius, CHANNELS + 5),
    "real to binary": (RealToBinary, CHANNELS),
    "real to binary, rising": (lambda: RealToBinary(negative=0.0), CHANNELS),
    "a gate of the output, biases": (lambda: RealToBinary(bias=True, pools_output=True), CHANNELS),
    "squeeze and excitation": (SqueezeExcitation, CHANNELS),
    "quick": (Quick, CHANNELS),
    "relu before the norm": (between(nn.ReLU(), _norm()), CHANNELS),
    "norm, sigmoid": (between(_norm(), nn.Sigmoid()), CHANNELS),
    "a part": (between(_norm(), Channels(2, 7)), 5),
    "a part from behind": (between(_norm(), Channels(-3, CHANNELS)), 3),
}


def network(name: str) -> nn.Module:
    """A block in its network, in evaluation mode, γ of both signs and 0."""
    make, channels = BLOCKS[name]
    with torch.no_grad():
        return scramble(Block(make(), channels), SHAPE)
