"""The first losses of a fixed tiny run of every method; ``python tests/golden/losses.py [METHOD …]`` rewrites
them, a file for each.

A change that claims to change no behaviour leaves ``first_losses/`` alone. Weights and images are ramps, not
random draws, so that the numbers do not hang on a generator; only the stochastic methods draw. All is in
float64: in float32 another CPU's rounding would flip signs and carry the runs apart. Where real factors meet
a max-pooling, equal sums are equal but for rounding, and it decides which of them gets the gradient: only
those losses are kept that weights moved by 10⁻¹⁵ of themselves leave alone.
"""

from __future__ import annotations

import json
import sys
from itertools import takewhile
from pathlib import Path

import torch
from torch import nn

from bnn_train.binary.latent import enforce
from bnn_train.binary.layers import binary_layers
from bnn_train.binary.sign import sign
from bnn_train.config.schema import Experiment
from bnn_train.models.build import build
from bnn_train.spec.methods import ENTRIES, METHODS
from bnn_train.training.position import position_of
from bnn_train.training.setup import build_learner
from bnn_train.training.step import Kept, training_step

FOLDER = Path(__file__).with_name("first_losses")
SHAPE, CLASSES, STEPS, EPOCHS = (3, 16, 16), 5, 5, 2
RELATIVE = 1e-6
NUDGES = (1, 2, 3)
"""Seeds of small moves."""
NETWORKS = {
    "convnet": {"name": "convnet", "width": 16},
    "resnet": {"name": "resnet18", "width": 8, "stem": "small"},
}


def ramp(shape: torch.Size | tuple[int, ...], pace: float) -> torch.Tensor:
    """A smooth, aperiodic-looking tensor in (−1, 1)."""
    count = int(torch.tensor(shape).prod())
    return torch.sin(torch.arange(1, count + 1, dtype=torch.float64) * pace).view(shape)


def fill(model: nn.Module) -> None:
    """Every weight a ramp, ±1 where weights are stored binary; every bias, β and γ a little off its start.

    With β = 0 a batch-normed integer that equals its mean is a tie that rounding decides.
    """
    stored = {
        id(layer.weight) for _, layer in binary_layers(model) if not layer.method.weight.quantizer.latent
    }
    with torch.no_grad():
        for number, parameter in enumerate(p for p in model.parameters() if p.dim() > 1):
            values = ramp(parameter.shape, 0.7 + 0.013 * number)
            parameter.copy_(sign(values) if id(parameter) in stored else values * 0.5)
        for number, parameter in enumerate(p for p in model.parameters() if p.dim() == 1):
            parameter.add_(ramp(parameter.shape, 0.9 + 0.017 * number) * 0.1)


def nudge(model: nn.Module, seed: int) -> None:
    """Move every weight by about 10⁻¹⁵ of itself."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            moved = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
            parameter.mul_(1 + 1e-15 * moved)


def first_losses(method: str, network: str, moved: int | None = None, *, steps: int = STEPS) -> list[float]:
    """Losses of the first steps of SGD (with Bop where weights are stored), or of a method's own optimizer.
    ``moved``: the seed of a nudge.

    Not Adam, which turns the rounding noise in a gradient that is 0 in theory into whole steps."""
    own, binary = ENTRIES[method].optimizer, ENTRIES[method].trainer or None
    loss = "square_hinge" if METHODS[method].block.output_norm else "cross_entropy"
    experiment = Experiment.model_validate(
        {
            "method": method,
            "model": NETWORKS[network],
            "data": "cifar10",
            "optimizer": own or {"name": "sgd", "lr": 0.01, "momentum": 0.9, "binary": binary},
            "loss": "probit" if METHODS[method].output_scale.of_signs else loss,
        }
    )
    torch.manual_seed(0)  # a scale may begin at random
    model = build(experiment.model, experiment.method, SHAPE, CLASSES)
    fill(model.double())
    if moved is not None:
        nudge(model, moved)
    enforce(model)
    learner = build_learner(experiment, model, torch.device("cpu"))
    kept = Kept(model)
    images, labels = ramp((10, *SHAPE), 0.9), torch.arange(10) % CLASSES
    torch.manual_seed(0)
    losses = []
    for number in range(steps):
        learner.optimizers.set_rate(0.01, 0)
        seen = training_step(
            learner, kept, [(images, labels)], position=position_of(number, STEPS, EPOCHS), clip=None
        )
        losses += [round(one.loss.item(), 8) for one in seen or []]
    return losses


def steady(method: str, network: str) -> list[float]:
    """The losses before the first that rounding decides."""
    losses = first_losses(method, network)
    for seed in NUDGES:
        others = first_losses(method, network, seed)
        same = (abs(a - b) <= RELATIVE * abs(a) for a, b in zip(losses, others, strict=False))
        losses = [loss for loss, _ in takewhile(lambda pair: pair[1], zip(losses, same, strict=False))]
    return losses


def losses_of(method: str) -> dict[str, list[float]]:
    """``method/network`` → losses."""
    return {f"{method}/{network}": steady(method, network) for network in NETWORKS}


def stored() -> dict[str, list[float]]:
    """What the files hold."""
    files = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {name: values for held in files for name, values in held.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    for method in sys.argv[1:] or METHODS:
        lines = ",\n".join(f'  "{name}": {json.dumps(values)}' for name, values in losses_of(method).items())
        (FOLDER / f"{method}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
