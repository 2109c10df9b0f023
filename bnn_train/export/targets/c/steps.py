"""The steps of a program as descriptors and calls of the runtime."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from bnn_train.export.targets.c.fields import Fields, Gathered, initialiser, window
from bnn_train.export.targets.c.memory import Job, Plan
from bnn_train.export.targets.c.products import WHOLE, kind_of, product, settled
from bnn_train.export.targets.c.results import (
    NOWHERE,
    epilogue_fields,
    flip_words,
    limits_fields,
    settled_limits,
)
from bnn_train.packed.program import (
    Channels,
    Concat,
    Conv,
    Geometry,
    InputScale,
    Map,
    Mean,
    Pool,
    Program,
    Step,
    Subsample,
    Value,
)
from bnn_train.packed.shapes import output_size

_NUMBERS = "int32_t"


@dataclass
class Stage:
    """A job: its constants and the statement that runs it."""

    layer: str
    calls: list[str] = field(default_factory=list)
    descriptors: dict[str, tuple[str, Fields]] = field(default_factory=dict)
    """C name → C type and fields."""


def head_of(program: Program, tensors: Mapping[str, NDArray[Any]]) -> Conv | None:
    """The last step, where it makes the logits from whole sums: its answer may need no real number."""
    last = program.steps[-1]
    if not isinstance(last, Conv) or last.output != program.output or last.bits is not None:
        return None
    return last if kind_of(last, program.values[last.input], tensors) in WHOLE else None


class Stages:
    """The jobs of a plan, gone through once; ``texts`` and ``calls`` when all have been."""

    def __init__(self, program: Program, plan: Plan, found: Gathered, logits: bool = True) -> None:
        """``logits``: whether the head's real numbers are wanted."""
        self.logits = logits
        self.values, self.plan, self.found, self.output = program.values, plan, found, program.output
        self.head = head_of(program, found.tensors)
        self.stages = [self._stage(job) for job in plan.jobs]

    @property
    def calls(self) -> list[str]:
        """A statement for each step but the head."""
        return [call for stage in self.stages for call in stage.calls]

    def descriptors(self) -> list[str]:
        """The constants, each a definition."""
        found = []
        for stage in self.stages:
            for name, (kind, fields) in stage.descriptors.items():
                if kind == "conv":
                    fields = self._settled(fields)
                text = fields["numbers"] if kind == _NUMBERS else initialiser(fields, lines=True)
                found.append(f"static const {kind} {name}{'[4]' * (kind == _NUMBERS)} = {text};\n")
        return found

    def _stage(self, job: Job) -> Stage:
        step = job.step
        name = f"{re.sub('[^A-Za-z0-9]+', '_', step.layer)}_{job.index}"
        name = name if name[0].isalpha() else f"layer_{name}"
        stage = Stage(step.layer)
        match step:
            case Conv() | Map():
                self._conv(name, job, step, stage)
            case Pool():
                self._pool(name, step, stage)
            case _:
                self._plain(name, step, stage)
        return stage

    def _conv(self, name: str, job: Job, step: Conv | Map, stage: Stage) -> None:
        source = self.values[step.input]
        written = [v for v in (step.output, step.bits) if v is not None]
        outputs = self.values[written[0]].channels
        fields = self._operands(name, step, source, outputs)
        is_head, features = step is self.head, self.found.features
        wanted = self.logits or not is_head
        fields["epilogue"] = (
            epilogue_fields(name, step, source, self.plan.places, self.values, self.found) if wanted else {}
        )
        features |= set() if is_head else self._results(name, job, step, fields, stage)
        kind = fields["kind"]
        features |= {"whole"} if kind in WHOLE else set()
        if not is_head:
            features.add("body_whole" if kind in WHOLE else "body_other")
            stage.calls.append(f"run_conv(m, &{name});")
        stage.descriptors[name] = "conv", fields

    def _operands(self, name: str, step: Conv | Map, source: Value, outputs: int) -> Fields:
        place = self.plan.places[step.input]
        geometry = step.geometry if isinstance(step, Conv) else Geometry(kernel=(1, 1))
        fields: Fields = {
            "window": window(step.layer, geometry, source),
            "input": place,
            "channels": source.channels // geometry.groups,
            "outputs": outputs,
            "groups": geometry.groups,
        }
        self.found.features |= {"conv", "products"}
        if isinstance(step, Map):
            self.found.features |= {"map", "f32"}
            return {**fields, "kind": "MAP"}
        self.found.features |= {"f32"} if source.type == "f32" else set()
        return {**fields, **product(name, step, source, outputs, self.found)}

    def _results(self, name: str, job: Job, step: Conv | Map, fields: Fields, stage: Stage) -> set[str]:
        found = set[str]()
        if step.output is not None:
            fields["output"] = self.plan.places[step.output]
            found |= {"result_f32", "f32", "body_real", "real"}
        if step.bits is not None and step.thresholds is not None:
            value = self.values[step.bits]
            fields["limits"] = limits_fields(name, step.thresholds, value, self.found)
            fields["bits"] = self.plan.places[step.bits if job.pool is None else job.pool.output]
            found.add("result_bits")
            found |= {"body_real", "real"} if "real" in fields["limits"] else set()
        if job.pool is not None:
            found.add("fused")
            fields["pooled"] = f"&{name}_pool"
            pooled = self._pool_fields(f"{name}_pool", job.pool, step.bits or 0)
            stage.descriptors[f"{name}_pool"] = "pool", pooled
        return found

    def _pool(self, name: str, step: Pool, stage: Stage) -> None:
        source = self.values[step.input]
        runner = "run_average" if step.kind == "average" else "run_max"
        feature = "pool_average" if step.kind == "average" else "pool_max_f32"
        if source.type == "bits":
            runner, feature = "run_max_bits", "pool_max_bits"
        self.found.features |= {feature} | ({"f32"} if source.type == "f32" else set())
        stage.descriptors[name] = "pool", self._pool_fields(name, step, step.input)
        stage.calls.append(f"{runner}(m, &{name});")

    def _pool_fields(self, name: str, step: Pool, source: int) -> Fields:
        value, result = self.values[source], self.values[step.output]
        fields: Fields = {
            "window": window(step.layer, step.geometry, value, (result.height, result.width)),
            "input": self.plan.places.get(source, NOWHERE),
            "output": self.plan.places[step.output],
            "channels": value.channels,
        }
        if value.code is not None and source in self.plan.places:
            fields["planes"] = value.code.planes
        if step.kind == "average":
            fields["include_padding"] = int(step.include_padding)
        if step.flip is not None and self.found.tensors[step.flip].any():
            self.found.features |= {"pool_flip"} | (
                {"fused_flip"} if source not in self.plan.places else set()
            )
            fields["flip"] = flip_words(f"{name}_flip", self.found.tensors[step.flip], self.found)
        return fields

    def _plain(self, name: str, step: Step, stage: Stage) -> None:
        """A step without weights or thresholds: a call with its numbers."""
        source, places = self.values[step.input], self.plan.places
        inputs = source.channels
        pixels = source.height * source.width
        self.found.features.add("f32")
        match step:
            case InputScale():
                groups = step.geometry.groups
                stage.descriptors[name] = "window", window(step.layer, step.geometry, source)
                numbers = [f"&{name}", places[step.input], places[step.output], inputs // groups, groups]
                self._call("input_scale_step", "run_input_scale", numbers, stage)
            case Subsample():
                result = self.values[step.output]
                walk = Geometry(kernel=(1, 1), stride=step.stride)
                size = output_size(walk, source.height, source.width)
                stage.descriptors[name] = "window", window(step.layer, walk, source, size)
                numbers = [f"&{name}", places[step.input], places[step.output], inputs]
                self._call("subsample", "run_subsample", [*numbers, step.before, result.channels], stage)
            case Mean():
                self._call(
                    "mean", "run_mean", [places[step.input], places[step.output], pixels, inputs], stage
                )
            case Concat():
                second = self.values[step.second].channels
                outputs = inputs + second
                self._copy(name, step.input, step.output, pixels, (0, inputs, 0, outputs), stage)
                self._copy(f"{name}_b", step.second, step.output, pixels, (0, second, inputs, outputs), stage)
            case Channels():
                outputs = self.values[step.output].channels
                self._copy(name, step.input, step.output, pixels, (step.start, inputs, 0, outputs), stage)

    def _copy(
        self, name: str, source: int, target: int, pixels: int, channels: tuple[int, ...], stage: Stage
    ) -> None:
        places = self.plan.places
        stage.descriptors[name] = _NUMBERS, {"numbers": f"{{{', '.join(map(str, channels))}}}"}
        self._call("concat", "run_copy", [places[source], places[target], pixels, name], stage)

    def _call(self, feature: str, function: str, numbers: list[object], stage: Stage) -> None:
        self.found.features.add(feature)
        stage.calls.append(f"{function}(m, {', '.join(map(str, numbers))});")

    def _settled(self, fields: Fields) -> Fields:
        """Fields once the features are known: places that a step does not use are nowhere."""
        features, result = self.found.features, settled(fields, self.found)
        epilogue = {key: NOWHERE for key in ("input_scale", "gate", "residual") if key in features}
        epilogue |= result.pop("epilogue")
        if epilogue and "real" in features:
            result["epilogue"] = epilogue
        for key, feature in (("output", "result_f32"), ("bits", "result_bits")):
            if feature in features and key not in result:
                result[key] = NOWHERE
        if "limits" in result:
            result["limits"] = settled_limits(result["limits"], self.found)
        return result
