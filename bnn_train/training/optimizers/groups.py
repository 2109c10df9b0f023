"""Parameter groups: real weights, latent weights by their factor on the rate, and what quantizers learn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from bnn_train.binary.latent import lr_scale
from bnn_train.binary.layers import BinaryLayer, binary_layers
from bnn_train.binary.learned import learned_groups
from bnn_train.spec.learning import Optimizer
from bnn_train.training.optimizers.kind import Groups


def parameter_groups(model: nn.Module, section: Optimizer, *, squared: bool) -> Groups:
    """Real parameters; latent weights by their factor on the rate, ``squared`` where the optimizer wants it;
    parameters that quantizers learn. None is empty.

    Weights that the section gives to an optimizer of their own are left out. A checkpoint names states by
    their place in this order, so that another kind of group may only be added behind the others.
    """
    latent, learned = [layer for _, layer in binary_layers(model)], list(learned_groups(model))
    elsewhere = {id(layer.weight) for layer in latent} | {id(p) for own in learned for p in own.parameters}
    real = [p for p in model.parameters() if id(p) not in elsewhere and p.requires_grad]
    groups = [group_of(real, 1.0, section.weight_decay)]
    if section.binary is None:
        groups += latent_groups(latent, section.weight_decay_binary, squared=squared)
    for own in learned:
        decay = section.weight_decay if own.weight_decay is None else own.weight_decay
        groups.append(group_of(own.parameters, own.rate, decay))
    return [group for group in groups if group["params"]]


def latent_groups(latent: Sequence[BinaryLayer], decay: float, *, squared: bool) -> Groups:
    """Latent weights grouped by their factor on the rate."""
    by_scale: dict[float, list[Tensor]] = defaultdict(list)
    for layer in latent:
        by_scale[lr_scale(layer, squared=squared)].append(layer.weight)
    return [group_of(weights, scale, decay) for scale, weights in by_scale.items()]


def group_of(parameters: Sequence[Tensor], scale: float, decay: float) -> dict[str, Any]:
    """A group of torch's; ``lr_scale`` and ``decay`` are what ``set_rate`` makes rate and weight decay of."""
    return {"params": list(parameters), "lr_scale": scale, "weight_decay": decay, "decay": decay}
