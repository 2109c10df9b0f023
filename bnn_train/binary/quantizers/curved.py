"""Numbers that are known by their expectation while a network trains, and decided afterwards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor

from bnn_train.binary.estimators import Estimator
from bnn_train.binary.quantizers.base import Dims, Factors, Quantizer


class Curved(Quantizer):
    """A curve with its own derivative in training, codes in evaluations and exports."""

    @abstractmethod
    def curve(self, x: Tensor) -> Tensor:
        """The expected code."""

    @abstractmethod
    def decided(self, x: Tensor) -> Tensor:
        """The code."""

    @property
    def whole(self) -> bool:
        return not self.training

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return self.curve(x) if drawn and self.training else self.decided(x)

    def coded(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> tuple[Tensor, Factors]:
        return self.codes(x, (), drawn=drawn), 1.0

    def value(self, x: Tensor, estimator: Estimator, *, drawn: bool, span: Factors) -> Tensor:
        return self.codes(x, (), drawn=drawn)

    def around(
        self, start: Tensor, u0: Tensor, estimator: Estimator, prepared: Callable[[Tensor], Tensor]
    ) -> Callable[[Tensor], Tensor]:
        return lambda x: start + self.curve(prepared(x)) - self.curve(u0)
