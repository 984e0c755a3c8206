"""The words for an outcome: reasons with their codes and facts, and the obligations of an allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from guardrails.core.combine import Blocked, Combined
from guardrails.core.conditions import fields_of
from guardrails.core.decision import Obligation, ReasonGiven, RetryAdvice
from guardrails.core.facts import Facts
from guardrails.core.policy import Policy, Verdict
from guardrails.core.reference import evaluate
from guardrails.decide.case import Case
from guardrails.decide.retry import holds_from

__all__ = ["FACTS_MISSING", "FACTS_UNAVAILABLE", "NONE_APPLIES", "obligations_of", "reasons_of", "route_reason"]

FACTS_MISSING = "facts.missing"
FACTS_UNAVAILABLE = "facts.unavailable"
NONE_APPLIES = "policy.none_applies"


def reasons_of(case: Case, combined: Combined, facts: Facts, zone: tzinfo) -> tuple[ReasonGiven, ...]:
    """Why the candidate is denied: one reason for each policy that blocks, in policy order."""
    if combined.none_applies and not combined.blocked:
        return (route_reason(NONE_APPLIES, "no enforced policy applies, and the monetized lane needs one that allows"),)
    return tuple(reason_of(case, blocked, facts, zone) for blocked in combined.blocked)


def reason_of(case: Case, blocked: Blocked, facts: Facts, zone: tzinfo) -> ReasonGiven:
    """One policy's reason, with the earliest instant at which it alone would hold, told in `zone`."""
    policy = blocked.policy
    if blocked.verdict == Verdict.VIOLATED:
        code, message = _violation(policy, facts)
        fields: Iterable[str] = case.compiled.policy_set.fields[policy.id]
    else:
        fields = tuple(dict.fromkeys((*fields_of(policy.applies_to), *case.compiled.policy_set.fields[policy.id])))
        code, message = _undetermined(case, policy, facts, fields)
    held = holds_from(case, blocked)
    return ReasonGiven(
        code=code,
        policy=policy.id,
        message=message,
        facts={field: facts.get(field) for field in fields},
        holds_from=None if held is None else held.astimezone(zone),
        retry=None if policy.retry is None else RetryAdvice(policy.retry.every_seconds, policy.retry.attempts),
    )


def route_reason(code: str, message: str) -> ReasonGiven:
    """A reason that no policy gives, but the route itself."""
    return ReasonGiven(code=code, policy=None, message=message)


def obligations_of(satisfied: Iterable[Policy], facts: Facts) -> tuple[Obligation, ...]:
    """The duties that an allow carries, in policy order."""
    return tuple(_obligations(satisfied, facts))


def _obligations(satisfied: Iterable[Policy], facts: Facts) -> Iterator[Obligation]:
    for policy in satisfied:
        for rule in policy.obligations:
            named = {key: facts[field] for key, field in rule.fields.items() if field in facts}
            yield Obligation(rule.type, policy.id, {**rule.values, **named})


def _violation(policy: Policy, facts: Facts) -> tuple[str, str]:
    reason = policy.reason
    code = next((code for condition, code in reason.cases if evaluate(condition, facts)), reason.code)
    return code, reason.message


def _undetermined(case: Case, policy: Policy, facts: Facts, fields: Iterable[str]) -> tuple[str, str]:
    if case.unavailable(policy):
        return FACTS_UNAVAILABLE, "a store did not answer, so this policy can't be judged"
    missing = [f"`{field}`" for field in fields if field not in facts]
    what = " and ".join(missing) + (" are missing" if len(missing) > 1 else " is missing") if missing else "a fact is of another type"
    return FACTS_MISSING, f"{what}, so this policy can't be judged"


def local(instant: datetime | None, zone: tzinfo) -> datetime | None:
    """The same instant, told in `zone`."""
    return None if instant is None else instant.astimezone(zone)
