"""The table of networks, and the module that a network's options describe."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bnn_train.binary.factory import Layers
from bnn_train.binary.latent import number
from bnn_train.binary.layers import binary_layers
from bnn_train.binary.output_scales import fit_factors
from bnn_train.errors import BnnError
from bnn_train.models.alexnet import alexnet
from bnn_train.models.convnet import convnet, vgg_small
from bnn_train.models.densenet import densenet
from bnn_train.models.extraction import extraction
from bnn_train.models.init import CHOSEN, initialise_real
from bnn_train.models.lenet import lenet5
from bnn_train.models.meliusnet import meliusnet
from bnn_train.models.mlp import mlp
from bnn_train.models.nin import nin
from bnn_train.models.quicknet import quicknet
from bnn_train.models.reactnet import reactnet_a
from bnn_train.models.resnet import resnet18, resnet20, resnet34
from bnn_train.models.resnete import resnete
from bnn_train.models.sizes import Shape
from bnn_train.models.tiny import tiny_convnet
from bnn_train.spec.method import Method
from bnn_train.spec.networks import Network
from bnn_train.spec.outside import maker_of

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "mlp": mlp,
    "lenet5": lenet5,
    "convnet": convnet,
    "vgg_small": vgg_small,
    "tiny_convnet": tiny_convnet,
    "nin": nin,
    "alexnet": alexnet,
    "extraction": extraction,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet20": resnet20,
    **dict.fromkeys(("resnete18", "resnete34"), resnete),
    **dict.fromkeys(("binarydensenet28", "binarydensenet37", "binarydensenet45"), densenet),
    **dict.fromkeys(("meliusnet22", "meliusnet29", "meliusnet42", "meliusnet59"), meliusnet),
    "quicknet": quicknet,
    "reactnet_a": reactnet_a,
}


def build(network: Network, method: Method, shape: Shape, classes: int) -> nn.Module:
    """A network whose layers are the method's, freshly initialised; N×C×H×W → N×classes logits.

    ``shape`` is C×H×W. Raises BnnError if its maps would vanish in the network's poolings, if it is not
    square where it must be, or if the method makes filters of others and none of the network's may be so
    made.
    """
    make: Callable[..., nn.Module] = BUILDERS.get(network.name) or maker_of(type(network))
    model = make(network, Layers(method), shape, classes)
    draw = CHOSEN[network.init]
    if draw is not None:
        initialise_real(model, draw)
    _check_copies(network, method, model)
    number(model)
    fit_factors(model, shape)
    return model


def _check_copies(network: Network, method: Method, model: nn.Module) -> None:
    """Raises BnnError where filters are to be copies of each other, and no layer's may be."""
    copies = method.weight.pre.copied
    layers = [layer.weight_quantizer for _, layer in binary_layers(model) if layer.weight_quantizer]
    if copies > 1 and layers and all(quantizer.spec.pre.copied == 1 for quantizer in layers):
        raise BnnError(
            f"model {network.name}: none of its {len(layers)} binary layers can have {copies} copies of each"
            f" filter (method.weight.pre: {method.weight.pre.name}): that needs kernels of 3×3 or 1×1, and"
            f" inputs and outputs that {copies} divides; choose another width or network"
        )
