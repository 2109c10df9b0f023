"""Facts of a quantizer that config checks ask, before torch is there to make one."""

from __future__ import annotations

from typing import ClassVar, Literal

from bnn_train.spec.record import Record


class Quantizer(Record):
    """Facts of a quantizer that config checks ask, before torch is there to make one."""

    quantizes: ClassVar[bool] = True
    signs: ClassVar[bool] = True
    """Its codes are ±1 and nothing else."""
    is_sign: ClassVar[bool] = False
    """Its code is the sign of the number, always."""
    zeros: ClassVar[bool] = False
    """0 is one of its codes."""
    draws: ClassVar[bool] = False
    """Its codes are random while training."""

    spread: ClassVar[bool] = False
    """Its codes are far apart, and only the scale that knows the largest of them fits."""
    scales_itself: ClassVar[bool] = False
    """It has factors of its own, one for each of its bases."""
    latent: ClassVar[bool] = True
    """As a weight quantizer: real latent weights stand behind the codes."""
    centres_itself: ClassVar[bool] = False
    """It subtracts the mean of what it quantizes."""
    leads_back: ClassVar[bool] = False
    """It has a gradient of its own: as a weight quantizer no rule of `gradient` leads back."""
    softens: ClassVar[bool] = False
    """While training it has other numbers than in evaluations and exports, or keeps track of its codes."""
    remembers: ClassVar[bool] = False
    """Its codes depend on those that it had before, which it keeps."""
    expects: ClassVar[bool] = False
    """While training it has the expectation of a sign."""
    gates: ClassVar[bool] = False
    """As an activation quantizer: it has a gate for each channel that one layer makes and one reads."""
    fires: ClassVar[bool] = False
    """Its codes are 0 and 1."""
    bits_told: ClassVar[str] = ""
    """Bits of one number for a table, where they are always others than those of its codes."""
    remark: ClassVar[str] = ""
    """A sentence that a run with it tells at its start."""
    range: ClassVar[str] = "signed"
    """The inputs that it tells apart: `signed` or `unit`, [0, 1]; estimators have theirs."""
    wants_plain_norm: ClassVar[bool] = False
    """As an activation quantizer: its constants are for numbers of mean 0 and deviation 1."""
    keeps_shape: ClassVar[bool] = False
    """As an activation quantizer: it only rounds, so that a nonlinearity stands before it."""
    wants_float32: ClassVar[bool] = False
    """It means nothing under mixed precision."""
    counts: ClassVar[bool] = False
    """It keeps whole numbers in a checkpoint, which no average of weights can hold."""

    @property
    def samples(self) -> bool:
        """As a weight quantizer: whether training takes the expectation of weights that are drawn later."""
        return False

    @property
    def reads_deviations(self) -> bool:
        """As an activation quantizer: whether its input is a sum in units of its own deviation."""
        return False

    @property
    def learns_gates(self) -> bool:
        """Whether it has gates that training opens and closes."""
        return False

    @property
    def solves(self) -> bool:
        """Whether it solves for its weights on images before the first step."""
        return False

    @property
    def told(self) -> str:
        """Bits of one number for a table, where they are not those of its codes."""
        return self.bits_told


class Sign(Quantizer):
    """−1 below 0, else +1."""

    name: Literal["sign"] = "sign"
    is_sign: ClassVar[bool] = True
