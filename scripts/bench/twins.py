"""The networks that are measured, and the forms in which other runtimes take their real-valued twins."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bnn_train.config.loader import load
from bnn_train.config.schema import Experiment
from bnn_train.spec.inputs import input_shape, num_classes
from bnn_train.training.setup import build_model

CONFIGS = Path(__file__).parents[2] / "configs"
OPSET = 17
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Network:
    """A shipped config and its twin."""

    name: str
    config: str
    twin: str


NETWORKS = (
    Network("ResNet-18 Bi-Real", "imagenet/bireal_resnet18.yaml", "imagenet/fp_resnet18.yaml"),
    Network("ResNet-18 XNOR", "imagenet/xnor_resnet18.yaml", "imagenet/fp_resnet18.yaml"),
    Network("AlexNet XNOR", "imagenet/xnor_alexnet.yaml", "imagenet/fp_alexnet.yaml"),
)


def prepared(config: str) -> tuple[Experiment, nn.Module]:
    """The config's network with its first weights and the batch statistics of a few random images."""
    experiment = load(CONFIGS / config)
    shape, classes = input_shape(experiment.data), num_classes(experiment.data)
    model = build_model(experiment, shape, classes, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, *shape, generator=generator).contiguous(memory_format=torch.channels_last))
    return experiment, model.eval()


def pixels(batch: int, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Random images, N×H×W×C."""
    channels, height, width = shape
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, channels), np.uint8)


def normalized(images: NDArray[np.uint8]) -> Tensor:
    """The images as the network reads them, N×C×H×W, channels-last."""
    x = ((images / np.float32(255) - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).astype(
        np.float32
    )
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def folded(model: nn.Module, x: Tensor) -> nn.Module:
    """A copy whose convolutions have absorbed the batch norm behind them; those over a whole map are dense
    layers, which PyTorch runs several times faster."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        if not isinstance(parent, nn.Sequential):
            continue
        children = list(parent.named_children())
        for (name, conv), (norm_name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())
    _make_dense(model, x)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # stub


class _WholeMap(nn.Module):
    """A convolution whose kernel is its whole input, as a matrix product; copies no channels-last map."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(conv.weight.detach().permute(0, 2, 3, 1).flatten(1).contiguous())
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        """N×I×H×W → N×O×1×1."""
        return F.linear(x.permute(0, 2, 3, 1).flatten(1), self.weight, self.bias)[:, :, None, None]


def _make_dense(model: nn.Module, x: Tensor) -> None:
    whole: list[nn.Module] = []

    def see(conv: nn.Conv2d, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        if tuple(inputs[0].shape[2:]) == conv.kernel_size and conv.padding == (0, 0) and conv.groups == 1:
            whole.append(conv)

    hooks = [m.register_forward_hook(see) for m in model.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        model(x[:1])
    for hook in hooks:
        hook.remove()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and child in whole:
                setattr(parent, name, _WholeMap(child))


def export(model: nn.Module, x: Tensor, path: Path) -> Path:
    """``model`` in evaluation mode as an ONNX file for inputs of the size of ``x``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (x.contiguous(),), str(path), dynamo=False, opset_version=OPSET, input_names=["x"]
        )
    return path


def quantized(path: Path, x: NDArray[np.float32]) -> Path:
    """The ONNX file with int8 weights (per channel) and uint8 activations, calibrated on random inputs."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    simplified, target = path.with_suffix(".pre.onnx"), path.with_suffix(".int8.onnx")
    quant_pre_process(str(path), str(simplified), skip_symbolic_shape=True)
    logger = logging.getLogger()
    level, logger.level = logger.level, logging.ERROR
    quantization.quantize_static(
        str(simplified),
        str(target),
        _Random(x.shape),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
    )
    logger.setLevel(level)
    return target


class _Random:
    """Calibration data as the quantizer reads them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(1)
        self._batches = iter([rng.standard_normal(shape).astype(np.float32) for _ in range(2)])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"x": batch}

    def __iter__(self) -> Iterator[dict[str, NDArray[np.float32]] | None]:
        return iter(self.get_next, None)
