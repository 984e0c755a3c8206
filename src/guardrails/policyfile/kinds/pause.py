"""`pause`: a recipient who wants to hear nothing for a while hears nothing until then.

What pauses is for the author to say, with `applies_to`. The pause is half-open: at its end it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.conditions import FactType, OneOf
from guardrails.core.needs import PREFERENCES, Answer, Preferences, Query
from guardrails.core.policy import Reason
from guardrails.policyfile.kinds._kind import Kind, Lowered, Lowering

__all__ = ["KIND", "PauseNeed"]


class PauseNeed(msgspec.Struct, frozen=True):
    """The fact "the recipient has paused"."""

    fact: str
    type: FactType = FactType.BOOLEAN
    shares: ClassVar[tuple[str, ...]] = (PREFERENCES,)

    @property
    def fields(self) -> tuple[str, ...]:
        """A recipient always has an id."""
        return ()

    def queries(self, _candidate: Candidate, _at: datetime) -> tuple[Query, ...]:
        """None of its own."""
        return ()

    def value(self, answers: tuple[Answer, ...], _candidate: Candidate, at: datetime) -> bool:
        """Whether the end of the pause lies after `at`."""
        return self._end_after(answers, at) is not None

    def next_change(self, answers: tuple[Answer, ...], _candidate: Candidate, at: datetime) -> datetime | None:
        """The end of the pause."""
        return self._end_after(answers, at)

    def _end_after(self, answers: tuple[Answer, ...], at: datetime) -> datetime | None:
        (answer,) = answers
        assert isinstance(answer, Preferences)  # noqa: S101 - as it shares them
        end = answer.paused_until
        return end if end is not None and end > at else None


def lower(_spec: Mapping[str, Any], lowering: Lowering) -> Lowered:
    """Violated while the recipient pauses, satisfied while they don't."""
    fact = f"pause.{lowering.policy_id}.active"
    return Lowered(
        violated=OneOf(fact, FactType.BOOLEAN, (True,)),
        satisfied=OneOf(fact, FactType.BOOLEAN, (False,)),
        reason=Reason("pause.active", "the recipient wants to hear nothing for now"),
        needs=(PauseNeed(fact),),
    )


KIND = Kind(
    name="pause",
    summary="Sends nothing until the time that a recipient asked to be left alone for is over.",
    properties={},
    reason_codes={"pause.active": "The recipient paused, and the pause is not over; `retry_at` is its end."},
    example="""\
- id: nothing-while-paused
  kind: pause
  title: Nothing monetized while the recipient pauses
  applies_to: {lane: monetized}
""",
    lower=lower,
)
