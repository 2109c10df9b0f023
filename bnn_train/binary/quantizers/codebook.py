"""Weights out of codebooks: product quantization (Quantized CNN)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from bnn_train.binary.quantizers.base import QUANTIZERS, Dims, Quantizer
from bnn_train.binary.solving import Problem
from bnn_train.packed.program import Code
from bnn_train.spec.quantizers import CodeBook as Options

RIDGE = 1e-6
"""Relative to the mean of the diagonal that it is added to."""
PIECE = 2**24
"""Numbers of a table of distances, at most."""
LLOYD = 10


@QUANTIZERS.builds(Options)
class CodeBook(Quantizer):
    """The input channels in M sub-spaces of C′; each has K words of C′ numbers, shared by all places of the
    kernel, and a weight's piece is one of them (Wu et al., arXiv 1512.06473).

    The indices stay; a word is the mean of its users' latent weights, so that under SGD it moves by the mean
    of their gradients. ``solve`` begins with k-means and mends the response, our derivation from the paper's
    objective: each index in turn, then each word in closed form, neither of which can raise the error.
    """

    code = Code(values=(1, 1), denominator=2)
    refusal = (
        "its weights are words of a codebook, table look-ups and no bits, and the packed program has no"
        " product for them; keep the run's checkpoint"
    )
    indices: Tensor
    """uint8 M×(O·places)."""

    def __init__(self, spec: Options) -> None:
        super().__init__(spec)
        self.options = spec
        self.register_buffer("indices", torch.zeros(0, dtype=torch.uint8))

    def _sizes(self, w: Tensor) -> tuple[int, int]:
        """C′ and K of a layer."""
        o = self.options
        channels, words = (o.dense_channels, o.dense_words) if w.dim() == 2 else (o.channels, o.words)
        return min(channels, w.shape[1]), min(words, w.numel() // w.shape[1])

    def _pieces(self, w: Tensor) -> Tensor:
        """O×I×… → M×(O·places)×C′, the last sub-space filled with zeros."""
        size, flat = self._sizes(w)[0], w.reshape(*w.shape[:2], -1)
        flat = pad(flat, (0, 0, 0, -w.shape[1] % size))
        apart = flat.view(len(flat), -1, size, flat.shape[2])  # O M C′ places
        return apart.permute(1, 0, 3, 2).flatten(1, 2)

    def _joined(self, pieces: Tensor, shape: torch.Size) -> Tensor:
        apart = pieces.view(len(pieces), shape[0], -1, pieces.shape[2]).permute(1, 0, 3, 2).flatten(1, 2)
        return apart[:, : shape[1]].reshape(shape)

    def _parts(self, count: int, each: int) -> Iterator[slice]:
        """Some sub-spaces at a time."""
        step = max(1, PIECE // max(1, each))
        return (slice(at, at + step) for at in range(0, count, step))

    def _words(self, pieces: Tensor, words: int) -> Tensor:
        """M×K×C′: the mean of each word's users; by a product, whose order of sums is the same each
        time; in float64, which autocast leaves alone."""
        found = []
        for part in self._parts(len(pieces), words * pieces.shape[1]):
            users = self.indices[part].long()[:, None] == torch.arange(words, device=pieces.device)[:, None]
            chosen = users.double()
            found.append(chosen @ pieces[part].double() / chosen.sum(dim=2, keepdim=True).clamp(min=1))
        return torch.cat(found).to(pieces.dtype)

    def _assign(self, pieces: Tensor, words: Tensor) -> None:
        """The nearest word of each piece."""
        parts = self._parts(len(pieces), words.shape[1] * pieces.shape[1])
        self.indices = torch.cat([torch.cdist(pieces[p], words[p]).argmin(dim=2) for p in parts]).to(
            torch.uint8
        )

    def _looked_up(self, words: Tensor) -> Tensor:
        return torch.take_along_dim(words, self.indices.long()[:, :, None], dim=1)

    @property
    def whole(self) -> bool:
        return False

    def codes(self, x: Tensor, dims: Dims, *, drawn: bool) -> Tensor:
        return self._joined(self._looked_up(self._words(self._pieces(x), self._sizes(x)[1])), x.shape)

    def begin(self, w: Tensor) -> None:
        self._cluster(w.detach(), 1)

    def _cluster(self, w: Tensor, rounds: int) -> None:
        """k-means of each sub-space, from words at even distances."""
        pieces, words = self._pieces(w), self._sizes(w)[1]
        places = torch.linspace(0, pieces.shape[1] - 1, words).long().to(w.device)
        found = pieces[:, places]
        for _ in range(rounds):
            self._assign(pieces, found)
            means = self._words(pieces, words)
            found = torch.where((means == 0).all(dim=2, keepdim=True), found, means)  # a word without users

    def solve(self, problem: Problem) -> Tensor:
        self._cluster(problem.weight, LLOYD)
        words = self._words(self._pieces(problem.weight), self._sizes(problem.weight)[1])
        solution = _Correction(problem, self._joined(self._looked_up(words), problem.weight.shape))
        indices = self.indices.view(len(words), len(problem.weight), -1).long()
        for _ in range(self.options.sweeps):
            for m in range(len(words)):
                columns = solution.columns(m, words.shape[2])
                solution.choose(columns, words[m], indices[m])
                solution.move(columns, words[m], indices[m])
        self.indices.copy_(indices.flatten(1))
        return solution.weight.view_as(problem.weight)

    def bytes_of(self, weight: Tensor) -> int:
        """Indices of ⌈log₂ K⌉ bits, and the words in 32."""
        size, words = self._sizes(weight)
        spaces = math.ceil(weight.shape[1] / size)
        bits = max(1, math.ceil(math.log2(words))) * spaces * (weight.numel() // weight.shape[1])
        return -(-bits // 8) + 4 * spaces * words * size


class _Correction:
    """A quantized weight O×n and how its response is still off, SᵀT − A·Ŵᵀ."""

    def __init__(self, problem: Problem, weight: Tensor) -> None:
        self.gram, self.weight = problem.gram, weight.flatten(1).clone()
        self.left = problem.cross() - self.gram @ self.weight.T
        self.channels = problem.weight.shape[1]
        self.places = problem.flat.shape[1] // self.channels

    def columns(self, m: int, size: int) -> Tensor:
        """places×c: where the numbers of sub-space m stand in a filter."""
        own = torch.arange(m * size, min((m + 1) * size, self.channels), device=self.gram.device)
        return own * self.places + torch.arange(self.places, device=own.device)[:, None]

    def choose(self, columns: Tensor, words: Tensor, indices: Tensor) -> None:
        """For each place of the kernel the word that leaves least, all filters side by side."""
        words = words[:, : columns.shape[1]]
        for p, at in enumerate(columns):
            gram, now = self.gram[at][:, at], self.weight[:, at]
            wanted = self.left[at].T + now @ gram
            cost = ((words @ gram) * words).sum(dim=1) - 2 * wanted @ words.T
            indices[:, p] = cost.argmin(dim=1)
            self._add(at, words[indices[:, p]] - now)

    def move(self, columns: Tensor, words: Tensor, indices: Tensor) -> None:
        """Each word to where it leaves least: all at once where no two meet in one filter."""
        users = (indices[:, :, None] == torch.arange(len(words), device=words.device)).to(
            words.dtype
        )  # O P K
        together = [range(len(words))] if len(columns) == 1 else [range(k, k + 1) for k in range(len(words))]
        blocks = self.gram[columns[:, :, None, None], columns]  # P c P c
        for chosen in together:
            own = users[:, :, list(chosen)]
            pull = torch.einsum("opk,pco->kc", own, self.left[columns])
            power = torch.einsum("opk,oqk,pcqd->kcd", own, own, blocks)
            ridge = RIDGE * power.diagonal(dim1=1, dim2=2).mean(dim=1) + 1e-12
            power = power + ridge[:, None, None] * torch.eye(columns.shape[1], device=power.device)
            change = torch.linalg.solve(power, pull)
            words[list(chosen), : columns.shape[1]] += change
            for p, at in enumerate(columns):
                self._add(at, own[:, p] @ change)

    def _add(self, at: Tensor, change: Tensor) -> None:
        self.weight[:, at] += change
        self.left -= self.gram[:, at] @ change.T
