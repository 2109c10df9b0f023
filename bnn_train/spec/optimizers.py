"""The section `optimizer` of a config. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from bnn_train.spec.annealed import Curve, NotNegative
from bnn_train.spec.record import Record
from bnn_train.spec.scalars import Count, Positive, Rate, named


class Bop(Record):
    """Flip a binary weight when a moving average of its gradient says so (arXiv 1906.02107)."""

    latent: ClassVar[bool] = False
    """Whether it moves real latent weights, and no stored ±1."""

    name: Literal["bop"] = "bop"
    threshold: float = Field(default=1e-8, ge=0)
    gamma: float = Field(default=1e-4, gt=0, le=1)
    gamma_decay: float = Field(default=1.0, gt=0, le=1)
    """Factor on γ after every `gamma_every` epochs."""
    gamma_every: Count = 100
    """Epochs between two of γ's decays."""


class BinaryAdam(Record):
    """Adam with a rate of its own, which the schedule moves by the factor by which it moves the run's."""

    latent: ClassVar[bool] = True
    """Whether it moves real latent weights, and no stored ±1."""
    name: Literal["adam"] = "adam"
    lr: Positive = 1e-2
    betas: tuple[Rate, Rate] = Field(default=(0.9, 0.999), strict=False)
    eps: Positive = 1e-8


class RSGD(Record):
    """Several replicas of the binary weights, drawn to their centre (dense clusters, arXiv 1509.05753)."""

    latent: ClassVar[bool] = True

    name: Literal["rsgd"] = "rsgd"
    replicas: int = Field(default=3, ge=2, le=16)
    coupling: NotNegative = Curve.model_validate({"from": 0.01, "to": 1.0, "curve": "exponential"})
    """λ, the pull of the centre beside the gradient."""
    rate: Positive = 1.0
    """Factor on the run's learning rate; a replica steps by the plain gradient."""


def _bop_unless_named(value: Any) -> Any:
    """A bare name, or options of Bop, whose name was the only one for a time."""
    value = named(value)
    return {"name": "bop", **value} if isinstance(value, dict) else value


BinaryOptimizer = Annotated[
    Annotated[Bop | BinaryAdam | RSGD, Field(discriminator="name")], BeforeValidator(_bop_unless_named)
]


class _Optimizer(Record):
    sums: ClassVar[bool] = False
    """It adds up what the images of a batch say, and takes no mean of it."""
    second_moment: ClassVar[bool] = False
    """It keeps an estimate of E[g²] of every number that it trains."""
    lr: Positive = 1e-3
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 on everything that is not a latent binary weight: real weights, biases, and the γ and β of norms."""
    weight_decay_binary: float = Field(default=0.0, ge=0)
    """L2 on latent binary weights."""
    weight_decay_epochs: Count | None = None
    """Both decays end after so many epochs (29 in XNOR-Net's code); default: they stay."""
    binary: BinaryOptimizer | None = None
    """An optimizer for the binary weights alone: `bop`, `adam` (QuickNet) or `rsgd`; this one trains the
    rest."""


class Adam(_Optimizer):
    """Adam."""

    second_moment: ClassVar[bool] = True
    name: Literal["adam"]
    betas: tuple[Rate, Rate] = Field(default=(0.9, 0.999), strict=False)
    eps: Positive = 1e-8


class AdamW(_Optimizer):
    """Adam whose weight decay is taken off the weights, not added to their gradients (arXiv 1711.05101)."""

    second_moment: ClassVar[bool] = True
    name: Literal["adamw"]
    betas: tuple[Rate, Rate] = Field(default=(0.9, 0.999), strict=False)
    eps: Positive = 1e-8


class RAdam(_Optimizer):
    """Adam whose step is rectified while E[g²] rests on few gradients (Liu et al., arXiv 1908.03265)."""

    name: Literal["radam"]
    betas: tuple[Rate, Rate] = Field(default=(0.9, 0.999), strict=False)
    eps: Positive = 1e-8


class AdaMax(_Optimizer):
    """AdaMax."""

    second_moment: ClassVar[bool] = True
    name: Literal["adamax"]
    betas: tuple[Rate, Rate] = Field(default=(0.9, 0.999), strict=False)
    eps: Positive = 1e-8


class ShiftAdaMax(_Optimizer):
    """Shift-based AdaMax (BNN): the rate and 1/v rounded to powers of two, AP2(x) = 2^round(log₂ x)."""

    second_moment: ClassVar[bool] = True
    name: Literal["shift_adamax"]
    form: Literal["paper", "code"] = "paper"
    """`paper`: v = max(β₂·v, |g|), divided out as AP2(1/v). `code`, the authors' Torch7: v itself becomes
    AP2(v) + ε at every step, so that with β₂ = 0.999 it never falls again."""
    betas: tuple[Rate, Rate] = Field(default=(0.875, 0.9990234375), strict=False)
    """The paper's 1 − 2⁻³ and 1 − 2⁻¹⁰; the code has 0.9 and 0.999."""
    eps: Positive = 2.0**-27
    """Added to v by `code`, its floor in `paper`."""

    @property
    def keeps_v(self) -> bool:
        """Whether v itself stays as it is, and only what is divided by is rounded."""
        return self.form == "paper"


class SGD(_Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov."""

    name: Literal["sgd"]
    momentum: Rate = 0.0
    nesterov: bool = False


class EBP(_Optimizer):
    """Expectation Backpropagation: the log odds of weights add up over the images, without a learning rate
    (Soudry, Hubara, Meir, NIPS 2014)."""

    sums: ClassVar[bool] = True
    name: Literal["ebp"]
    lr: Positive = 1.0
    """Factor on what is added; 1 is the rule itself."""


Optimizer = Annotated[
    Annotated[Adam | AdamW | AdaMax | ShiftAdaMax | SGD | RAdam | EBP, Field(discriminator="name")],
    BeforeValidator(named),
]
"""Without a name: `adam`."""
