"""The rules of the packed format for memory and work: counted before anything is taken."""

from __future__ import annotations

import pytest

from bnn_train.packed import container
from bnn_train.packed.errors import PackedFileError
from bnn_train.packed.limits import check_limits, memory
from bnn_train.packed.program import Conv, Geometry, Mean, Pool, Program, RealWeight, Step, Value
from bnn_train.packed.validate import check
from packed_damage import small

SMALL = small()
REAL = Value(type="f32", height=4, width=4, channels=3)


def program(value: Value, step: Step, result: Value) -> Program:
    """One step and a mean."""
    end = Value(type="f32", height=1, width=1, channels=result.channels)
    return Program(values=(value, result, end), steps=(step, Mean(layer="m", input=1, output=2)), output=2)


def test_rule_13_memory_is_counted_before_it_is_taken() -> None:
    # Pixels with a border of one, 6·6·3 in lines of 64, as floats too where weights have two digits, and
    # bits; the logits come when pixels are gone.
    maps = 128 + 7 * 64 + 4 * 4 * 4
    assert memory(SMALL[0].program) == maps
    tensors, pixels = sum(t.nbytes for t in SMALL[1].values()), 2 * 4 * 4 * 3
    content = container.pack(*SMALL)
    container.unpack(content, memory_limit=len(content))
    needed = maps + tensors + pixels
    with pytest.raises(
        PackedFileError, match=f"takes {needed} bytes, with the file; the limit is {needed - 1}"
    ):
        check(*SMALL, memory_limit=needed - 1)
    check(*SMALL, memory_limit=needed)
    with pytest.raises(
        PackedFileError, match=f"it has {len(content)} bytes; the limit is {len(content) - 1}"
    ):
        container.unpack(content, memory_limit=len(content) - 1)
    huge = REAL.model_copy(update={"height": 2**24, "width": 2**24, "channels": 2**24})
    step = Pool(layer="p", input=0, output=1, kind="max", geometry=Geometry(kernel=(1, 1)))
    with pytest.raises(PackedFileError, match="products; at most"):
        check_limits(program(huge, step, huge), 2**30)
    large = REAL.model_copy(update={"height": 2**12, "width": 2**12, "channels": 8})
    with pytest.raises(PackedFileError, match="bytes, with the file; the limit is"):
        check_limits(program(large, step, large), 2**30)
    with pytest.raises(PackedFileError, match=r"value 1 has .* bytes with its border"):
        check_limits(program(large, step, large.model_copy(update={"channels": 33})), 2**60)


def test_rule_13_work_is_bounded() -> None:
    wide = REAL.model_copy(update={"height": 4096, "width": 4096, "channels": 1})
    pool = Pool(layer="p", input=0, output=1, kind="max", geometry=Geometry(kernel=(300, 300)))
    with pytest.raises(PackedFileError, match="a window of 90000 taps"):
        check_limits(program(wide, pool, wide), 2**30)
    geometry = Geometry(kernel=(201, 201), padding=(100, 100))
    conv = Conv(layer="c", input=0, output=1, weight=RealWeight(kind="f32", tensor="w"), geometry=geometry)
    thick = wide.model_copy(update={"channels": 8})
    with pytest.raises(PackedFileError, match="products"):
        check_limits(program(thick, conv, thick), 2**31)
    pool = Pool(
        layer="p", input=1, output=1, kind="max", geometry=Geometry(kernel=(64, 1024), padding=(32, 0))
    )
    many = program(wide, pool, wide).model_copy(update={"steps": (pool,) * 17})
    with pytest.raises(PackedFileError, match="taps in all"):
        check_limits(many, 2**30)
