"""Caps that count money: at most so much in a calendar window, of what each candidate says that it costs or offers.

    spend: {amount_minor: 250, currency: EUR}     takes 250 of a cap in EUR, and nothing of one in USD

Amounts are whole minor units of one currency: none is ever exchanged for another. What was taken is kept as sums, a
quarter of an hour each and not send by send, so windows are calendar ones, whoever's key it is (`Take.is_tallied`).
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import ClassVar, Literal, cast

import msgspec

from guardrails.core.candidate import Candidate, Recipient
from guardrails.core.cap_rule import CapRule, cap_keys
from guardrails.core.conditions import FactType
from guardrails.core.facts import NUMBER_LIMIT
from guardrails.core.needs import Answer, CapCheck, Query, Take, Usage, UsageQuery
from guardrails.core.timing import ZONE_FIELD

__all__ = ["LIMIT_MOST", "AmountOf", "AmountRule", "LeftNeed", "SpentNeed"]

LIMIT_MOST = 10**14
"""The highest limit, in minor units. So much and one more is taken of a cap at most by one send: it fits under none."""

AmountOf = Literal["spend", "offer"]
"""The candidate's part that says how much: what the send costs, or what is offered."""


class AmountRule(CapRule, frozen=True, kw_only=True, dict=True):
    """At most `limit` minor units of `currency` in `window`, a calendar one, for each combination of `per`.

    A candidate whose amount is in another currency, or that names none, takes nothing.
    """

    amount: AmountOf
    currency: str

    @cached_property
    def is_tallied(self) -> bool:
        """Always, also where the keys are one recipient's each."""
        return True

    def amount_of(self, candidate: Candidate) -> int | None:
        """What a send of `candidate` takes, in minor units; None where it says none in this currency."""
        stated = _stated(self.amount, candidate)
        return min(stated[0], LIMIT_MOST + 1) if stated is not None and stated[1] == self.currency else None

    def takes(self, candidate: Candidate) -> tuple[Take, ...]:
        """What a send of `candidate` takes, under each key the whole of it; none where it costs nothing."""
        amount, keys = self.amount_of(candidate), cap_keys(self.per, candidate)
        if not amount or not keys:
            return ()
        owner, keep = self._owner(candidate.recipient), self.window.keep_seconds
        take = Take(self.id, "", self.count_on, owner=owner, keep_seconds=keep, is_tallied=True, amount_minor=amount)
        return tuple([msgspec.structs.replace(take, key=key) for key in keys])

    def questions(self, keys: tuple[str, ...], recipient: Recipient, at: datetime) -> tuple[UsageQuery, ...] | None:
        """The questions for `keys`, one a zone; None where the zone is unknown."""
        asked = super().questions(keys, recipient, at)
        if asked is None:
            return None
        owner = self._owner(recipient)
        return tuple([msgspec.structs.replace(query, owner=owner, sums=True) for query in asked])

    def _owner(self, recipient: Recipient) -> str | None:
        return recipient.id if self.is_owned else None


class SpentNeed(msgspec.Struct, frozen=True, dict=True):
    """The fact "how much is used" of the one of `rules` that is in the candidate's currency; they differ in no more.

    Missing where the candidate says no amount, or one in a currency that none of the rules is in.
    """

    fact: str
    rules: tuple[AmountRule, ...]
    type: FactType = FactType.NUMBER
    shares: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The amount and its currency, what the key is made of and, for a calendar of the recipient's, their zone."""
        rule = self.rules[0]
        fields = (f"{rule.amount}.amount_minor", f"{rule.amount}.currency", *rule.per)
        return (*fields, ZONE_FIELD) if rule.is_zoned else fields

    def rule_for(self, candidate: Candidate) -> AmountRule | None:
        """The rule in the candidate's currency."""
        return next((rule for rule in self.rules if rule.amount_of(candidate) is not None), None)

    def queries(self, candidate: Candidate, at: datetime) -> tuple[UsageQuery, ...] | None:
        """One question a key and zone; None where the amount, a part of the key or the zone is missing.

        Empty where no rule is in that currency: nothing is to be asked of any.
        """
        rule, keys = self.rule_for(candidate), cap_keys(self.rules[0].per, candidate)
        if rule is None:
            return None if _stated(self.rules[0].amount, candidate) is None else ()
        return None if keys is None else rule.questions(keys, candidate.recipient, at)

    def value(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> int | None:
        """How much is used at `at`, in minor units, as far as numbers go."""
        rule = self.rule_for(candidate)
        if rule is None or (not answers and cap_keys(rule.per, candidate) is None):
            return None
        used = rule.used(cast("tuple[Usage, ...]", answers), candidate.recipient, at)
        return None if used is None else min(used, NUMBER_LIMIT)

    def next_change(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """The end of the window, where anything is used in it or planned after it."""
        rule = self.rule_for(candidate)
        return None if rule is None else rule.next_change(cast("tuple[Usage, ...]", answers), candidate.recipient, at)


class LeftNeed(msgspec.Struct, frozen=True, dict=True):
    """The fact "how much is left once this is sent"; below zero, that much is wanting. `spent` asks for the rest."""

    fact: str
    spent: SpentNeed
    type: FactType = FactType.NUMBER

    @property
    def fields(self) -> tuple[str, ...]:
        """Those of what is used."""
        return self.spent.fields

    @cached_property
    def shares(self) -> tuple[str, ...]:
        """What is used."""
        return (self.spent.fact,)

    def queries(self, _candidate: Candidate, _at: datetime) -> tuple[Query, ...]:
        """None of its own."""
        return ()

    def value(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> int | None:
        """What the limit leaves at `at` of what is used and what this send takes."""
        used, rule = self.spent.value(answers, candidate, at), self.spent.rule_for(candidate)
        if used is None or rule is None:
            return None
        return max(rule.limit - used - (rule.amount_of(candidate) or 0), -NUMBER_LIMIT)

    def next_change(self, answers: tuple[Answer, ...], candidate: Candidate, at: datetime) -> datetime | None:
        """When what is used changes."""
        return self.spent.next_change(answers, candidate, at)

    def checks(
        self, queries: tuple[Query, ...], _answers: tuple[Answer, ...], candidate: Candidate, at: datetime
    ) -> tuple[CapCheck, ...]:
        """What an allow that rests on this fact rests on: room for the amount under each key, in each zone."""
        rule = self.spent.rule_for(candidate)
        if rule is None:
            return ()
        most = rule.limit - (rule.amount_of(candidate) or 0)
        return rule.checks(queries, most + 1, candidate.recipient, at)  # less than `most + 1`: at most `most`


def _stated(of: AmountOf, candidate: Candidate) -> tuple[int, str] | None:
    """Minor units and currency that the candidate's part says; None where either is missing."""
    part = candidate.spend if of == "spend" else candidate.offer
    if part is None or part.amount_minor is None or part.currency is None:
        return None
    return part.amount_minor, part.currency
