"""The networks by name and their options: data only, no torch. ``build`` makes modules of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from bnn_train.spec.binary_networks import (
    BinaryDenseNet28,
    BinaryDenseNet37,
    BinaryDenseNet45,
    MeliusNet22,
    MeliusNet29,
    MeliusNet42,
    MeliusNet59,
    QuickNet,
    ResNetE18,
    ResNetE34,
)
from bnn_train.spec.network_options import IMAGENET_FROM, Options
from bnn_train.spec.scalars import Count, Rate


class MLP(Options):
    """Fully connected: `depth` hidden layers of `width` units (BinaryConnect, BNN, LAB)."""

    least: ClassVar[int] = 1
    dense: ClassVar[bool] = True
    squeezes: ClassVar[bool] = True
    name: Literal["mlp"]
    width: Count = 2048
    depth: Count = 3
    dropout_input: Rate = 0.0
    """Dropout on the image."""
    dropout: Rate = 0.0
    """Dropout on the input of every other layer, after its quantizer."""


class LeNet5(Options):
    """LeNet-5 of the XNOR-Net port: conv 20, conv 50, dense 500, dense classes."""

    least: ClassVar[int] = 16  # 16 → 12 → 6 → 2 → 1
    squeezes: ClassVar[bool] = True
    name: Literal["lenet5"]


class ConvNet(Options):
    """The BinaryConnect ConvNet: (2×w C3)-MP2-(2×2w C3)-MP2-(2×4w C3)-MP2-(2×1024 FC)-classes."""

    squeezes: ClassVar[bool] = True
    name: Literal["convnet"]
    width: Count = 128
    """128 for CIFAR-10; 64 for SVHN (only the convolutions halve)."""


class VGGSmall(Options):
    """VGG-Small: the ConvNet's convolutions and a single dense layer."""

    squeezes: ClassVar[bool] = True
    name: Literal["vgg_small"]
    width: Count = 128


class TinyConvNet(Options):
    """Convolutions for 2 kB of memory: (w C5/2)-(2w C3)-MP2-(2w C3)-MP2-classes, no biases."""

    least: ClassVar[int] = 8  # 8 → 4 → 2 → 1
    squeezes: ClassVar[bool] = True
    name: Literal["tiny_convnet"]
    width: Count = 32


class NIN(Options):
    """Network in Network, the XNOR-Net port's layout for CIFAR-10."""

    squeezes: ClassVar[bool] = True
    name: Literal["nin"]
    dropout: Rate = 0.5


class AlexNet(Options):
    """AlexNet in XNOR-Net's layout: no groups, no LRN, dense layers as convolutions.

    From 64 pixels up the paper's 11×11/4 stem; below that a 3×3/1 stem for small images.
    """

    least: ClassVar[int] = 15  # small stem: 15 → 7 → 3 → 1
    square: ClassVar[bool] = True
    squeezes: ClassVar[bool] = True
    name: Literal["alexnet"]
    dropout: Rate = 0.0
    """Channel dropout before fc6 and fc7 (0.1 for BWN)."""
    channels: tuple[Count, Count, Count, Count, Count, Count, Count] = Field(
        default=(96, 256, 384, 384, 256, 4096, 4096), strict=False
    )
    """Outputs of conv1 to conv5, fc6 and fc7."""
    width: float = Field(default=1.0, gt=0)
    """Multiplies all of them."""


class Extraction(Options):
    """Darknet's Extraction network, the "GoogLeNet variant" of XNOR-Net: 21 convolutions.

    From 64 pixels up a 7×7/2 stem with pooling; below that a 3×3/1 stem for small images.
    """

    least: ClassVar[int] = 16  # four poolings by 2
    squeezes: ClassVar[bool] = True
    name: Literal["extraction"]
    width: float = Field(default=1.0, gt=0)
    """Multiplies every width."""


class ResNet18(Options):
    """ResNet-18."""

    residual: ClassVar[bool] = True

    squeezes: ClassVar[bool] = True
    name: Literal["resnet18"]
    stem: Literal["auto", "imagenet", "small"] = "auto"
    """`imagenet`: 7×7/2 and max-pool; `small`: 3×3/1; `auto`: `imagenet` from 64 pixels up."""
    shortcut: Literal["A", "B"] = "B"
    """Where the shape changes. `A`: subsample and pad channels with zeros; `B`: 1×1 convolution."""
    width: Count = 64

    def small_stem(self, side: int) -> bool:
        """Whether images of so many pixels along their shorter side get the stem for small images."""
        return self.stem == "small" or (self.stem == "auto" and side < IMAGENET_FROM)

    @property
    def least_pixels(self) -> int:
        """ImageNet's stem quarters the map before the stages halve it thrice."""
        return 32 if self.stem == "imagenet" else self.least


class ResNet34(ResNet18):
    """ResNet-34."""

    name: Literal["resnet34"]  # type: ignore[assignment]  # narrows the tag of the same options


class ResNet20(Options):
    """ResNet-20 for 32-pixel images: three stages of three blocks."""

    residual: ClassVar[bool] = True

    squeezes: ClassVar[bool] = True
    name: Literal["resnet20"]
    shortcut: Literal["A", "B"] = "A"
    width: Count = 16


class ReActNetA(Options):
    """ReActNet-A: MobileNet's widths, each block a 3×3 and a 1×1 convolution with shortcuts of their own.

    From 64 pixels up a 3×3/2 stem; below that 3×3/1."""

    residual: ClassVar[bool] = True

    name: Literal["reactnet_a"]
    width: Count = 32
    """Of the stem; the blocks have up to 32 times as many channels."""


Network = Annotated[
    MLP
    | LeNet5
    | ConvNet
    | VGGSmall
    | TinyConvNet
    | NIN
    | AlexNet
    | Extraction
    | ResNet18
    | ResNet34
    | ResNet20
    | ResNetE18
    | ResNetE34
    | BinaryDenseNet28
    | BinaryDenseNet37
    | BinaryDenseNet45
    | MeliusNet22
    | MeliusNet29
    | MeliusNet42
    | MeliusNet59
    | QuickNet
    | ReActNetA,
    Field(discriminator="name"),
]
NETWORKS: dict[str, type[Options]] = {
    cls.model_fields["name"].annotation.__args__[0]: cls for cls in get_args(get_args(Network)[0])
}
