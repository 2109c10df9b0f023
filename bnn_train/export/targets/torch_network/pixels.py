"""From pixels to the numbers that the first layer reads, where it could not absorb that."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Preprocess(nn.Module):
    """A step on float32 pixels N×C×H×W."""

    mean: Tensor
    matrix: Tensor
    window: Tensor

    def __init__(self, step: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.kind, self.options = step["kind"], step["options"]
        for name, key in step["tensors"].items():
            self.register_buffer(name, tensors[key])
        self.register_buffer("window", tensors.get(f"gaussian.{self.options.get('kernel')}"))

    def extra_repr(self) -> str:
        """The kind."""
        return str(self.kind)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if self.kind == "scale01":
            return x / 255
        if self.kind == "signed":
            return x * torch.tensor(2 / 255) - 1
        if self.kind == "mean_std":
            mean, std = (getattr(self, name)[:, None, None] for name in ("mean", "std"))
            return torch.as_tensor((x / 255 - mean) / std)
        if self.kind == "pixel_mean":
            return torch.as_tensor(x / 255 - self.mean)
        if self.kind == "zca":
            return ((x.flatten(1) - self.mean) @ self.matrix).reshape(x.shape)
        return self._gcn(x) if self.kind == "gcn" else self._lcn(x)

    def _gcn(self, x: Tensor) -> Tensor:
        """Global contrast: each image less its mean, over its spread."""
        x = x - x.double().mean((1, 2, 3), keepdim=True).float()
        spread = x.double().square().sum((1, 2, 3), keepdim=True)
        if self.options["norm"] == "std":
            spread = spread / x[0].numel()
        divisor = ((spread + self.options["bias"]).sqrt() / self.options["scale"]).float()
        return x / torch.where(divisor < 1e-8, torch.ones_like(divisor), divisor)

    def _lcn(self, x: Tensor) -> Tensor:
        """Local contrast: each pixel less the mean around it, over the spread around it."""
        centred = x - self._filtered(x)
        # torch's own float32 root may miss by a bit
        norm = self._filtered(x * x).double().sqrt().float()
        floor = norm.double().mean((2, 3), keepdim=True).float()
        limit = torch.tensor(self.options["threshold"], dtype=x.dtype, device=x.device)
        return centred / torch.maximum(torch.maximum(norm, floor), limit)

    def _filtered(self, x: Tensor) -> Tensor:
        """Every channel through a Gaussian of σ = 2, zeros around the image."""
        half, (height, width) = len(self.window) // 2, x.shape[2:]
        padded, found = F.pad(x, (half, half, half, half)), torch.zeros_like(x)
        for row, line in enumerate(self.window):
            for column, weight in enumerate(line):
                found = found + weight * padded[:, :, row : row + height, column : column + width]
        return found
