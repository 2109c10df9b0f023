"""Points on the method axes that cannot stand together, or stand without effect.

Each question goes to the options themselves: no name of an axis value stands here but in the advice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.method import Method
from bnn_train.spec.networks import MLP

Problems = Iterator[tuple[KeyPath, str]]
WEIGHT: KeyPath = ("method", "weight")
ACTIVATION: KeyPath = ("method", "activation")
LATENT: KeyPath = ("method", "latent")
RANGES = {"signed": "numbers around 0", "unit": "numbers in [0, 1]", "positive": "numbers above 0"}


def _stored(e: Experiment) -> Problems:
    """±1 weights without latent ones, and the optimizer that flips them."""
    quantizer, binary = e.method.weight.quantizer, e.optimizer.binary
    if quantizer.latent and binary is not None and not binary.latent:
        yield (
            ("optimizer", "binary"),
            f"{binary.name} flips stored ±1 weights, but method {e.method.name} has latent ones"
            f" (weight.quantizer: {quantizer.name}); remove it, or take method bop",
        )
    if quantizer.latent:
        return
    if binary is None or binary.latent:
        yield (
            ("optimizer", "binary"),
            f"{'is missing' if binary is None else f'{binary.name} moves latent weights'}: method"
            f" {e.method.name} stores ±1 weights, which only bop can train;"
            " set optimizer.binary: bop",
        )
    yield from _stored_alone(e)


def _stored_alone(e: Experiment) -> Problems:
    m = e.method
    why = f"cannot go with weights that are stored as ±1 (method.weight.quantizer: {m.weight.quantizer.name})"
    if m.weight.scale.scales:
        yield (*WEIGHT, "scale"), f"a scale {why}; set it to none"
    if not m.weight.passes_gradient:
        yield (*WEIGHT, "gradient"), f"a gradient other than identity {why}"
    if not m.latent.starts_binary:
        yield (*LATENT, "init"), f"an init other than sign {why}"
    for key in ("clip", "center"):
        if getattr(m.latent, key):
            yield (*LATENT, key), f"a rule for latent weights {why}; remove it"
    if e.training.ema:
        yield ("training", "ema"), f"averaging {why}: the average is not ±1"


def _weight(e: Experiment) -> Problems:
    weight = e.method.weight
    quantizer, scale = weight.quantizer, weight.scale
    if quantizer.zeros and scale.mean_magnitude:
        yield (
            (*WEIGHT, "scale"),
            f"{scale.name} averages over the zeros of {quantizer.name} weights; use l1_masked or none",
        )
    if quantizer.scales_itself and scale.scales:
        yield (
            (*WEIGHT, "scale"),
            f"{scale.name} would scale {quantizer.name} twice, whose bases have factors of their own;"
            " use none",
        )
    if scale.learns and weight.evaluates_latent:
        yield (
            (*WEIGHT, "scale"),
            f"{scale.name} multiplies quantized weights, but evaluations take the latent ones; use none or"
            " l1",
        )
    if scale.skips_zeros and quantizer.signs:
        yield (
            (*WEIGHT, "scale"),
            f"{scale.name} is for ternary weights; with {quantizer.name} use l1",
        )
    if weight.follows_mean_magnitude and not (quantizer.is_sign and scale.mean_magnitude):
        yield (
            (*WEIGHT, "gradient"),
            f"{weight.gradient} is the gradient of mean|w|·sign(w), so it needs weight.quantizer: sign and"
            " weight.scale: l1; use detached or identity",
        )
    if quantizer.draws and not weight.evaluates_latent:
        yield (
            (*WEIGHT, "evaluate"),
            "stochastic weights would be drawn anew at every evaluation; use latent, or quantizer: sign",
        )


def _latent(e: Experiment) -> Problems:
    latent = e.method.latent
    if latent.clip_all and latent.clip is None:
        yield (*LATENT, "clip_all"), "needs the bound of latent.clip, for example 1.0"


def _without_quantizer(e: Experiment) -> Problems:
    """Rules for quantized weights where there are none."""
    m = e.method
    if m.weight.quantizer.quantizes:
        return
    idle: dict[KeyPath, bool] = {
        (*WEIGHT, "pre"): m.weight.pre.prepares,
        (*WEIGHT, "scale"): m.weight.scale.scales,
        (*WEIGHT, "gradient"): not m.weight.passes_gradient,
        (*WEIGHT, "gain"): m.weight.amplifies,
        (*LATENT, "clip"): m.latent.clip is not None,
        (*LATENT, "clip_all"): m.latent.clip_all,
        (*LATENT, "center"): m.latent.center,
        (*LATENT, "lr_scale"): m.latent.scales_rate,
        ("optimizer", "weight_decay_binary"): e.optimizer.weight_decay_binary > 0,
    }
    for path, is_set in idle.items():
        if is_set:
            yield path, "has no effect, since method.weight.quantizer is none; remove it"


def _activation(e: Experiment) -> Problems:
    a, scale = e.method.activation, e.method.output_scale
    quantizer, estimator = a.quantizer, a.estimator
    if scale.needs_signs and not quantizer.is_sign:
        yield (
            ("method", "output_scale"),
            f"{scale.name} needs activation.quantizer: sign, not {quantizer.name}",
        )
    if not quantizer.quantizes:
        if a.pre.prepares:
            yield (*ACTIVATION, "pre"), "has no effect, since method.activation.quantizer is none; remove it"
    elif "any" not in (estimator.range, quantizer.range) and estimator.range != quantizer.range:
        yield (
            (*ACTIVATION, "estimator"),
            f"{estimator.name} is for {RANGES[estimator.range]}, and {quantizer.name} is for"
            f" {RANGES[quantizer.range]}; use another",
        )
    if e.method.padding and not quantizer.signs:
        yield (
            ("method", "padding"),
            f"{e.method.padding} belongs to signs; activations of quantizer {quantizer.name} are padded"
            " with 0",
        )
    if e.method.padding and scale.pads_zeros:
        yield (
            ("method", "padding"),
            f"{e.method.padding} cannot go with output_scale: {scale.name}, which averages zeros around the"
            " map; use 0",
        )


def _block(e: Experiment) -> Problems:
    block = e.method.block
    if block.product_relu and not block.norms_first:
        yield (
            ("method", "block", "product_relu"),
            f"belongs to the order bn-act-conv-pool; in {block.order} a ReLU or a sign follows anyway",
        )
    if block.rectifies_last or e.model.residual:
        return
    path = ("method", "block", "before_last")
    if not block.norms_first:
        yield path, f"belongs to the order bn-act-conv-pool, not {block.order}"
    elif e.method.quantizes_input("last"):
        yield path, "belongs to a real last layer; here its input is quantized, which needs the norm"


def _scope(e: Experiment) -> Problems:
    if _quantizes_something(e.method) and not _has_layers(e):
        yield (
            ("method", "scope", "real"),
            f"no layer of {e.model.name} is left to binarize; take a role out of it, or use method fp",
        )


def _quantizes_something(method: Method) -> bool:
    return method.weight.quantizer.quantizes or method.activation.quantizer.quantizes


def _has_layers(e: Experiment) -> bool:
    roles = (
        {"first", "last"} if isinstance(e.model, MLP) and e.model.depth == 1 else {"first", "body", "last"}
    )
    return bool(roles - set(e.method.scope.real))


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (
    _stored,
    _weight,
    _latent,
    _without_quantizer,
    _activation,
    _block,
    _scope,
)
