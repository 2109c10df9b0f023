"""What a binarization researcher watches: flips, latent weights at the clip, balance, dead channels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bnn_train.binary.activations import quantize_input
from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.inspect.probe import observe


def packed_signs(model: nn.Module) -> dict[str, Tensor]:
    """Per binary layer ⌈n/8⌉ uint8: the latent weights' signs, a set bit for w < 0, first weight highest."""
    return {name: _pack(layer.weight) for name, layer in binary_layers(model)}


def _pack(weight: Tensor) -> Tensor:
    return torch.from_numpy(np.packbits((weight.detach() < 0).flatten().cpu().numpy()))


def flip_rates(model: nn.Module, previous: Mapping[str, Tensor]) -> dict[str, float]:
    """Per binary layer the share of weights whose sign is not that in ``previous`` (``packed_signs``)."""
    rates = {}
    for name, layer in binary_layers(model):
        if name in previous:
            changed = np.bitwise_xor(_pack(layer.weight).numpy(), previous[name].cpu().numpy())
            rates[name] = int(np.unpackbits(changed).sum()) / layer.weight.numel()
    return rates


@torch.no_grad()
def latent_statistics(model: nn.Module) -> dict[str, dict[str, float]]:
    """Per binary layer: ``positive``, the share of w ≥ 0; ``mean_abs``, mean |w|; and, where the method
    clips, ``at_clip``, the share of |w| ≥ clip, which no longer move away from zero."""
    result = {}
    for name, layer in binary_layers(model):
        w, clip = layer.weight.detach(), layer.method.latent.clip
        entry = {"positive": _share(~(w < 0)), "mean_abs": float(w.abs().mean())}
        if clip is not None:
            entry["at_clip"] = _share(w.abs() >= clip)
        result[name] = entry
    return result


def activation_statistics(model: nn.Module, images: Tensor) -> dict[str, dict[str, float]]:
    """Per layer that quantizes its input, over the normalized ``images`` (N×C×H×W): ``positive``, the
    share of inputs ≥ 0; ``dead``, the share of channels whose code is the same everywhere, so that
    they tell the layer nothing. The model is left as it was."""
    layers = {
        name: m for name, m in model.named_modules() if isinstance(m, BinaryLayer) and m.quantizes_input
    }
    result: dict[str, dict[str, float]] = {}

    def see(name: str, x: Tensor, _: Tensor) -> None:
        codes = quantize_input(x, layers[name].method.activation, training=False).transpose(0, 1).flatten(1)
        dead = codes.amin(dim=1) == codes.amax(dim=1)
        result[name] = {"positive": _share(~(x < 0)), "dead": _share(dead)}

    observe(model, images, layers.items(), see)
    return result


def _share(mask: Tensor) -> float:
    return int(mask.sum()) / mask.numel()
