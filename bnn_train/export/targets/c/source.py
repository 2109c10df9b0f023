"""The C text of a network: runtime, constants, and the functions that people call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnn_train.errors import ExportError
from bnn_train.export.targets.c.answer import Scores, scores
from bnn_train.export.targets.c.arrays import Arrays, definition, least_type
from bnn_train.export.targets.c.fields import Gathered
from bnn_train.export.targets.c.memory import IMAGE, Plan, planned
from bnn_train.export.targets.c.options import COptions
from bnn_train.export.targets.c.pixels import prepared
from bnn_train.export.targets.c.steps import Stages, head_of
from bnn_train.export.targets.c.templates import RUNTIME, cut, piece
from bnn_train.export.targets.c.whole import in_whole_numbers
from bnn_train.export.targets.target import Content
from bnn_train.packed.facts import Facts
from bnn_train.packed.operands import SIGN, BitWeight
from bnn_train.packed.program import Conv, Program
from bnn_train.packed.reference.sigmoid import COEFFICIENTS, LN2, PER_LN2
from bnn_train.packed.tensor_rules import product_bound

_EXACT_INT32 = 2**31


@dataclass(frozen=True)
class Source:
    """The files that make the network, and what is known of it."""

    header: str
    data: str
    code: str
    plan: Plan
    arrays: Arrays
    features: set[str]
    answers: Scores | None
    """None: the answer is the greatest logit."""

    @property
    def uses_floats(self) -> bool:
        """Whether an answer takes real numbers."""
        return self.answers is None or bool(self.features & {"body_real", "preprocess"})

    @property
    def is_exact(self) -> bool:
        """Whether every result is defined to the last bit, whatever runs it."""
        return not self.features & {"real_product", "input_scale_step", "mean"}


def source_of(content: Content, options: COptions) -> Source:
    """Raises ExportError for a network that C cannot hold, or for logits=false where they are needed."""
    program, tensors = in_whole_numbers(content.header.program, content.tensors)
    found = Gathered(tensors)
    head = head_of(program, tensors)
    preprocess = content.header.images.preprocess
    plan = planned(program, bool(preprocess), head is not None)
    answers = None if head is None else _scores(head, program, tensors)
    if not options.logits and answers is None:
        raise ExportError(f"{program.steps[-1].layer}: its answer takes real numbers; leave logits=false out")
    stages = Stages(program, plan, found, options.logits)
    if head is not None and options.logits:
        found.features |= {"real", "f32"}
    if head is None:
        found.features.add("no_head")
    prepare = prepared(content, plan, found)
    if preprocess:
        found.features |= {"preprocess", "f32"}
    if "fused" in found.features and "fused_flip" not in found.features:
        found.features.add("fused_plain")
    if answers is not None and answers.rounded:
        found.features.add("score_rounded")
    descriptors = "\n".join(stages.descriptors())
    words = {
        **_parameters(found.features),
        "SIGMOID_TERMS": ", ".join(map(_double, COEFFICIENTS)),
        "PER_LN2": _double(PER_LN2),
        "LN2_HIGH": _double(LN2[0]),
        "LN2_LOW": _double(LN2[1]),
    }
    runtime = "\n".join(
        text for name in RUNTIME if (text := cut(piece(f"runtime/{name}.c"), found.features, words))
    )
    functions = "\n".join([prepare, _run(stages.calls, bool(preprocess)), *_public(stages, answers, options)])
    score_arrays = _score_arrays(answers, found.arrays)
    code = "\n".join([_INCLUDES, runtime, '#include "bnn_data.h"\n', descriptors, functions])
    code = code.replace("@FLOATS@", _FLOATS if found.features & {"real", "f32"} else "")
    data = "\n".join([_DATA, found.arrays.text, score_arrays])
    named = {"header": _header(content, plan, options), "data": data, "code": _types(code, found)}
    texts = {key: prefixed(text, options.prefix) for key, text in named.items()}
    return Source(**texts, plan=plan, arrays=found.arrays, features=found.features, answers=answers)


def _parameters(features: set[str]) -> dict[str, str]:
    """Parameters that some networks' functions have."""
    most, first = "rounded" in features, "fused" in features
    return {
        "MOST": "float most, " if most else "",
        "MOST_ARGUMENT": "most, " if most else "",
        "FIRST": "int first, " if first else "",
        "FIRST_ARGUMENT": "first, " if first else "",
    }


_INCLUDES = """/* A binarized network as portable C99, made by bnn_train; see README.md. */
#include "bnn.h"

@FLOATS@@TYPES@"""
_FLOATS = """#include <float.h>

#if !defined(FLT_EVAL_METHOD) || FLT_EVAL_METHOD != 0
#error "real numbers would be rounded elsewhere than in the packed network; on x86 use -msse2 -mfpmath=sse"
#endif

"""
_DATA = """/* The constants of the network. A set bit is the sign -1. */
#ifndef BNN_CONST
#define BNN_CONST static const
#endif
"""


def _types(code: str, found: Gathered) -> str:
    kinds = {
        "whole_limits": ("bnn_limit", least_type(*found.limits)),
        "ints": ("bnn_int", least_type(*found.ints)),
    }
    lines = [f"typedef {kind} {name};" for key, (name, kind) in kinds.items() if key in found.features]
    if found.features & {"whole", "rounded", "whole_limits"}:
        lines.append(f"typedef {'int32_t' if found.whole < _EXACT_INT32 else 'int64_t'} bnn_whole;")
    return code.replace("@TYPES@", "\n".join([*lines, "\n"]) if lines else "")


def _double(number: float) -> str:
    return float(number).hex()


def _run(calls: list[str], prepares: bool) -> str:
    body = [*(["prepare(m);"] if prepares else []), *calls]
    lines = [f"    {call}" for call in body or ["(void)m;"]]
    return "\n".join(
        ["/* Every layer before the logits. */", "static void run(uint32_t *m)", "{", *lines, "}", ""]
    )


def _score_arrays(answers: Scores | None, arrays: Arrays) -> str:
    if answers is None:
        return ""
    arrays.sizes["scores"] = (8 if answers.rounded else 4) * 2 * len(answers.factors)
    lines = {"score_factors": answers.factors, "score_summands": answers.summands}
    return "\n".join(definition(name, answers.kind, numbers) for name, numbers in lines.items())


def _public(stages: Stages, answers: Scores | None, options: COptions) -> list[str]:
    image = f"(uint8_t *)(memory->words + {stages.plan.places.get(IMAGE, stages.plan.places[0])})"
    texts = [f"uint8_t *bnn_image(bnn_memory *memory)\n{{\n    return {image};\n}}\n"]
    features = stages.found.features
    name = next(reversed(stages.stages[-1].descriptors), "")
    if options.logits:
        words = {"HEAD": name, "OUTPUT": str(stages.plan.places.get(stages.output, 0))}
        own = features | ({"head"} if stages.head is not None else {"no_head"})
        texts.append(cut(piece("runtime/logits.c"), own, words))
    if answers is None:
        texts.append(piece("runtime/answer_by_logits.c"))
    else:
        words = {"HEAD": name, "SCORE": answers.kind}
        own = {"rounded_score"} if answers.rounded else set[str]()
        texts.append(cut(piece("runtime/answer_by_scores.c"), own, words))
    return texts


def _scores(head: Conv, program: Program, tensors: Any) -> Scores | None:
    sums = _reachable(head, program, tensors)
    return (
        None
        if sums is None
        else scores(head.epilogue, tensors, program.values[program.output].channels, sums)
    )


def _reachable(head: Conv, program: Program, tensors: Any) -> NDArray[np.int64] | None:
    """Every sum that a class can have, ascending; signs alone are all even or all odd."""
    source = program.values[head.input]
    bound = product_bound(head, source, Facts(tensors))
    if bound >= 2**20:
        return None
    same = isinstance(head.weight, BitWeight) and head.weight.code == SIGN == source.code
    step = 2 if same and head.geometry.padding == (0, 0) else 1
    return np.arange(-bound, bound + 1, step, dtype=np.int64)


def _header(content: Content, plan: Plan, options: COptions) -> str:
    images, classes = content.header.images, content.header.classes
    names = ", ".join('"' + re.sub(r"[^ -!#-\[\]-~]", "?", name) + '"' for name in classes)
    words = {
        "WHAT": re.sub(r"[^ -~]|\*/", "?", f"{content.header.model} by {content.header.method}"),
        "HEIGHT": str(images.height),
        "WIDTH": str(images.width),
        "CHANNELS": str(images.channels),
        "CLASSES": str(len(classes)),
        "WORDS": str(plan.words),
        "NAMES": names,
    }
    return cut(piece("bnn.h"), {"logits"} if options.logits else set(), words)


def prefixed(text: str, prefix: str) -> str:
    """A text with the names of another prefix."""
    text = re.sub(r"\bbnn_(?!train)", f"{prefix}_", text)
    text = re.sub(r"\bBNN_", f"{prefix.upper()}_", text)
    return text.replace('"bnn.h"', f'"{prefix}.h"')
