"""Normalization of uint8 pixels to the network's input: the steps of ``data.normalize``, in order.

Statistics are fitted on the whole training file (before the validation split, as pylearn2's preparation
of the BinaryConnect data does) and travel with the model, so that evaluation needs no training images.
An image's result does not depend on the batch it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from bnn_train.errors import CheckpointError, DataError
from bnn_train.spec.data import GCN, LCN, ZCA, Data, MeanStd, PixelMean, Scale01, Signed
from bnn_train.spec.datasets import DATASETS
from bnn_train.spec.inputs import input_shape

Step = Scale01 | Signed | MeanStd | PixelMean | GCN | ZCA | LCN
State = dict[str, Tensor]
_CHUNK = 1000


class Normalizer:
    """The fitted steps. Called with uint8 B×C×H×W it gives float32 of the same shape, channels last."""

    def __init__(
        self,
        steps: Sequence[Step],
        *,
        shape: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
    ) -> None:
        """``shape``: C×H×W of the images. ``mean``, ``std``: the data set's own, in [0, 1] per channel or one
        for all, where a step names none. Raises DataError for a step that does not fit the shape."""
        self.needs_statistics = not (mean and std) and any(
            isinstance(step, MeanStd) and not (step.mean and step.std) for step in steps
        )
        self._given = tuple(steps)
        mean, std = mean or (0.5,), std or (0.5,)
        self.steps = tuple(_resolved(step, shape[0], mean, std) for step in steps)
        self.shape = shape
        self.device = device
        self._states: list[State] = [_constants(step, device) for step in self.steps]

    @classmethod
    def of(cls, config: Data, device: torch.device) -> Self:
        """The steps of a data section with its data set's statistics, not yet fitted."""
        row, own = DATASETS[config.name], config.statistics
        mean, std = (row.mean, row.std) if own is None else (own.mean, own.std)
        return cls(config.normalize, shape=input_shape(config), mean=mean, std=std, device=device)

    @property
    def needs_fit(self) -> bool:
        """Whether a step's statistics come from the training images."""
        return any(isinstance(step, PixelMean | ZCA) for step in self.steps)

    def measured(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take over the statistics of images that have none of their own."""
        self.steps = tuple(_resolved(step, self.shape[0], mean, std) for step in self._given)
        self._states = [_constants(step, self.device) for step in self.steps]
        self.needs_statistics = False

    def fit(self, images: Tensor) -> None:
        """Fit the steps on uint8 N×C×H×W, each on the output of those before it."""
        for index, step in enumerate(self.steps):
            if isinstance(step, PixelMean):
                self._states[index] = {"mean": self._mean(images, index).div(255).float()}
            elif isinstance(step, ZCA):
                self._states[index] = self._whitening(images, index, step.bias)

    def __call__(self, images: Tensor) -> Tensor:
        return self._partial(images, len(self.steps)).contiguous(memory_format=torch.channels_last)

    def state(self) -> State:
        """Everything that the steps computed or were given, by ``<position>.<name>``."""
        return {f"{i}.{name}": t for i, state in enumerate(self._states) for name, t in state.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state. Raises CheckpointError where it is that of other steps."""
        expected = {
            f"{i}.{name}": size
            for i, step in enumerate(self.steps)
            for name, size in _sizes(step, self.shape).items()
        }
        found = {name: tuple(t.shape) for name, t in state.items()}
        if found != expected:
            raise CheckpointError(
                f"the stored preprocessing ({_listed(found)}) does not fit"
                f" data.normalize ({_listed(expected)}); give the config that the model was trained with"
            )
        for i, own in enumerate(self._states):
            own.update(
                {n.partition(".")[2]: t.to(self.device) for n, t in state.items() if n.startswith(f"{i}.")}
            )

    def _partial(self, images: Tensor, steps: int) -> Tensor:
        x = images.to(torch.float32)
        for step, state in zip(self.steps[:steps], self._states, strict=False):
            x = _APPLY[type(step)](step, state, x)
        return x

    def _mean(self, images: Tensor, steps: int) -> Tensor:
        """float64 C×H×W mean of the first steps' output."""
        outputs = (self._partial(chunk.to(self.device), steps) for chunk in chunks(images))
        return torch.stack([x.double().sum(dim=0) for x in outputs]).sum(dim=0) / len(images)

    def _whitening(self, images: Tensor, steps: int, bias: float) -> State:
        """The ZCA matrix V·diag(1/√(λ + bias))·Vᵀ of the covariance (divided by N), and the mean."""
        mean = self._mean(images, steps).flatten()
        covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=self.device)
        for chunk in chunks(images):
            x = self._partial(chunk.to(self.device), steps).flatten(1) - mean.float()
            covariance += x.T @ x
        values, vectors = torch.linalg.eigh(covariance / len(images))
        matrix = (vectors * (values.clamp_min(0) + bias).rsqrt()) @ vectors.T
        return {"mean": mean.float(), "matrix": matrix.float()}


def chunks(images: Tensor) -> Iterator[Tensor]:
    """The images in order, some at a time, so that their float32 copies stay small."""
    return (images[at : at + _CHUNK] for at in range(0, len(images), _CHUNK))


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return (
        ", ".join(f"{name} {'×'.join(map(str, size))}" for name, size in sorted(shapes.items())) or "nothing"
    )


def _resolved(step: Step, channels: int, mean: Sequence[float], std: Sequence[float]) -> Step:
    """The step with nothing left open."""
    if isinstance(step, LCN) and step.kernel % 2 == 0:
        raise DataError(f"data.normalize: lcn's kernel is {step.kernel}; it needs a middle, so make it odd")
    if not isinstance(step, MeanStd):
        return step
    means, stds = _per_channel(step.mean or mean, channels), _per_channel(step.std or std, channels)
    return step.model_copy(update={"mean": means, "std": stds})


def _per_channel(values: Sequence[float], channels: int) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise DataError(
            f"data.normalize: mean_std has {len(values)} values for {channels} channels; give one for each"
        )
    return tuple(values) * (channels // len(values))


def _constants(step: Step, device: torch.device) -> State:
    """The numbers that a step has before any image is seen."""
    if not isinstance(step, MeanStd):
        return {}
    return {
        "mean": torch.tensor(step.mean, dtype=torch.float32, device=device),
        "std": torch.tensor(step.std, dtype=torch.float32, device=device),
    }


def _sizes(step: Step, shape: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """The shapes of a step's state for images C×H×W."""
    channels, height, width = shape
    pixels = channels * height * width
    match step:
        case MeanStd():
            return {"mean": (channels,), "std": (channels,)}
        case PixelMean():
            return {"mean": shape}
        case ZCA():
            return {"mean": (pixels,), "matrix": (pixels, pixels)}
    return {}


# ---------------------------------------------------------------------- the steps, on float32 B×C×H×W


def _unit(_step: Scale01, _state: State, x: Tensor) -> Tensor:
    return x / 255


def _signed(_step: Signed, _state: State, x: Tensor) -> Tensor:
    return x * (2 / 255) - 1


def _mean_std(_step: MeanStd, state: State, x: Tensor) -> Tensor:
    return (x / 255).sub_(_plane(state["mean"], x)).div_(_plane(state["std"], x))


def _plane(numbers: Tensor, x: Tensor) -> Tensor:
    """One number per channel, to be combined with ``x``; as a whole image where channels lie last, since to
    repeat three numbers for each pixel takes five times as long."""
    plane = numbers.view(-1, 1, 1)
    if x.is_contiguous():
        return plane
    return plane.expand(1, *x.shape[1:]).contiguous(memory_format=torch.channels_last)


def _pixel_mean(_step: PixelMean, state: State, x: Tensor) -> Tensor:
    return x / 255 - state["mean"]


def _gcn(step: GCN, _state: State, x: Tensor) -> Tensor:
    """pylearn2's ``global_contrast_normalize``; a constant image stays zero."""
    flat = x.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    power = flat.square()
    spread = power.sum(dim=1, keepdim=True) if step.norm == "l2" else power.mean(dim=1, keepdim=True)
    divisor = (spread + step.bias).sqrt() / step.scale
    divisor = torch.where(divisor < 1e-8, torch.ones_like(divisor), divisor)  # its min_divisor
    return (flat / divisor).view_as(x)


_ROWS = 32
"""BLAS takes another path, with other last bits, for fewer rows."""


def _zca(_step: ZCA, state: State, x: Tensor) -> Tensor:
    flat = x.flatten(1) - state["mean"]
    missing = max(0, _ROWS - len(flat))
    padded = torch.cat([flat, flat.new_zeros(missing, flat.shape[1])]) if missing else flat
    return (padded @ state["matrix"])[: len(flat)].view_as(x)


def _lcn(step: LCN, _state: State, x: Tensor) -> Tensor:
    """pylearn2's ``lecun_lcn``, channel by channel, zeros around the image.

    The divisor is the windowed norm of the image itself, not of the centred one: that is the code the
    published numbers were made with.
    """
    batch, channels, height, width = x.shape
    planes = x.reshape(batch * channels, 1, height, width)
    window = _gaussian(step.kernel, x.device)
    centred = planes - conv2d(planes, window, padding=step.kernel // 2)
    norm = conv2d(planes.square(), window, padding=step.kernel // 2).sqrt()
    divisor = torch.maximum(norm, norm.mean(dim=(2, 3), keepdim=True)).clamp_min(step.threshold)
    return (centred / divisor).view_as(x)


def _gaussian(size: int, device: torch.device, sigma: float = 2.0) -> Tensor:
    """1×1×size×size window that sums to 1; pylearn2's σ is 2."""
    at = torch.arange(size, dtype=torch.float64, device=device) - size // 2
    line = torch.exp(-at.square() / (2 * sigma**2))
    plane = torch.outer(line, line)
    return (plane / plane.sum()).float().view(1, 1, size, size)


_APPLY: dict[type, Callable[[Any, State, Tensor], Tensor]] = {
    Scale01: _unit,
    Signed: _signed,
    MeanStd: _mean_std,
    PixelMean: _pixel_mean,
    GCN: _gcn,
    ZCA: _zca,
    LCN: _lcn,
}
