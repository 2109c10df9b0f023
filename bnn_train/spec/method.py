"""A binarization method as a row of data: a point on the axes on which published methods differ.

Each axis has a file of options here (``quantizers``, ``pre``, ``estimators``, ``scales``) and the objects
that they build, formulas and gradients in their docstrings, under the same name in ``bnn_train/binary``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bnn_train.spec.estimators import Clip, ClipOpen, Estimator
from bnn_train.spec.output_gradients import OutputGradient, RealGradient
from bnn_train.spec.pre import ActivationPre, AsItIs, WeightPre
from bnn_train.spec.progress import AtOnce, Progress
from bnn_train.spec.quantizers import ActivationQuantizer, Real, WeightQuantizer
from bnn_train.spec.record import Record
from bnn_train.spec.scales import NoScale, OutputScale, Unscaled, WeightScale

Role = Literal["first", "body", "downsample", "last"]


class WeightSpec(Record):
    """Latent weight → the weight of the forward pass: `pre`, then `quantizer`, then `scale`."""

    pre: WeightPre = AsItIs()
    quantizer: WeightQuantizer = Real()
    scale: WeightScale = NoScale()
    """The positive factor α that multiplies the codes."""
    granularity: Literal["channel", "layer"] = "channel"
    """How far one mean, one threshold and one α reach: an output filter (XNOR-Net), or the layer (DoReFa)."""
    gradient: Literal["identity", "exact", "official", "detached", "unscaled"] = "identity"
    """How the gradient reaches the latent weight; see `binary/gradients.py`."""
    estimator: Estimator = ClipOpen()
    """The derivative that stands in for the quantizer's inside every other rule than `identity`."""
    gain: Literal["none", "fan_in"] = "none"
    """Multiply the gradient by n, the weights per filter (XNOR-Net's official code under SGD)."""
    evaluate: Literal["binary", "latent"] = "binary"
    """The weights that the validation and test passes use."""
    progress: Progress = AtOnce()
    """The order in which the weights are quantized while the network trains."""

    @property
    def evaluates_latent(self) -> bool:
        """Whether evaluations use the latent weights."""
        return self.evaluate == "latent"

    @property
    def per_layer(self) -> bool:
        """Whether one mean, one threshold and one α serve the whole layer."""
        return self.granularity == "layer"

    @property
    def passes_gradient(self) -> bool:
        """Whether the gradient reaches the latent weight unchanged."""
        return self.gradient == "identity"

    @property
    def amplifies(self) -> bool:
        """Whether the gradient is multiplied."""
        return self.gain != "none"

    @property
    def follows_mean_magnitude(self) -> bool:
        """Whether the gradient is that of mean|w|·sign(w), and of nothing else."""
        return self.gradient in ("exact", "official")


class ActivationSpec(Record):
    """Real input of a binarized layer → the input of its product: `pre`, then `quantizer`."""

    pre: ActivationPre = AsItIs()
    quantizer: ActivationQuantizer = Real()
    estimator: Estimator = Clip()
    """The derivative that stands in for the quantizer's."""

    @property
    def only_rounds(self) -> bool:
        """Whether a nonlinearity stands before it all the same, as in the network that it was made for."""
        return self.quantizer.keeps_shape or self.pre.measures


class LatentSpec(Record):
    """Rules for the latent weights of binarized layers."""

    init: Literal[
        "uniform",
        "glorot",
        "he_in",
        "he_out",
        "normal_005",
        "sign",
        "glorot_normal",
        "glorot_uniform",
        "uniform_0001",
        "torch",
        "connections",
    ] = "he_out"
    """`uniform`: U(−1, 1); `glorot`: U(±√(1.5/(fan_in+fan_out))); `he_*`: N(0, √(2/fan)); `sign`: ±1;
    `uniform_0001`: U(0, 0.001). Keras' own: `glorot_uniform`, U(±√(6/(fan_in+fan_out))); `glorot_normal`,
    N(0, √(2/(fan_in+fan_out))) cut off at two deviations. PyTorch's own: `torch`,
    U(±1/√fan_in). `connections`: U(0, 1), with the signs of fixed strengths."""
    clip: float | None = Field(default=None, gt=0)
    """Clip to [−clip, clip] after every step."""
    clip_all: bool = False
    """Clip every other parameter of the network to the same bounds, too: real weights, biases, γ and β, and
    what quantizers learn (BNN's Torch7 model for CIFAR-10, but not its models for MNIST and SVHN)."""
    center: bool = False
    """Subtract the mean over the input channels, per filter and tap, after every step (before clip)."""
    lr_scale: Literal["none", "glorot", "glorot_pow2"] = "none"
    """`glorot`: learning rate × √((fan_in+fan_out)/1.5), and the square of that under SGD; `glorot_pow2`:
    that factor rounded to a power of two (BNN's Torch7 code for CIFAR-10 and SVHN)."""

    @property
    def starts_binary(self) -> bool:
        """Whether the weights are ±1 at the start."""
        return self.init == "sign"

    @property
    def scales_rate(self) -> bool:
        """Whether latent weights learn at a rate of their own."""
        return self.lr_scale != "none"


class ScopeSpec(Record):
    """The layers that the method leaves alone."""

    real: tuple[Role, ...] = Field(default=(), strict=False)
    """Roles that stay real-valued."""


class BlockSpec(Record):
    """How layers, normalization, nonlinearity and pooling follow each other."""

    order: Literal["conv-bn-act-pool", "conv-pool-bn-act", "bn-act-conv-pool"] = "conv-bn-act-pool"
    shortcut: Literal["per_block", "per_conv"] = "per_block"
    """Residual networks: a shortcut around every block, or around every convolution (Bi-Real Net)."""
    downsample: Literal["conv", "avgpool_conv"] = "conv"
    """Type-B shortcuts: a strided 1×1 convolution, or 2×2 average pooling and a plain 1×1."""
    post_add_activation: Literal["none", "relu", "hardtanh", "prelu", "rprelu", "maxout"] = "relu"
    """The nonlinearity after each addition of a shortcut; the last three learn slopes for each channel."""
    conv_activation: Literal["none", "relu", "prelu"] = "none"
    """Residual networks: the nonlinearity right behind each convolution of a block, before its norm or the
    addition."""
    stem_activation: bool = True
    """Residual networks: the stem ends in the nonlinearity of `post_add_activation` (ReLU before norms)."""
    branches: int = Field(default=1, ge=1)
    """Residual networks: copies of every block side by side, each reading a learned mix of its own stream and
    the mean of all (Group-Net)."""
    output_norm: bool = False
    """Batch-normalize the network's output, as the square-hinge networks do."""
    product_relu: bool = False
    """In the order `bn-act-conv-pool`: a ReLU behind every layer that has a norm before it, in residual
    networks behind every convolution of a block, before its shortcut is added (least squares quantization).
    XNOR-Net's paper calls it optional, the authors' code has none, the PyTorch port has it."""
    before_last: Literal["norm_relu", "norm", "none"] = "norm_relu"
    """In the order `bn-act-conv-pool`: what stands before a real last layer. XNOR-Net's authors'
    AlexNet has norm and ReLU, the PyTorch port's Network-in-Network the norm, its LeNet-5 neither."""

    @property
    def norms_first(self) -> bool:
        """Whether norm and nonlinearity stand before a layer and not behind it."""
        return self.order == "bn-act-conv-pool"

    @property
    def rectifies_last(self) -> bool:
        """Whether norm and ReLU stand before a real last layer, as they do unless a method says otherwise."""
        return self.before_last == "norm_relu"

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

    kind: Literal["batch", "shift", "none"] = "batch"
    """`shift`: multiplications by powers of two alone (BNN §1.3 and algorithm 2); `none`: none. The output's
    norm stays `batch`, as in BNN's authors' code."""
    eps: float = Field(default=1e-5, gt=0)
    momentum: float = Field(default=0.1, gt=0, le=1)
    """The weight of the newest batch in the running statistics."""
    gamma: Literal["ones", "uniform"] = "ones"
    """Initial γ: 1, or U(0, 1) as in Torch7."""
    affine: bool = True
    """Learned factor γ and summand β; without them numbers stay near N(0, 1). The output's norm has them."""
    reestimate: bool = False
    """Recompute the statistics with the test-time weights before every evaluation."""

    @property
    def plain(self) -> bool:
        """Whether norms are torch's own."""
        return self.kind == "batch"

    @property
    def absent(self) -> bool:
        """Whether there are none but that of the output."""
        return self.kind == "none"

    @property
    def draws_gamma(self) -> bool:
        """Whether γ starts at random."""
        return self.gamma != "ones"


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
    output_scale: OutputScale = Unscaled()
    """The factor on the output of a product, beside the weight's scale."""
    output_gradient: OutputGradient = RealGradient()
    """The rounding of the gradient with respect to a layer's output."""
    padding: Literal[-1, 0, 1] = 0
    """The value of padded taps at the inputs of layers with quantized activations."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences that a run of the method tells at its start."""
        quantizers = (self.weight.quantizer, self.activation.quantizer)
        return tuple(dict.fromkeys(quantizer.remark for quantizer in quantizers if quantizer.remark))

    def binarizes(self, role: Role) -> bool:
        """Whether a layer in this role has quantized weights."""
        return self.weight.quantizer.quantizes and role not in self.scope.real

    def quantizes_input(self, role: Role) -> bool:
        """Whether a layer in this role quantizes its input; the first layer reads the image."""
        return self.activation.quantizer.quantizes and role != "first" and role not in self.scope.real
