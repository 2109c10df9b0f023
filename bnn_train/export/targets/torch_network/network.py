"""The network of a file."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bnn_train.export.targets.torch_network.pixels import Preprocess
from bnn_train.export.targets.torch_network.steps import Convolution, Map, Signals, Step
from bnn_train.export.targets.torch_network.windows import (
    Channels,
    Concat,
    InputScale,
    Mean,
    Pool,
    Subsample,
)

HEADER = "bnn_train.header"
"""The key of the network's description among the file's metadata."""
KINDS: dict[str, type[Step]] = {
    "conv": Convolution,
    "map": Map,
    "pool": Pool,
    "input_scale": InputScale,
    "subsample": Subsample,
    "mean": Mean,
    "concat": Concat,
    "channels": Channels,
}
DTYPES = {"F32": torch.float32, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8}


class Network(nn.Module):
    """uint8 images N×C×H×W → logits N×classes."""

    def __init__(self, header: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.classes: list[str] = header["classes"]
        program, steps = header["program"], header["images"]["preprocess"]
        self.output: int = program["output"]
        self.pixels = nn.Sequential(*(Preprocess(step, tensors) for step in steps))
        made = (KINDS[step["op"]](step, program["values"], tensors) for step in program["steps"])
        self.steps = nn.ModuleList(made)

    def forward(self, images: Tensor) -> Tensor:
        """Each value is forgotten when the network ends."""
        values: Signals = {0: [self.pixels(images.float())]}
        for step in self.steps:
            values.update(step(values))
        return values[self.output][0].flatten(1)


def read(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The description and the tensors of a safetensors file."""
    raw = bytearray(Path(path).read_bytes())
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    head, tensors = json.loads(bytes(raw[8:start])), {}
    for name, entry in head.items():
        if name != "__metadata__":
            begin, end = (start + at for at in entry["data_offsets"])
            flat = torch.frombuffer(raw[begin:end], dtype=DTYPES[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"])
    return json.loads(head["__metadata__"][HEADER]), tensors


def load(path: str | Path | None = None) -> Network:
    """The network of a file; default: the one beside this module that has its name."""
    header, tensors = read(path or Path(__file__).with_suffix(".safetensors"))
    return Network(header, tensors).eval()


if __name__ == "__main__":
    print(load())  # noqa: T201
