"""How large packed files are, against what the layer summary predicts and against 32 bits."""

from __future__ import annotations

from bench.lowered import header, packed
from bench.record import Record
from bench.table import Row
from bench.twins import prepared
from bnn_train.export.options import Options
from bnn_train.inspect.layers import layer_table, total
from bnn_train.packed import container
from bnn_train.spec.inputs import input_shape

SMALLEST = Options(first="int8", last="int8", real="bf16")
FILES = (
    ("cifar10/bnn_convnet.yaml", "exact", Options()),
    ("imagenet/xnor_alexnet.yaml", "exact", Options()),
    ("imagenet/xnor_alexnet.yaml", "last int8", Options(last="int8")),
    ("imagenet/xnor_alexnet.yaml", "smallest", SMALLEST),
    ("imagenet/xnor_resnet18.yaml", "exact", Options()),
    ("imagenet/xnor_resnet18.yaml", "smallest", SMALLEST),
    ("imagenet/bireal_resnet18.yaml", "exact", Options()),
    ("imagenet/bireal_resnet18.yaml", "smallest", SMALLEST),
)


def measure(record: Record, *, quick: bool) -> None:
    """Bytes on disk."""
    rows = [_row(config, name, options) for config, name, options in (FILES[:1] if quick else FILES)]
    notes = [
        "predicted: the layer summary's bytes, with real weights, scales and norm statistics in 32 bits",
        "32-bit: all weights and statistics in float32",
        "smallest: first layer int8, last int8, other real weights bfloat16",
    ]
    record.add("File sizes, bytes", rows, left=("config", "form"), notes=notes)


def _row(config: str, name: str, options: Options) -> Row:
    experiment, model = prepared(config)
    channels, height, width = input_shape(experiment.data)
    program, tensors = packed(model, (height, width, channels), options)
    size = len(container.pack(header(experiment, program), tensors))
    predicted = total(layer_table(model, (channels, height, width)))
    return {
        "config": config,
        "form": name,
        "file": size,
        "tensors": sum(int(t.nbytes) for t in tensors.values()),
        "predicted": predicted.bytes,
        "32-bit": predicted.bytes_real,
        "of predicted": size / predicted.bytes,
        "times smaller": predicted.bytes_real / size,
    }
