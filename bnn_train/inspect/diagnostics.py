"""Diagnostics of a binarized network: flips, latent weights at the clip, balance, dead channels.

All but the magnitudes read codes, as the forward pass multiplies with them, never the latent sign.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.inspect.probe import observe


def packed_codes(model: nn.Module) -> dict[str, Tensor]:
    """Per binary layer ⌈P·n/8⌉ uint8: the weight's codes as P planes of signs, a set bit for −1, first weight
    of the first plane highest. One plane for signs; a ternary code has two."""
    return {name: _packed(layer) for name, layer in binary_layers(model)}


def _packed(layer: BinaryLayer) -> Tensor:
    signs, _, _ = layer.codes().planes()
    return torch.from_numpy(np.packbits((signs < 0).flatten().cpu().numpy()))


def flip_rates(model: nn.Module, previous: Mapping[str, Tensor]) -> dict[str, float]:
    """Flip rate per layer: the share of its weights whose code is not that in ``previous``
    (``packed_codes``).

    Layers whose codes had another number of planes are left out.
    """
    rates = {}
    for name, layer in binary_layers(model):
        now, n = _packed(layer).numpy(), layer.weight.numel()
        before = previous[name].cpu().numpy() if name in previous else None
        if before is None or before.shape != now.shape:
            continue
        changed = np.unpackbits(np.bitwise_xor(now, before))
        planes = changed[: len(changed) // n * n].reshape(-1, n)
        rates[name] = int(planes.any(axis=0).sum()) / n
    return rates


@torch.no_grad()
def latent_statistics(model: nn.Module) -> dict[str, dict[str, float]]:
    """Per binary layer: ``positive``, the share of weights whose code is above 0, those at 0 counting half;
    ``mean_abs``, mean |w|; and, where the method clips, ``at_clip``, the share of |w| ≥ clip, which no longer
    move away from zero."""
    result = {}
    for name, layer in binary_layers(model):
        w, clip = layer.weight.detach(), layer.method.latent.clip
        entry = {"positive": positive_share(layer.codes().value), "mean_abs": float(w.abs().mean())}
        if clip is not None:
            entry["at_clip"] = share(w.abs() >= clip)
        result[name] = entry
    return result


def activation_statistics(model: nn.Module, images: Tensor) -> dict[str, dict[str, float]]:
    """Per layer that quantizes its input, over the normalized ``images`` (N×C×H×W): ``positive``, the share
    of inputs ≥ 0; ``dead``, the share of channels whose code is the same everywhere, so that they tell the
    layer nothing. The model is left as it was."""
    layers = {
        name: m for name, m in model.named_modules() if isinstance(m, BinaryLayer) and m.quantizes_input
    }
    result: dict[str, dict[str, float]] = {}

    def see(name: str, x: Tensor, _: Tensor) -> None:
        codes = input_codes(layers[name], x).transpose(0, 1).flatten(1)
        dead = codes.amin(dim=1) == codes.amax(dim=1)
        result[name] = {"positive": share(~(x < 0)), "dead": share(dead)}

    observe(model, images, layers.items(), see)
    return result


def input_codes(layer: BinaryLayer, x: Tensor) -> Tensor:
    """The quantized input of a layer, without draws; in the shape of ``x``.

    Raises TypeError for a layer that reads its input as it is.
    """
    if layer.input_quantizer is None:
        raise TypeError(f"{type(layer).__name__} of role {layer.role} has a real input")
    return layer.input_quantizer.decompose(x).value


def positive_share(codes: Tensor) -> float:
    """The share of numbers above 0, those at 0 counting half."""
    return (int((codes > 0).sum()) + 0.5 * int((codes == 0).sum())) / codes.numel()


def share(mask: Tensor) -> float:
    """The share of what is true."""
    return int(mask.sum()) / mask.numel()
