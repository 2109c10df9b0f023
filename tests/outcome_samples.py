"""Outcomes of runs that never were, for the tests of the tables."""

from __future__ import annotations

from typing import Any

from reproduction.outcomes import Outcome


def outcome(score: float, **other: Any) -> Outcome:
    told = {
        "config": {},
        "top1": score,
        "wall_time_s": 60.0,
        "selection": "validation",
        "total": 10_000,
        "classes": ("a",) * 10,
        "versions": {"torch": "2.x"},
        "history": (),
        "machine": {"cpu": "a CPU", "threads": 2, "gpus": []},
        "commit": "abc",
        "date": "2026-01-02",
    }
    return Outcome.model_validate(told | other)


def outcomes_of(*scores: float, **other: Any) -> dict[int, Outcome]:
    return {seed: outcome(score, **other) for seed, score in enumerate(scores, start=1)}
