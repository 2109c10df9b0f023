"""Factors on the output of a product, beside the scale of its weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bnn_train.binary.deviation import DividedByDeviation
from bnn_train.binary.expected_deviation import InExpectedDeviations
from bnn_train.binary.gate import GatedConv2d
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

    @property
    def refusal(self) -> str:
        """Why a packed file cannot hold its factors, a clause that follows the layer's name; empty where it
        can."""
        return ""

    @property
    def sized(self) -> bool:
        """Whether its parameters have the shape that they need."""
        return True

    @property
    def channels(self) -> Tensor | None:
        """Learned factors of the output channels alone, which an export may store; None for none."""
        return None

    def initialise(self) -> None:
        """Set what is learned to where training starts."""

    def scaled(self, y: Tensor) -> Tensor:
        """A layer's output N×O×H×W or N×O times what is learned."""
        return y

    def around(self, layer: nn.Module) -> nn.Module:
        """The binary layer, or a module that holds it and multiplies its output."""
        return layer


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


@OUTPUT_SCALES.builds(spec.Factored)
class Factored(OutputScale):
    """y ⊙ Γ, Γ the product of learned factors that start at 1 (XNOR-Net++, arXiv 1909.13863 §3.2): Γ = α[c];
    Γ[c,h,w]; α[c]·β[h,w]; or α[c]·β[h]·γ[w], the paper's choice. A dense layer has α alone.

    Factors of places fix the size of the map. They take that of the first map that they see, for networks at
    ``models.build``."""

    def __init__(self, spec: spec.Factored) -> None:
        super().__init__(spec)
        self.parts, self.told = spec.parts, f"output_scale: {spec.name}"
        for part in spec.parts:
            self.register_parameter(part, None)

    @property
    def sized(self) -> bool:
        return next(self.parameters(), None) is not None

    @property
    def refusal(self) -> str:
        if {name for name, _ in self.named_parameters()} <= {"c"}:  # none in a layer with a real input
            return ""
        return (
            f"{self.told} has factors for each place of the map, which"
            " the packed program has no step for; train with over: channel"
        )

    @property
    def channels(self) -> Tensor | None:
        c: Tensor | None = getattr(self, "c", None)
        return c

    @torch.no_grad()
    def initialise(self) -> None:
        for factors in self.parameters():
            factors.fill_(1)

    def scaled(self, y: Tensor) -> Tensor:
        sizes = dict(zip("chw", y.shape[1:], strict=False))
        if not self.sized:
            self._fit(sizes, y)
        product: Tensor | float = 1.0
        for part, factors in self.named_parameters(recurse=False):
            if tuple(factors.shape) != tuple(sizes[axis] for axis in part):
                known, found = ("×".join(map(str, size)) for size in (factors.shape, y.shape[1:]))
                raise RuntimeError(
                    f"{self.told} learned {known} factors ({part}), the output is {found};"
                    " images must have the size that it was trained with"
                )
            product = product * factors.view([sizes[axis] if axis in part else 1 for axis in sizes])
        return y * product

    def _fit(self, sizes: dict[str, int], y: Tensor) -> None:
        """Make the factors; a dense layer has those of channels, which every case begins with."""
        for part in self.parts:
            known = [axis for axis in part if axis in sizes]
            if known:
                shape = [sizes[axis] for axis in known]
                name = "".join(known)
                self.register_parameter(name, nn.Parameter(torch.ones(shape, dtype=y.dtype, device=y.device)))


@OUTPUT_SCALES.builds(spec.Gate)
class Gate(OutputScale):
    """σ(W₂·relu(W₁·x̄)), x̄ the means of the real input: a convolution in ``GatedConv2d``."""

    def __init__(self, spec: spec.Gate) -> None:
        super().__init__(spec)
        self.reduction = spec.reduction

    def around(self, layer: nn.Module) -> nn.Module:
        if not isinstance(layer, nn.Conv2d) or layer.input_quantizer is None:
            return layer
        return GatedConv2d(layer, self.reduction)


@OUTPUT_SCALES.builds(spec.Deviation)
class Deviation(OutputScale):
    """1/σ while training, σ the deviation of a neuron's sum, in ``DividedByDeviation``; the sums of the last
    layer are logits and stay as they are."""

    def around(self, layer: nn.Module) -> nn.Module:
        return layer if getattr(layer, "role", "") == "last" else DividedByDeviation(layer)


@OUTPUT_SCALES.builds(spec.ExpectedDeviation)
class ExpectedDeviation(OutputScale):
    """1/σ while training, σ the deviation of a sum of signs, in ``InExpectedDeviations``; also of the last
    layer, whose classes are neurons like the others."""

    def around(self, layer: nn.Module) -> nn.Module:
        return InExpectedDeviations(layer)


@torch.no_grad()
def fit_factors(model: nn.Module, shape: Sequence[int]) -> None:
    """Give factors that have none yet the size of their maps, by a zero image C×H×W in evaluation mode."""
    if all(module.sized for module in model.modules() if isinstance(module, OutputScale)):
        return
    model.eval()
    model(next(model.parameters()).new_zeros(1, *shape))
    model.train()
