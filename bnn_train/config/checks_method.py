"""Points on the method axes that cannot stand together, or stand without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bnn_train.config.schema import Experiment
from bnn_train.config.yaml_reader import KeyPath
from bnn_train.spec.method import BlockSpec, Method
from bnn_train.spec.networks import MLP

Problems = Iterator[tuple[KeyPath, str]]
WEIGHT: KeyPath = ("method", "weight")
ACTIVATION: KeyPath = ("method", "activation")
LATENT: KeyPath = ("method", "latent")


def _stored(e: Experiment) -> Problems:
    """±1 weights without latent ones, and the optimizer that flips them."""
    stored = e.method.weight.quantizer == "stored"
    if e.optimizer.binary is not None and not stored:
        yield (
            ("optimizer", "binary"),
            f"{e.optimizer.binary.name} flips stored ±1 weights, but method {e.method.name} has latent ones"
            f" (weight.quantizer: {e.method.weight.quantizer}); remove it, or take method bop",
        )
    if not stored:
        return
    if e.optimizer.binary is None:
        yield (
            ("optimizer", "binary"),
            f"is missing: method {e.method.name} stores ±1 weights, which only bop can train;"
            " set optimizer.binary: bop",
        )
    yield from _stored_alone(e)


def _stored_alone(e: Experiment) -> Problems:
    why = "cannot go with weights that are stored as ±1 (method.weight.quantizer: stored)"
    m = e.method
    if m.weight.scale.kind != "none":
        yield (*WEIGHT, "scale", "kind"), f"a scale {why}; set it to none"
    if m.weight.gradient != "identity":
        yield (*WEIGHT, "gradient"), f"a gradient other than identity {why}"
    if m.latent.init != "sign":
        yield (*LATENT, "init"), f"an init other than sign {why}"
    for key in ("clip", "center"):
        if getattr(m.latent, key):
            yield (*LATENT, key), f"a rule for latent weights {why}; remove it"
    if e.training.ema:
        yield ("training", "ema"), f"averaging {why}: the average is not ±1"


def _weight(e: Experiment) -> Problems:
    weight = e.method.weight
    scale = weight.scale.kind
    if weight.quantizer == "ternary" and scale == "l1":
        yield (
            (*WEIGHT, "scale", "kind"),
            "l1 averages over the zeros of ternary weights; use l1_masked or none",
        )
    if scale == "learned" and weight.evaluate == "latent":
        yield (
            (*WEIGHT, "scale", "kind"),
            "learned multiplies quantized weights, but evaluations take the latent ones; use none or l1",
        )
    if scale == "l1_masked" and weight.quantizer in ("sign", "stochastic_sign"):
        yield (*WEIGHT, "scale", "kind"), f"l1_masked is for ternary weights; with {weight.quantizer} use l1"
    if weight.gradient in ("exact", "official") and (weight.quantizer, scale) != ("sign", "l1"):
        yield (
            (*WEIGHT, "gradient"),
            f"{weight.gradient} is the gradient of mean|w|·sign(w), so it needs weight.quantizer: sign and"
            " weight.scale.kind: l1; use detached or identity",
        )
    if weight.quantizer == "stochastic_sign" and weight.evaluate == "binary":
        yield (
            (*WEIGHT, "evaluate"),
            "stochastic weights would be drawn anew at every evaluation; use latent, or quantizer: sign",
        )


def _without_quantizer(e: Experiment) -> Problems:
    """Rules for quantized weights where there are none."""
    m = e.method
    if m.weight.quantizer != "none":
        return
    idle: dict[KeyPath, bool] = {
        (*WEIGHT, "scale", "kind"): m.weight.scale.kind != "none",
        (*WEIGHT, "gradient"): m.weight.gradient != "identity",
        (*WEIGHT, "gain"): m.weight.gain != "none",
        (*LATENT, "clip"): m.latent.clip is not None,
        (*LATENT, "center"): m.latent.center,
        (*LATENT, "lr_scale"): m.latent.lr_scale != "none",
        ("optimizer", "weight_decay_binary"): e.optimizer.weight_decay_binary > 0,
    }
    for path, is_set in idle.items():
        if is_set:
            yield path, "has no effect, since method.weight.quantizer is none; remove it"


def _activation(e: Experiment) -> Problems:
    a = e.method.activation
    if a.scale == "xnor_k" and a.quantizer != "sign":
        yield (*ACTIVATION, "scale"), f"xnor_k needs activation.quantizer: sign, not {a.quantizer}"
    if a.quantizer == "uniform" and a.estimator not in ("unit", "identity"):
        yield (
            (*ACTIVATION, "estimator"),
            f"{a.estimator} belongs to sign; uniform activations in [0, 1] need unit or identity",
        )
    if a.quantizer in ("sign", "stochastic_sign") and a.estimator == "unit":
        yield (*ACTIVATION, "estimator"), f"unit belongs to uniform activations; {a.quantizer} needs another"
    if a.bits != 1 and a.quantizer != "uniform":
        yield (*ACTIVATION, "bits"), f"belongs to activation.quantizer: uniform, not {a.quantizer}"
    if e.method.padding and a.quantizer in ("none", "uniform"):
        yield (
            ("method", "padding"),
            f"{e.method.padding} belongs to signs; activations of quantizer {a.quantizer} are padded with 0",
        )
    if e.method.padding and a.scale == "xnor_k":
        yield (
            ("method", "padding"),
            f"{e.method.padding} cannot go with activation.scale: xnor_k, whose K averages zeros around the"
            " map; use 0",
        )


def _block(e: Experiment) -> Problems:
    block = e.method.block
    if e.model.name.startswith("resnet"):
        for key in ("product_relu", "before_last"):
            if getattr(block, key) != BlockSpec.model_fields[key].default:
                yield ("method", "block", key), f"has no effect in {e.model.name}: it belongs to plain chains"
        return
    if block.product_relu and block.order != "bn-act-conv-pool":
        yield (
            ("method", "block", "product_relu"),
            f"belongs to the order bn-act-conv-pool; in {block.order} a ReLU or a sign follows anyway",
        )
    if block.before_last == "norm_relu":
        return
    path = ("method", "block", "before_last")
    if block.order != "bn-act-conv-pool":
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
    return method.weight.quantizer != "none" or method.activation.quantizer != "none"


def _has_layers(e: Experiment) -> bool:
    roles = (
        {"first", "last"} if isinstance(e.model, MLP) and e.model.depth == 1 else {"first", "body", "last"}
    )
    return bool(roles - set(e.method.scope.real))


CHECKS: tuple[Callable[[Experiment], Problems], ...] = (
    _stored,
    _weight,
    _without_quantizer,
    _activation,
    _block,
    _scope,
)
