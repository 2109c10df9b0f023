"""Codebooks of weights: k-means, error correction and gradients (Quantized CNN, arXiv 1512.06473)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bnn_train.binary.layers import BinaryConv2d, BinaryLinear
from bnn_train.binary.quantizers import quantizer
from bnn_train.binary.quantizers.codebook import CodeBook, _Correction
from bnn_train.binary.solving import Problem, error
from bnn_train.spec import quantizers as spec

RNG = np.random.default_rng(11)


def problem(shape: tuple[int, ...], mixed: bool = True) -> Problem:
    w = torch.from_numpy(RNG.normal(size=shape))
    n = w[0].numel()
    s = (
        torch.from_numpy(RNG.normal(size=(80, n)) @ RNG.normal(size=(n, n)))
        if mixed
        else torch.eye(n).double()
    )
    return Problem(w, s, s @ w.flatten(1).T, torch.Generator())


def made(**options: int) -> CodeBook:
    found = quantizer(spec.CodeBook.model_validate(options))
    assert isinstance(found, CodeBook)
    return found


@pytest.mark.parametrize("shape", [(8, 32), (6, 10), (4, 8, 3, 3), (4, 3, 3, 3), (3, 5, 1, 1)])
def test_pieces_and_back(shape: tuple[int, ...]) -> None:
    w, book = torch.randn(shape), made()
    book.begin(w)
    assert torch.equal(book._joined(book._pieces(w), w.shape), w)
    pieces = book._pieces(w)
    size = min(4 if len(shape) == 2 else 8, shape[1])
    assert torch.equal(pieces[0, 0], w.flatten(2)[0, :size, 0] if w.dim() > 2 else w[0, :size])


def test_as_many_words_as_pieces_lose_nothing() -> None:
    p = problem((8, 32))
    book = made(dense_words=32)
    solved = book.solve(p)
    assert error(p, solved) < 1e-12
    torch.testing.assert_close(book.codes(solved, (1,), drawn=False), p.weight)


@pytest.mark.parametrize("shape", [(40, 16), (12, 16, 3, 3)])
def test_correction_never_raises_the_error(shape: tuple[int, ...]) -> None:
    """And every half of a step does not."""
    p, errors = problem(shape), []
    for sweeps in range(4):
        book = made(words=8, dense_words=6, sweeps=sweeps)
        solved = book.solve(p)
        errors.append(error(p, solved))
        torch.testing.assert_close(book.codes(solved, (), drawn=False), solved)
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.8 * errors[0]
    book = made(words=8, dense_words=6)
    book._cluster(p.weight, 3)
    words = book._words(book._pieces(p.weight), book._sizes(p.weight)[1])
    solution = _Correction(p, book._joined(book._looked_up(words), p.weight.shape))
    indices = book.indices.view(len(words), shape[0], -1).long()
    last = error(p, solution.weight)
    for m in range(len(words)):
        columns = solution.columns(m, words.shape[2])
        for half in (solution.choose, solution.move):
            half(columns, words[m], indices[m])
            now = error(p, solution.weight)
            assert now <= last * (1 + 1e-9)
            last = now


def test_with_independent_inputs_it_is_k_means() -> None:
    """A fixed point of Lloyd's steps: the nearest words, each the mean of its users."""
    p = problem((60, 4), mixed=False)
    book = made(dense_words=5, sweeps=30)
    solved = book.solve(p)
    pieces, words = p.weight.numpy(), book._words(book._pieces(solved), 5)[0].numpy()
    nearest = ((pieces[:, None] - words) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, book.indices[0])
    for k, word in enumerate(words):
        np.testing.assert_allclose(word, pieces[nearest == k].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("conv", [False, True])
def test_a_word_moves_by_the_mean_gradient_of_its_users(conv: bool) -> None:
    layer: BinaryConv2d | BinaryLinear = (
        BinaryConv2d(8, 40, 2, bias=False, method="qcnn", role="body")
        if conv
        else BinaryLinear(8, 90, bias=False, method="qcnn", role="body")
    )
    book = layer.weight_quantizer.quantizer if layer.weight_quantizer is not None else None
    assert isinstance(book, CodeBook)

    def words(w: Tensor) -> Tensor:
        return book._words(book._pieces(w), book._sizes(w)[1])

    before = words(layer.weight.detach())
    x = torch.randn(2, 8, 5, 5) if conv else torch.randn(2, 8)
    layer(x).square().sum().backward()
    gradient = layer.weight.grad
    assert gradient is not None
    with torch.no_grad():
        layer.weight.sub_(gradient, alpha=0.1)
    torch.testing.assert_close(words(layer.weight.detach()), before - 0.1 * words(gradient))


def test_bytes() -> None:
    """5 bits for each of 4 weights and a book; AlexNet's convolutions 7 for each of 8."""
    dense, conv = torch.empty(64, 32), torch.empty(256, 48, 5, 5)
    assert made().bytes_of(dense) == 64 * 8 * 5 // 8 + 8 * 32 * 4 * 4
    assert made().bytes_of(conv) == 256 * 25 * 6 * 7 // 8 + 6 * 128 * 8 * 4
