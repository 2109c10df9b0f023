"""What a binarization method is: a row of data. Nothing here imports torch.

The axes are those on which published methods differ (weights, activations, latent rules, scope,
block). Formulas and gradients stand in the docstrings of the functions that the names stand for:
``quantizers``, ``estimators``, ``weight_gradients``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bnn_train.spec.record import Record

Role = Literal["first", "body", "downsample", "last"]
Estimator = Literal["identity", "clip", "clip_open", "approx_sign", "unit"]


class WeightScale(Record):
    """The positive factor α that multiplies the quantized weights."""

    kind: Literal["none", "l1", "l1_masked", "learned"] = "none"
    """`l1`: mean |w|; `l1_masked`: mean |w| over the weights that are not quantized to 0; `learned`: a
    parameter of its own that starts at mean |w| (the ablation of XNOR-Net's table 3)."""
    granularity: Literal["channel", "layer"] = "channel"
    """One α per output filter (XNOR-Net) or one per layer (DoReFa)."""


class WeightSpec(Record):
    """Latent weight → the weight of the forward pass."""

    quantizer: Literal["none", "sign", "stochastic_sign", "ternary", "stored"] = "none"
    """`stored`: the parameter itself is ±1 and only an optimizer that flips it may train it."""
    scale: WeightScale = WeightScale()
    gradient: Literal["identity", "exact", "official", "detached"] = "identity"
    """How the gradient reaches the latent weight; see `weight_gradients`."""
    estimator: Estimator = "clip_open"
    """The derivative that stands in for that of sign inside `exact`, `official`, `detached`."""
    gain: Literal["none", "fan_in"] = "none"
    """Multiply the gradient by n, the weights per filter (XNOR-Net's official code under SGD)."""
    threshold: float = Field(default=0.75, ge=0)
    """`ternary`: Δ = threshold · mean |w|."""
    evaluate: Literal["binary", "latent"] = "binary"
    """Which weights the validation and test passes use."""


class ActivationSpec(Record):
    """Real input of a binarized layer → the input of its product."""

    quantizer: Literal["none", "sign", "stochastic_sign", "uniform"] = "none"
    """`uniform`: clip to [0, 1] and round to 2^bits − 1 steps."""
    bits: int = Field(default=1, ge=1, le=8)
    """Bits of `uniform`."""
    estimator: Estimator = "clip"
    """The derivative that stands in for the quantizer's."""
    scale: Literal["none", "xnor_k"] = "none"
    """`xnor_k`: multiply the output by K, the box-filtered mean |input| (XNOR-Net §3.2)."""


class LatentSpec(Record):
    """Rules for the latent weights of binarized layers."""

    init: Literal["uniform", "glorot", "he_in", "he_out", "normal_005", "sign"] = "he_out"
    """`uniform`: U(−1, 1); `glorot`: U(±√(1.5/(fan_in+fan_out))); `he_*`: N(0, √(2/fan)); `sign`: ±1."""
    clip: float | None = Field(default=None, gt=0)
    """Clip to [−clip, clip] after every step."""
    center: bool = False
    """Subtract the mean over the input channels, per filter and tap, after every step (before clip)."""
    lr_scale: Literal["none", "glorot", "glorot_pow2"] = "none"
    """`glorot`: learning rate × √((fan_in+fan_out)/1.5), and the square of that under SGD; `glorot_pow2`:
    that factor rounded to a power of two (BNN's Torch7 code for CIFAR-10 and SVHN)."""


class ScopeSpec(Record):
    """Which layers the method leaves alone."""

    real: tuple[Role, ...] = Field(default=(), strict=False)
    """Roles that stay real-valued."""


class BlockSpec(Record):
    """How layers, normalization, nonlinearity and pooling follow each other."""

    order: Literal["conv-bn-act-pool", "conv-pool-bn-act", "bn-act-conv-pool"] = "conv-bn-act-pool"
    shortcut: Literal["per_block", "per_conv"] = "per_block"
    """Residual networks: a shortcut around every block, or around every convolution (Bi-Real Net)."""
    downsample: Literal["conv", "avgpool_conv"] = "conv"
    """Type-B shortcuts: a strided 1×1 convolution, or 2×2 average pooling and a plain 1×1."""
    stream: Literal["none", "relu", "hardtanh"] = "relu"
    """The nonlinearity on the residual stream after each addition."""
    output_norm: bool = False
    """Batch-normalize the network's output, as the square-hinge networks do."""
    product_relu: bool = False
    """Plain chains in the order `bn-act-conv-pool`: a ReLU behind every layer that has a norm before it.
    XNOR-Net's paper calls it optional, the authors' code has none, the PyTorch port has it."""
    before_last: Literal["norm_relu", "norm", "none"] = "norm_relu"
    """Plain chains in the order `bn-act-conv-pool`: what stands before a real last layer. The authors'
    AlexNet has norm and ReLU, the PyTorch port's Network-in-Network the norm, its LeNet-5 neither."""

    @property
    def norms_first(self) -> bool:
        """Whether norm and nonlinearity stand before a layer and not behind it."""
        return self.order == "bn-act-conv-pool"

    @property
    def pools_before_norm(self) -> bool:
        """Whether a layer's result is pooled before it is normalized."""
        return self.order == "conv-pool-bn-act"

    @property
    def shortcut_per_conv(self) -> bool:
        """Whether every convolution has a shortcut of its own."""
        return self.shortcut == "per_conv"

    @property
    def pools_shortcut(self) -> bool:
        """Whether type-B shortcuts average before their convolution."""
        return self.downsample == "avgpool_conv"


class NormSpec(Record):
    """Batch normalization in the networks of a method."""

    kind: Literal["batch", "shift"] = "batch"
    """`shift`: multiplications by powers of two alone (BNN §1.3 and algorithm 2); the output's norm stays
    `batch`, as in the authors' code."""
    eps: float = Field(default=1e-5, gt=0)
    momentum: float = Field(default=0.1, gt=0, le=1)
    """The weight of the newest batch in the running statistics."""
    gamma: Literal["ones", "uniform"] = "ones"
    """Initial γ: 1, or U(0, 1) as in Torch7."""
    reestimate: bool = False
    """Recompute the statistics with the test-time weights before every evaluation."""


class Method(Record):
    """One published method: a point on the axes above."""

    name: str
    paper: str = ""
    """Where the method was published."""
    weight: WeightSpec = WeightSpec()
    activation: ActivationSpec = ActivationSpec()
    latent: LatentSpec = LatentSpec()
    scope: ScopeSpec = ScopeSpec()
    block: BlockSpec = BlockSpec()
    norm: NormSpec = NormSpec()
    padding: Literal[-1, 0, 1] = 0
    """The value of padded taps at the inputs of layers with quantized activations."""

    def binarizes(self, role: Role) -> bool:
        """Whether a layer in this role has quantized weights."""
        return self.weight.quantizer != "none" and role not in self.scope.real

    def quantizes_input(self, role: Role) -> bool:
        """Whether a layer in this role quantizes its input; the first layer reads the image."""
        return self.activation.quantizer != "none" and role != "first" and role not in self.scope.real
