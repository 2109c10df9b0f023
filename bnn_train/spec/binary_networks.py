"""The networks that were drawn for binary layers: ResNetE, BinaryDenseNet, MeliusNet, QuickNet."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bnn_train.spec.network_options import Options
from bnn_train.spec.scalars import Count

SMALL_STEM_BELOW = 50
"""Pixels below which Larq's networks take a single 3×3 convolution for their stem."""


class Stemmed(Options):
    """Networks of Bethge et al. and of Larq, whose stems depend on the image."""

    residual: ClassVar[bool] = True
    usual: ClassVar[str] = "imagenet"
    """The stem from `SMALL_STEM_BELOW` pixels up."""

    stem: Literal["auto", "imagenet", "grouped", "small"] = "auto"
    """`imagenet`: 7×7/2 and max-pool; `grouped`: three 3×3, the first with stride 2, the others in groups,
    and max-pool; `small`: one 3×3 without norm or pooling; `auto`: that of the paper from 50 pixels up, below
    them `small`."""
    width: Count = 64
    """Channels of the stem, with which all others scale; a grouped stem wants a multiple of 16."""

    def stem_of(self, side: int) -> str:
        """The stem for images of so many pixels along their shorter side."""
        if self.stem != "auto":
            return self.stem
        return "small" if side < SMALL_STEM_BELOW else self.usual


class ResNetE18(Stemmed):
    """ResNetE-18 (Bethge et al.): a shortcut around every convolution, real 1×1 where widths change."""

    convolutions: ClassVar[tuple[int, ...]] = (4, 4, 4, 4)
    name: Literal["resnete18"]


class ResNetE34(ResNetE18):
    """ResNetE-34."""

    convolutions: ClassVar[tuple[int, ...]] = (6, 8, 12, 6)
    name: Literal["resnete34"]  # type: ignore[assignment]  # narrows the tag of the same options


class BinaryDenseNet28(Stemmed):
    """BinaryDenseNet-28 (Bethge et al.): each convolution adds `width` channels to all before it."""

    layers: ClassVar[tuple[int, ...]] = (6, 6, 6, 5)
    reductions: ClassVar[tuple[float, ...]] = (2.7, 2.7, 2.2)
    """By what a transition divides the channels."""
    name: Literal["binarydensenet28"]


class BinaryDenseNet37(BinaryDenseNet28):
    """BinaryDenseNet-37."""

    layers: ClassVar[tuple[int, ...]] = (6, 8, 12, 6)
    reductions: ClassVar[tuple[float, ...]] = (3.3, 3.3, 4)
    name: Literal["binarydensenet37"]  # type: ignore[assignment]


class BinaryDenseNet45(BinaryDenseNet28):
    """BinaryDenseNet-45."""

    layers: ClassVar[tuple[int, ...]] = (6, 12, 14, 8)
    reductions: ClassVar[tuple[float, ...]] = (2.7, 3.3, 4)
    name: Literal["binarydensenet45"]  # type: ignore[assignment]


class MeliusNet22(Stemmed):
    """MeliusNet-22: pairs of a dense block, which adds `width` channels, and one that improves them."""

    usual: ClassVar[str] = "grouped"
    blocks: ClassVar[tuple[int, ...]] = (4, 5, 4, 4)
    transitions: ClassVar[tuple[int, ...]] = (160, 224, 256)
    """Channels behind each transition, at width 64."""
    name: Literal["meliusnet22"]


class MeliusNet29(MeliusNet22):
    """MeliusNet-29."""

    blocks: ClassVar[tuple[int, ...]] = (4, 6, 8, 6)
    transitions: ClassVar[tuple[int, ...]] = (128, 192, 256)
    name: Literal["meliusnet29"]  # type: ignore[assignment]


class MeliusNet42(MeliusNet22):
    """MeliusNet-42."""

    blocks: ClassVar[tuple[int, ...]] = (5, 8, 14, 10)
    transitions: ClassVar[tuple[int, ...]] = (160, 256, 416)
    name: Literal["meliusnet42"]  # type: ignore[assignment]


class MeliusNet59(MeliusNet22):
    """MeliusNet-59."""

    blocks: ClassVar[tuple[int, ...]] = (6, 12, 24, 12)
    transitions: ClassVar[tuple[int, ...]] = (192, 320, 544)
    name: Literal["meliusnet59"]  # type: ignore[assignment]


StemmedNetwork = ResNetE18 | BinaryDenseNet28 | MeliusNet22


class QuickNet(Options):
    """QuickNet (Larq Zoo): depthwise stem, blurred transitions, ReLU between binary convolution and norm."""

    residual: ClassVar[bool] = True
    sections: ClassVar[dict[str, tuple[int, ...]]] = {
        "small": (4, 4, 4, 4),
        "medium": (4, 4, 4, 4),
        "large": (6, 8, 12, 6),
    }
    channels: ClassVar[dict[str, tuple[int, ...]]] = {
        "small": (32, 64, 256, 512),
        "medium": (64, 128, 256, 512),
        "large": (64, 128, 256, 512),
    }
    name: Literal["quicknet"]
    size: Literal["small", "medium", "large"] = "medium"
    """QuickNetSmall, QuickNet, QuickNetLarge."""
    stem: Literal["auto", "imagenet", "small"] = "auto"
    """`imagenet`: 3×3/2, depthwise 3×3/2, 1×1; `small`: one 3×3 with a norm; `auto`: `small` below 50
    pixels."""
    width: int = Field(default=64, ge=8)
    """Channels of the first section of the two larger ones, with which all others scale."""

    def stem_of(self, side: int) -> str:
        """The stem for images of so many pixels along their shorter side."""
        if self.stem != "auto":
            return self.stem
        return "small" if side < SMALL_STEM_BELOW else "imagenet"

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each section."""
        return tuple(n * self.width // 64 for n in self.channels[self.size])
