"""Inside a training step no number of the network is read on the host: a GPU would have to be waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bnn_train.config.schema import Experiment
from bnn_train.spec.annealed import START
from bnn_train.training.losses import BASES
from bnn_train.training.losses.apprentice import Apprentice
from bnn_train.training.losses.table import TERMS, terms_of
from bnn_train.training.optimizers.assembly import KINDS
from bnn_train.training.progress import Meter
from bnn_train.training.run import start
from bnn_train.training.setup import Learner, build_learner, build_model
from bnn_train.training.step import Kept, training_step
from bnn_train.training.sums import EpochSums
from options import REQUIRED
from tiny import tiny

CPU = torch.device("cpu")
READS = {"_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "_unique2", "bincount"}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": {"name": "adam", "weight_decay": 1e-4}},
    "adamw": {"optimizer": {"name": "adamw", "weight_decay": 1e-2}},
    "adamax": {"optimizer": {"name": "adamax"}},
    "shift_adamax": {"optimizer": {"name": "shift_adamax"}},
    "shift_adamax, code": {"optimizer": {"name": "shift_adamax", "form": "code"}},
    "sgd": {"optimizer": {"name": "sgd", "momentum": 0.9}},
    "radam": {"optimizer": {"name": "radam"}},
    "ebp": {"method": "ebp", "optimizer": {"name": "ebp"}, "loss": {"name": "probit"}},
    "rsgd": {"method": "rsgd", "optimizer": {"name": "adam", "binary": "rsgd"}},
    "bop": {"method": "bop", "optimizer": {"name": "adam", "binary": "bop"}},
}


class Waits(TorchDispatchMode):
    """Raises where a number is read, but for the step counters that torch's optimizers keep on the host."""

    def __init__(self, learner: Learner) -> None:
        super().__init__()
        optimizers = learner.optimizers._all()
        states = [state for optimizer in optimizers for state in optimizer.state.values()]
        self.counters = {state["step"].data_ptr() for state in states if "step" in state}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in READS and args[0].data_ptr() not in self.counters:
            raise AssertionError(f"the step reads a number: {name}")
        return func(*args, **(kwargs or {}))


class Shaped:
    """Of the tiny data what a term asks."""

    shape, classes, normalizer = (1, 6, 6), ("a", "b", "c", "d"), None


def step_twice(e: Experiment) -> None:
    """The optimizers make their state in the first step, unwatched."""
    side = (e.data.shape or (1, 6, 6))[1]
    model = build_model(e, (1, side, side), 4, CPU).train()
    terms = terms_of(e.loss, CPU)
    for term in (term for term in terms if isinstance(term, Apprentice)):  # builds its network there
        term.check(Shaped())  # type: ignore[arg-type]  # all that a term asks of data
    learner = build_learner(e, model, CPU, terms)
    learner.optimizers.set_rate(0.01, 0)
    kept, sums = Kept(model), EpochSums(Meter(), CPU)
    batch = torch.linspace(-1, 1, 16 * side**2).view(16, 1, side, side), torch.arange(16) % 4
    clip = e.training.clip_grad_norm

    def step() -> None:
        seen = training_step(learner, kept, [batch] * e.training.accumulate, position=START, clip=clip)
        assert seen is not None
        sums.add([one.sums for one in seen], 0)

    step()
    with Waits(learner):
        step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_no_optimizer_reads_a_number(name: str, tmp_path: Path) -> None:
    step_twice(tiny(tmp_path, **OPTIMIZERS[name], training={"clip_grad_norm": 1.0, "accumulate": 3}))
    assert {name.partition(",")[0] for name in OPTIMIZERS} == KINDS.keys()


@pytest.mark.parametrize("name", BASES)
def test_no_base_loss_reads_a_number(name: str, tmp_path: Path) -> None:
    step_twice(tiny(tmp_path, loss=name))


OF_TERMS: dict[str, dict[str, Any]] = {
    "attention": {"blocks": ["conv2"]},
    "feature": {"layers": ["norm1"]},
    "apprentice": {"model": {"name": "mlp", "width": 8, "depth": 1}},
}
CONVNET = {"model": {"name": "convnet", "width": 2}, "data": {"shape": [1, 8, 8]}}


@pytest.mark.parametrize("amp", ["none", "bf16"])
@pytest.mark.parametrize("name", TERMS)
def test_no_term_reads_a_number(name: str, amp: str, tmp_path: Path) -> None:
    term = {"name": name, **OF_TERMS.get(name, {})}
    more = CONVNET if name == "attention" else {}
    if "teacher" in REQUIRED.get(name, {}):
        start(tiny(tmp_path / "teacher", training={"epochs": 1, "amp": amp}, **more))
        term["teacher"] = str(tmp_path / "teacher")
    step_twice(tiny(tmp_path, method="eedn", loss={"name": "square_hinge", "terms": [term]}, **more))


NEW = ["bnnplus", "reste", "recu", "self_binarizing", "lab", "eedn", "bitwise"]


@pytest.mark.parametrize("method", ["bnn", "bc_stochastic", "xnor_k", "dorefa", "twn", *NEW])
def test_no_quantizer_reads_a_number(method: str, tmp_path: Path) -> None:
    step_twice(tiny(tmp_path, method=method))


@pytest.mark.parametrize("read", [Tensor.item, float, bool, torch.nonzero], ids=str)
def test_a_read_is_seen(read: Any, tmp_path: Path) -> None:
    e = tiny(tmp_path)
    learner = build_learner(e, build_model(e, (1, 6, 6), 4, CPU), CPU)
    with Waits(learner), pytest.raises(AssertionError, match="reads a number"):
        read(torch.ones(()))
