"""Wanted against got: what a decision must say, held against what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from guardrails.core.decision import Decision
from guardrails.policytest.cases import Expectation

__all__ = ["GOT", "Mismatch", "mismatches"]

GOT: Mapping[str, Callable[[Decision], Any]] = {
    "effect": lambda decision: decision.effect,
    "reasons": lambda decision: [reason.code for reason in decision.reasons],
    "policies": lambda decision: [reason.policy for reason in decision.reasons],
    "monitored": lambda decision: [reason.code for reason in decision.monitored],
    "obligations": lambda decision: [obligation.type for obligation in decision.obligations],
    "retry_at": lambda decision: decision.retry_at,
    "blocked_by": lambda decision: decision.blocked_by,
}
"""What can be expected of a decision, by the name that a test gives it."""


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation that does not hold, in words; `line` is where it stands in the test file."""

    name: str
    wanted: str
    got: str
    line: int


def mismatches(expectation: Expectation, decision: Decision) -> tuple[Mismatch, ...]:
    """Every expectation that the decision does not meet, in the order of the file."""
    return tuple(
        Mismatch(name=name, wanted=_words(wanted), got=_words(got, like=wanted), line=expectation.lines[name])
        for name, wanted in expectation.wanted.items()
        if not _same(got := GOT[name](decision), wanted)
    )


def _same(got: object, wanted: object) -> bool:
    """Whether they are equal; instants by the time they are, in whatever zone they are told."""
    if isinstance(got, datetime) and isinstance(wanted, datetime):
        return got.astimezone(UTC) == wanted.astimezone(UTC)
    return bool(got == wanted)


def _words(value: object, *, like: object = None) -> str:
    """A value as the file would have it; an instant in the zone of the one it is compared with."""
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return (value.astimezone(like.tzinfo) if isinstance(like, datetime) else value).isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(_words, value))}]"
    return str(value)
