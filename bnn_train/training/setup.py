"""From an experiment to the objects that the loop moves: device, model, optimizer, average."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from bnn_train.binary.latent import enforce
from bnn_train.binary.sync_norm import Synced, synchronised
from bnn_train.config.schema import Experiment, Run
from bnn_train.data.open import DataBundle, open_data
from bnn_train.data.randomness import stream_seed
from bnn_train.errors import CheckpointError, RunError
from bnn_train.memory import keep_freed_memory
from bnn_train.models.build import build
from bnn_train.spec.annealed import Annealed
from bnn_train.training.losses import Criterion, criterion
from bnn_train.training.losses.terms import Term
from bnn_train.training.optimizers import Optimizers
from bnn_train.training.position import steps_per_epoch
from bnn_train.training.precision import AMP_TYPES
from bnn_train.world import ALONE, World


def choose_device(run: Run, world: World = ALONE) -> torch.device:
    """The device a run section asks for; sets up CPU threads and memory, and how a GPU computes. Of several
    processes on a machine each has a GPU of its own.

    Products of signs are whole numbers, which float32 adds exactly in any order, and a GPU's TF32 too, since
    ±1 has no more bits; products of real numbers and all gradients would keep 10 bits of 23 in TF32, so it
    is off unless ``run.tf32`` allows it. cuDNN's Winograd and FFT algorithms add no whole numbers exactly:
    ``benchmark`` stays off, since it might choose them on another day, and tests/unit/test_gpu.py compares
    what ``deterministic`` chooses with integers.
    """
    keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = run.tf32
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    if run.threads is not None:
        torch.set_num_threads(run.threads)
    if run.device == "cuda" and not torch.cuda.is_available():
        raise RunError("run.device is cuda, but torch finds no CUDA device; use auto or cpu")
    if run.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    if world.alone:
        return torch.device("cuda")
    if world.local_rank >= torch.cuda.device_count():
        raise RunError(
            f"process {world.local_rank + 1} of this machine finds {torch.cuda.device_count()} GPUs; start as"
            " many processes as there are GPUs, or set run.device to cpu"
        )
    torch.cuda.set_device(world.local_rank)
    return torch.device("cuda", world.local_rank)


def build_model(
    experiment: Experiment, shape: tuple[int, int, int], classes: int, device: torch.device
) -> nn.Module:
    """The network, its weights drawn from the seed alone, channels last."""
    torch.manual_seed(stream_seed(experiment.seed, "init"))
    model = build(experiment.model, experiment.method, shape, classes)
    enforce(model)
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # stub


def opened(
    experiment: Experiment,
    device: torch.device,
    world: World,
    preprocess: Mapping[str, Tensor] | None = None,
) -> DataBundle:
    """The data of an experiment. One process of each machine fetches what is missing, and the others wait."""
    data: DataBundle | None = None
    for turn in (True, False) if experiment.data.download and not world.alone else (None,):
        with world.agreed():
            if turn is None or turn == (world.local_rank == 0):
                data = open_data(
                    experiment.data,
                    seed=experiment.seed,
                    device=device,
                    preprocess=preprocess,
                    world=world,
                )
    if data is None:
        raise RuntimeError("no turn was ours")
    return data


def load_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Fill a model from a checkpoint; every tensor must be there and fit."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise CheckpointError(f"the checkpoint does not fit the network of its own config: {first}") from None


@dataclass
class Learner:
    """A model and everything that moves it: optimizers, loss, loss scaler, moving average."""

    model: nn.Module
    optimizers: Optimizers
    criterion: Criterion
    """The base loss."""
    terms: tuple[Term, ...]
    """Added to it in training."""
    scaler: torch.amp.GradScaler
    average: AveragedModel | None
    amp: torch.dtype | None
    device: torch.device
    base_weight: Annealed = 1.0
    """Factor on the base loss beside terms."""
    torn: bool = False
    """Whether a step broke off while it moved the weights."""

    @property
    def evaluated(self) -> nn.Module:
        """The model that evaluations read: the moving average where there is one."""
        return self.model if self.average is None else self.average.module

    @property
    def networks(self) -> nn.ModuleList:
        """All that training moves."""
        return nn.ModuleList([self.model, self._beside])

    @property
    def _beside(self) -> nn.ModuleDict:
        """The networks that terms of the loss train along."""
        return nn.ModuleDict({str(i): t.trained for i, t in enumerate(self.terms) if t.trained is not None})

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a checkpoint must hold of this."""
        named = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        named |= {f"optimizer.{name}": t for name, t in self.optimizers.state().items()}
        named |= {f"terms.{name}": t for name, t in self._beside.state_dict().items()}
        if self.average is not None:
            named |= {f"ema.{name}": t for name, t in self.average.state_dict().items()}
        return named

    def load(self, sections: dict[str, dict[str, Tensor]], scaler: dict[str, float]) -> None:
        """Put back what ``tensors`` gave, and the loss scaler's numbers."""
        load_weights(self.model, sections["model"])
        self.optimizers.load(sections["optimizer"])
        load_weights(self._beside, sections.get("terms", {}))
        if self.average is not None:
            load_weights(self.average, sections["ema"])
        if scaler:
            self.scaler.load_state_dict(scaler)


Tensors = tuple[Tensor, ...] | list[Tensor]


def averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """decay·average + (1 − decay)·number. Whole numbers (the batches that a norm has counted) are copied,
    since rounding would hold them where they began."""
    update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # in torch

    @torch.no_grad()
    def averaged(averages: Tensors, numbers: Tensors, count: Tensor | int) -> None:
        if averages[0].is_floating_point():
            update(averages, numbers, count)
        else:
            torch._foreach_copy_(averages, numbers)

    return averaged


def build_learner(
    experiment: Experiment,
    model: nn.Module,
    device: torch.device,
    terms: Sequence[Term] = (),
    world: World = ALONE,
) -> Learner:
    """The model with its optimizers, loss, scaler and average. ``terms``: those of the loss, by
    ``losses.table.terms_of``. ``world``: the processes over which norms are synchronised, if they are."""
    training = experiment.training
    if training.sync_norms and not world.alone:
        for network in (model, *(term.trained for term in terms if term.trained is not None)):
            synchronised(network, world)
    amp = AMP_TYPES[training.amp]
    if amp is torch.float16 and device.type == "cpu":
        raise RunError("training.amp fp16 needs a GPU; this machine's CPU has bf16")
    average = None
    if training.ema:
        average = AveragedModel(model, multi_avg_fn=averaging(training.ema), use_buffers=True)
    for term in terms:
        term.attach(model)
    beside = [p for term in terms if term.trained is not None for p in term.trained.parameters()]
    return Learner(
        model=model,
        optimizers=Optimizers(model, experiment.optimizer, beside),
        criterion=criterion(experiment.loss),
        terms=tuple(terms),
        scaler=torch.amp.GradScaler(device.type, enabled=amp is torch.float16),
        average=average,
        amp=amp,
        device=device,
        base_weight=experiment.loss.base_weight,
    )


def told_processes(experiment: Experiment, data: DataBundle, learner: Learner) -> list[str]:
    """How processes share a run, as a sentence; none where there is one."""
    if data.world.alone:
        return []
    size, share = experiment.data.batch_size, -(-experiment.data.batch_size // data.world.size)
    told = f"{data.world.size} processes share each batch of {size} images"
    if any(isinstance(module, Synced) for module in learner.model.modules()):
        told += ", and batch norms take their statistics over all of them"
    elif any(isinstance(module, _BatchNorm) for module in learner.model.modules()):
        told += (
            f", and batch norms take their statistics over the {share} of each process, not over all as one"
            " process does (training.sync_norms)"
        )
    return [f"{told}."]


def told_sizes(experiment: Experiment, data: DataBundle, learner: Learner) -> str:
    """Device, images, steps and weights, for whoever asks for more."""
    images = ", ".join(f"{name} {count:,}" for name, count in data.sizes.items())
    weights = sum(parameter.numel() for parameter in learner.model.parameters())
    steps = steps_per_epoch(experiment, data)
    where = f"device {learner.device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return f"{where}; images: {images}; {steps:,} steps an epoch; {weights:,} parameters"
