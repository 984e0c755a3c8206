"""Judgement: from a case whose questions are answered to the decision, and what an allow takes from the caps.

A pure function of the case, so that replay can run it again on what the audit entry recorded.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from guardrails.core.amount_rule import LeftNeed
from guardrails.core.candidate import Candidate
from guardrails.core.cap_needs import CapNeed, PersonalNeed
from guardrails.core.decision import Decision, Effect
from guardrails.core.needs import CapCheck, Take
from guardrails.core.timing import Zone, zones_of
from guardrails.decide.case import Case, Compiled
from guardrails.decide.obligations import obligations_of
from guardrails.decide.reasons import local, reason_of, reasons_of
from guardrails.decide.reliance import records_of, relied_on
from guardrails.decide.retry import retry_at

__all__ = ["checks_of", "decision_of", "judge", "takes_of"]

_CAPPED = (CapNeed, PersonalNeed, LeftNeed)
"""The needs whose facts say that there is room."""

_RECIPIENTS_ZONE = Zone("recipient", "deny")


def judge(case: Case, decision_id: str) -> Decision:
    """The decision on a case whose questions are answered: a pure function of the case. `audit` is not set yet."""
    facts, combined = case.decide()
    zones = zones_of(_RECIPIENTS_ZONE, case.located.recipient)
    zone = zones[0] if zones else UTC
    monitored = tuple([reason_of(case, blocked, facts, zone) for blocked in combined.monitored])
    degraded = case.is_degraded
    if combined.effect == "allow":
        relied = relied_on(case, combined.satisfied)
        return decision_of(
            case.candidate,
            case.at,
            case.compiled,
            decision_id,
            effect="allow",
            obligations=obligations_of(case, combined.satisfied, facts, relied=relied),
            consents=records_of(relied),
            monitored=monitored,
            degraded=degraded,
        )
    at, blocked_by = retry_at(case, combined)
    return decision_of(
        case.candidate,
        case.at,
        case.compiled,
        decision_id,
        effect="deny",
        reasons=reasons_of(case, combined, facts, zone),
        monitored=monitored,
        retry_at=local(at, zone),
        blocked_by=blocked_by,
        degraded=degraded,
    )


def takes_of(case: Case) -> tuple[Take, ...]:
    """The slots that a send of the case's candidate takes: of every cap that counts it, or may count it."""
    return tuple([take for cap in case.counting for take in cap.takes(case.candidate)])


def checks_of(case: Case) -> tuple[CapCheck, ...]:
    """What the allow of a judged case rests on: room in every cap that applies, is enforced and not set aside."""
    located, at, questions = case.located, case.at, case.questions
    checks: list[CapCheck] = []
    for policy in case.combined_at(at).satisfied:
        for need in policy.needs:
            if isinstance(need, _CAPPED):
                # Those that share the answers to others' questions name those last.
                asked = questions.get(need.shares[-1] if need.shares else need.fact)
                checks += need.checks(asked or (), case.answers_to(need) or (), located, at)
    return tuple(checks)


def decision_of(
    candidate: Candidate,
    at: datetime,
    compiled: Compiled,
    decision_id: str,
    *,
    effect: Effect,
    degraded: bool,
    consents: tuple[str, ...] = (),
    **rest: Any,  # noqa: ANN401 - the fields of a Decision, which checks them
) -> Decision:
    """A decision with what every one of them has; `rest` are the fields that differ."""
    return Decision(
        decision_id=decision_id,
        candidate_id=candidate.id,
        effect=effect,
        lane=candidate.lane,
        policy_revision=compiled.policy_set.revision,
        evaluated_at=at,
        degraded=degraded,
        consents=consents,
        **rest,
    )
