"""A packed model under every roof: threads, forks, spawned processes, pickles, copies; and Ctrl-C."""

from __future__ import annotations

import copy
import ctypes
import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnn_train.errors import BnnError
from bnn_train.packed import PackedModel, container, load, native, native_library
from bnn_train.packed.interruptible import interruptible
from bnn_train.packed.native_abi import ISAS, Flat
from native_kernels import kernels as kernels
from packed_damage import small
from packed_grid import residual_net
from packed_programs import header_of, random_input

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 3), dtype=np.uint8)
KERNELS = ("reference", *native.available())


def forked(work: Any) -> Any:
    """The result of ``work()`` in a forked child; fails if the child does not answer."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            writer.send(work())
        finally:
            os._exit(0)
    writer.close()
    try:
        assert reader.poll(60), "the child does not answer"
        return reader.recv()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_forked_child_answers(kernel: str, threads: int) -> None:
    """OpenMP's threads do not survive a fork, and a child that waits for them waits for ever."""
    model = PackedModel.from_parts(*small(), threads=threads, isa=kernel)
    many = np.repeat(PIXELS, 40, axis=0)
    truth = model(many)
    assert np.array_equal(forked(lambda: model(many)), truth)
    assert np.array_equal(forked(lambda: forked(lambda: model(many))), truth)
    assert np.array_equal(model(many), truth)


def test_a_child_forked_in_the_midst_of_a_call_answers(kernels: tuple[str, ...]) -> None:
    """A thread of the parent holds the model's lock then; nobody will give it back in the child."""
    made = residual_net()
    engine = native.build(made.program, made.tensors, kernels[0])
    x = random_input(made.program, 200)
    truth = engine.run(x[:3], 2)
    over = threading.Event()

    def busy() -> None:
        while not over.is_set():
            engine.run(x, 2)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(5):
            assert np.array_equal(forked(lambda: engine.run(x[:3], 2)), truth, equal_nan=True)
    finally:
        over.set()
        thread.join()


def call(model: PackedModel, images: Any) -> Any:
    return model(images)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_spawned_child_answers(kernel: str) -> None:
    model = PackedModel.from_parts(*small(), threads=2, isa=kernel)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert np.array_equal(pool.apply(call, (model, PIXELS)), model(PIXELS))


@pytest.mark.parametrize("kernel", KERNELS)
def test_pickles_and_copies(kernel: str, tmp_path: Path) -> None:
    container.write(tmp_path / "m.bnn", *small())
    model = load(tmp_path / "m.bnn", threads=3, isa=kernel, memory_limit=2**24)
    (tmp_path / "m.bnn").unlink()
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(model, protocol))
        assert (again.threads, again.isa, again.header) == (3, kernel, model.header)
        assert np.array_equal(again(PIXELS), model(PIXELS))
    for made in (copy.copy(model), copy.deepcopy(model)):
        assert np.array_equal(made(PIXELS), model(PIXELS))


def test_the_isa_of_a_pickle_is_chosen_where_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BNN_KERNEL", raising=False)
    monkeypatch.delenv("BNN_ISA", raising=False)
    content = pickle.dumps(PackedModel.from_parts(*small()))
    monkeypatch.setenv("BNN_ISA", "reference")
    assert pickle.loads(content).isa == "reference"


def test_whole_numbers_of_any_library() -> None:
    for threads in (np.int64(2), np.uint8(2), np.array(2)):
        model = PackedModel.from_parts(*small(), threads=threads)  # type: ignore[arg-type]
        assert model.threads == 2
        assert type(model.threads) is int


def test_one_model_for_many_threads(kernels: tuple[str, ...]) -> None:
    made = residual_net()
    model = native.build(made.program, made.tensors, kernels[0])
    inputs = [random_input(made.program, count, seed=count) for count in range(1, 9)]
    truths = [model.run(x, 1) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(model.run, inputs[i % 8], 1 + i % 3) for i in range(48)]
    for i, job in enumerate(jobs):
        assert np.array_equal(job.result(), truths[i % 8], equal_nan=True)


@pytest.mark.parametrize("late", [False, True])
def test_work_outside_python_hears_an_interruption(late: bool) -> None:
    """``late``: the work ends by itself before it hears, and its result is handed back."""
    stop = threading.Event()
    abandoned: list[str] = []

    def work() -> str:
        signal.raise_signal(signal.SIGINT) if late else os.kill(os.getpid(), signal.SIGINT)
        assert late or stop.wait(60)
        return "made"

    def heard() -> None:
        interruptible(work, stop.set, abandoned.append)
        time.sleep(60)  # the signal may come when the work is done

    with pytest.raises(KeyboardInterrupt):
        heard()
    if stop.is_set():
        assert abandoned == ["made"]


def test_work_outside_python_gives_its_result_or_its_error() -> None:
    assert interruptible(lambda: 3, lambda: None) == 3
    with pytest.raises(BnnError, match="so"):
        interruptible(lambda: (_ for _ in ()).throw(BnnError("so")), lambda: None)


def test_the_library_stops_when_it_is_asked_to(kernels: tuple[str, ...]) -> None:
    made = residual_net()
    c, message, stop = native_library.library()._c, ctypes.create_string_buffer(256), ctypes.c_int32(1)
    flat, isa = Flat(made.program, made.tensors), ISAS.index(kernels[0])
    asked = ctypes.byref(stop)
    assert c.bnn_create(ctypes.byref(flat.program), isa, 2**40, asked, message, len(message)) is None
    assert message.value == b"stopped"
    handle = c.bnn_create(ctypes.byref(flat.program), isa, 2**40, None, message, len(message))
    try:
        x = random_input(made.program, 2)
        y = np.empty((2, len(header_of(made).classes)), np.float32)
        for threads in (1, 2):
            message.value = b""
            code = c.bnn_run(handle, x.ctypes.data, 2, y.ctypes.data, threads, asked, message, len(message))
            assert (code, message.value) == (1, b"stopped")
    finally:
        c.bnn_destroy(handle)
