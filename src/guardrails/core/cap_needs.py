"""What policies need of the caps: how many sends are used and, of a personal cap, how many more there may be.

Both turn the answers to their rule's questions into a fact, and say what an allow that rests on it rests on.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import ClassVar, cast

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.cap_rule import CapRule, cap_keys
from guardrails.core.conditions import FactType
from guardrails.core.needs import PREFERENCES, Answer, CapCheck, Preferences, Query, UsageQuery
from guardrails.core.timing import ZONE_FIELD

__all__ = ["CapNeed", "PersonalNeed"]


class CapNeed(msgspec.Struct, frozen=True, dict=True):
    """The fact "how many are used", the largest over the candidate's keys and the zones that it may be in."""

    fact: str
    rule: CapRule
    type: FactType = FactType.NUMBER
    shares: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """What the key is made of and, for a calendar of the recipient's, their zone."""
        return (*self.rule.per, ZONE_FIELD) if self.rule.is_zoned else self.rule.per

    def queries(self, candidate: Candidate, at: datetime) -> tuple[UsageQuery, ...] | None:
        """One question a key (for a tallied key: one a zone); None where a part of the key or the zone is missing."""
        keys = cap_keys(self.rule.per, candidate)
        return None if keys is None else self.rule.questions(keys, candidate.recipient, at)

    def value(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> int | None:
        """How many count at `at`; None where `queries` is."""
        # No answers: either there is no key to count under (no tags), or a part of the key is missing.
        if not answers and cap_keys(self.rule.per, candidate) is None:
            return None
        return self.rule.used(answers, candidate.recipient, at)  # type: ignore[arg-type]  # to its own questions

    def next_change(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """When, for one of the keys and zones, a send stops to count or begins to."""
        return self.rule.next_change(answers, candidate.recipient, at)  # type: ignore[arg-type]  # as in `value`

    def checks(
        self, queries: tuple[Query, ...], _answers: tuple[Answer, ...], candidate: Candidate, at: datetime
    ) -> tuple[CapCheck, ...]:
        """What an allow that rests on this fact rests on: room under each key, in each zone. `queries` are our own.

        Nothing where the cap is personal: what its limit is, `PersonalNeed` knows.
        """
        rule = self.rule
        return () if rule.personal else rule.checks(queries, rule.limit, candidate.recipient, at)


class PersonalNeed(msgspec.Struct, frozen=True, dict=True):
    """The fact "how many more": what the lower of a cap's limit and the recipient's own leaves; below zero, too many.

    `used` counts; its answers are shared, after that on the recipient's preferences.
    """

    fact: str
    used: CapNeed
    type: FactType = FactType.NUMBER

    @property
    def fields(self) -> tuple[str, ...]:
        """Those of the count."""
        return self.used.fields

    @cached_property
    def shares(self) -> tuple[str, ...]:
        """What the recipient chose, and what is used."""
        return (PREFERENCES, self.used.fact)

    def queries(self, _candidate: Candidate, _at: datetime) -> tuple[Query, ...]:
        """None of its own."""
        return ()

    def value(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> int | None:
        """How many more there may be at `at`; None where the count is."""
        used = self.used.value(answers[1:], candidate, at)
        return None if used is None else self._limit(answers) - used

    def next_change(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """When the count changes; only the recipient changes their limit."""
        return self.used.next_change(answers[1:], candidate, at)

    def checks(
        self, queries: tuple[Query, ...], answers: tuple[Answer, ...], candidate: Candidate, at: datetime
    ) -> tuple[CapCheck, ...]:
        """As those of the count, whose `queries` these are, with the lower limit."""
        return self.used.rule.checks(queries, self._limit(answers), candidate.recipient, at)

    def _limit(self, answers: tuple[Answer, ...]) -> int:
        return self.used.rule.limit_for(cast("Preferences", answers[0]))
