"""Somebody's plain network with its convolutions and dense layers made a method's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from bnn_train.binary.arguments import method_of
from bnn_train.binary.latent import enforce, number
from bnn_train.binary.layers import BinaryConv2d, BinaryLayer, BinaryLinear
from bnn_train.binary.output_scales import fit_factors
from bnn_train.spec.method import Method, Role

Roles = Mapping[str, Role | None]


def binarize(
    model: nn.Module,
    method: Method | str,
    *,
    roles: Roles | None = None,
    keep_weights: bool = True,
    keep_relu: bool = False,
    shape: Sequence[int] | None = None,
) -> nn.Module:
    """Replace every ``nn.Conv2d`` and ``nn.Linear`` of a network by the method's layer, in place; return it.

    The first such layer has the role ``first``, the last ``last``, the others ``body``; the method's scope
    says which roles stay real. After each step of your optimizer, call ``enforce(model)``.

    ``roles``: others, by glob (``{"*.downsample.*": "downsample"}``), or None for layers to be left alone.
    ``keep_weights``: latent weights begin as the network's; otherwise the method draws them.
    ``keep_relu``: ``nn.ReLU`` modules stay. By default they go where the method's quantizer is the
    nonlinearity: sign(ReLU(x)) is +1 for every x.
    ``shape``: C×H×W of the images, for methods that learn a factor for each pixel (XNOR-Net++).

    Raises ValueError for a method or a role that there is none of, or a glob that fits no layer.
    """
    row = method_of(method)
    for name, layer, role in list(_placed(model, roles or {})):
        if not (row.binarizes(role) or row.quantizes_input(role)):
            continue
        made = _made(layer, row, role)
        if keep_weights:
            _adopt(layer, made)
        _put(model, name, made.output_scale.around(made) if made.quantizes_input else made)
    if row.quantizes_input("body") and not row.activation.only_rounds and not keep_relu:
        for name, module in list(model.named_modules()):
            if type(module) is nn.ReLU:
                _put(model, name, nn.Identity())
    number(model)
    if shape is not None:
        training = model.training
        fit_factors(model, shape)
        model.train(training)
    enforce(model)
    return model


def _placed(model: nn.Module, roles: Roles) -> Iterator[tuple[str, nn.Conv2d | nn.Linear, Role]]:
    """The plain layers that become the method's, each with its role."""
    plain = [
        (name, module) for name, module in model.named_modules() if type(module) in (nn.Conv2d, nn.Linear)
    ]
    unused = [glob for glob in roles if not any(fnmatchcase(name, glob) for name, _ in plain)]
    if unused:
        raise ValueError(
            f"roles: no layer is named {unused[0]!r}; there are {', '.join(name for name, _ in plain)}"
        )
    for index, (name, module) in enumerate(plain):
        ends: Role = "first" if index == 0 else "last" if index == len(plain) - 1 else "body"
        role = next((role for glob, role in roles.items() if fnmatchcase(name, glob)), ends)
        if role is not None and isinstance(module, nn.Conv2d | nn.Linear):
            yield name, module, role


def _made(layer: nn.Conv2d | nn.Linear, method: Method, role: Role) -> BinaryLayer:
    options: dict[str, Any] = {
        "bias": layer.bias is not None,
        "device": layer.weight.device,
        "dtype": layer.weight.dtype,
    }
    if isinstance(layer, nn.Linear):
        made: BinaryLayer = BinaryLinear(
            layer.in_features, layer.out_features, **options, method=method, role=role
        )
    else:
        make: Callable[..., BinaryLayer] = BinaryConv2d
        sizes = (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
        walk = {"dilation": layer.dilation, "groups": layer.groups, "padding_mode": layer.padding_mode}
        made = make(*sizes, **walk, **options, method=method, role=role)
    return made.train(layer.training)


@torch.no_grad()
def _adopt(layer: nn.Conv2d | nn.Linear, made: BinaryLayer) -> None:
    """The plain layer's weights as latent ones; learned factors begin anew, to suit them."""
    if made.weight.shape != layer.weight.shape:
        return  # one stored filter for several rotations: there is none to take over
    made.weight.copy_(layer.weight)
    if made.bias is not None and layer.bias is not None:
        made.bias.copy_(layer.bias)
    made.start_learned()


def _put(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    if not name:
        raise ValueError("the network is a single layer; make a BinaryConv2d or BinaryLinear of it by hand")
    setattr(model.get_submodule(parent), last, module)
