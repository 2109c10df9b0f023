"""Quantizers of spikes, with a memory, or that harden late."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from bnn_train.spec.quantizer import Quantizer
from bnn_train.spec.scalars import Positive


class Heaviside(Quantizer):
    """1 from 0 on, else 0 (Eedn)."""

    name: Literal["heaviside"] = "heaviside"
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    fires: ClassVar[bool] = True


class Hysteresis(Quantizer):
    """+1, −1 or 0 for weights near them; between, what the weight was before (Eedn)."""

    name: Literal["hysteresis"] = "hysteresis"
    band: float = Field(default=0.1, ge=0, lt=0.5)
    """h: from ½ − h to ½ + h a weight keeps its code."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    softens: ClassVar[bool] = True
    remembers: ClassVar[bool] = True


class TernaryShare(Quantizer):
    """0 for a share of the weights, the smallest, and the sign of the others (Bitwise Neural Networks)."""

    name: Literal["ternary_share"] = "ternary_share"
    share: float = Field(default=0.25, ge=0, lt=1)
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True


class LateSign(Quantizer):
    """The number itself while training, its sign in evaluations and exports (Self-Binarizing Networks)."""

    name: Literal["late_sign"] = "late_sign"
    softens: ClassVar[bool] = True
    remark: ClassVar[str] = (
        "what late_sign quantizes is real while training, and evaluations take the signs: before the end,"
        " validation measures another network than the one that is trained"
    )


class Sampled(Quantizer):
    """±1 with a trained probability, else 0; which of the two is fixed (Esser 2015)."""

    name: Literal["sampled"] = "sampled"
    form: Literal["sampled", "rounded"] = "sampled"
    """`sampled`: training takes the expectation, evaluations and exports a sample; `rounded`: all take what
    is likely, and training passes its gradient unchanged (RANC)."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Of the sample; another one is another network of an ensemble."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    softens: ClassVar[bool] = True

    @property
    def samples(self) -> bool:
        """Unless it rounds."""
        return self.form == "sampled"


class Spike(Quantizer):
    """The probability of a spike while training, in evaluations a spike from 0 on (Esser 2015)."""

    name: Literal["spike"] = "spike"
    curve: Literal["normal", "logistic"] = "normal"
    """The distribution function: of a normal sum in its deviations, or the sigmoid of the sum (RANC)."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    softens: ClassVar[bool] = True
    fires: ClassVar[bool] = True
    range: ClassVar[str] = "any"
    remark: ClassVar[str] = (
        "neurons have the probability of a spike for their output while training, and evaluations take spikes"
        " and a sample of the connections: validation measures another network than the one that is trained"
    )

    @property
    def reads_deviations(self) -> bool:
        """With the curve of a normal sum."""
        return self.curve == "normal"


class GatedSign(Quantizer):
    """The sign, or 0 in channels whose gate is closed; there are gates where one layer makes the channels and
    one reads them (Widening and Squeezing)."""

    name: Literal["gated_sign"] = "gated_sign"
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """A gate starts at 1, and is closed below this number."""
    rate: Positive = 5.0
    """Factor on the run's learning rate, so that gates come to rest before the weights do."""
    learns: bool = True
    """false: gates stay as they are, at 1 or as `training.init_from` has them."""
    signs: ClassVar[bool] = False
    zeros: ClassVar[bool] = True
    gates: ClassVar[bool] = True

    @property
    def learns_gates(self) -> bool:
        """As said."""
        return self.learns


class ExpectedSign(Quantizer):
    """The expectation of a sign while training, the sign in evaluations and exports (Expectation
    Backpropagation)."""

    name: Literal["expected_sign"] = "expected_sign"
    curve: Literal["tanh", "normal"] = "tanh"
    """From the number to the expectation, `tanh`: of half the log odds of +1; `normal`: of the mean of a
    normal sum, in its deviations."""
    softens: ClassVar[bool] = True
    expects: ClassVar[bool] = True
    range: ClassVar[str] = "any"
    remark: ClassVar[str] = (
        "weights and neurons are expectations of signs while training, and evaluations take the likelier"
        " signs: validation measures another network than the one that is trained"
    )

    @property
    def reads_deviations(self) -> bool:
        """With the curve of a normal sum."""
        return self.curve == "normal"


class RealTanh(Quantizer):
    """tanh, and no codes: activations of a first stage, before they are binarized (Real-to-Binary)."""

    name: Literal["real_tanh"] = "real_tanh"
    signs: ClassVar[bool] = False
    range: ClassVar[str] = "any"
