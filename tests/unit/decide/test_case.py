"""The case: facts at an instant, and what a need may answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.conditions import FactType, Not, OneOf
from guardrails.core.policy import Policy, Reason
from guardrails.core.policy_set import PolicySet
from guardrails.decide.case import compile_policies, open_case
from guardrails.decide.judgement import judge
from guardrails.engine.native import NativeEngine

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Afternoon(msgspec.Struct, frozen=True):
    """A fact that is only known from noon on."""

    fact: str = "day.afternoon"
    type: FactType = FactType.BOOLEAN
    fields: tuple[str, ...] = ()
    shares: tuple[str, ...] = ()

    def queries(self, _candidate, _at):
        return ()

    def value(self, _answers, _candidate, at):
        return True if at >= NOON else None

    def next_change(self, _answers, _candidate, at):
        return NOON if at < NOON else None


def test_a_fact_that_a_need_does_not_know_is_missing_until_it_is_known():
    known = OneOf("day.afternoon", FactType.BOOLEAN, (True,))
    policy = Policy(
        ordinal=0,
        id="afternoons",
        kind="rule",
        mode="enforce",
        violated=Not(known),
        satisfied=known,
        reason=Reason("rule.denied", "only in the afternoon"),
        needs=(Afternoon(),),
    )
    compiled = compile_policies(PolicySet([policy], revision="r", files={}), engine=NativeEngine, native=NativeEngine)
    candidate = Candidate(
        id="c", lane="monetized", channel="push", recipient=Recipient(id="r"), content=Content(class_="sponsored")
    )
    case = open_case(compiled, candidate, NOON - timedelta(hours=1))
    case.answers = {"day.afternoon": ()}
    decision = judge(case, "d")
    assert [reason.code for reason in decision.reasons] == ["facts.missing"]
    assert decision.retry_at == NOON
