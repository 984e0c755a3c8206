"""The words for a deny: reasons with their codes and facts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo

from guardrails.core.combine import Blocked, Combined
from guardrails.core.conditions import fields_of
from guardrails.core.decision import ReasonGiven, RetryAdvice
from guardrails.core.facts import ATTRIBUTES, Facts
from guardrails.core.needs import ConsentState
from guardrails.core.policy import Policy, Verdict
from guardrails.core.reference import evaluate
from guardrails.decide.case import Case
from guardrails.decide.retry import holds_from

__all__ = ["FACTS_MISSING", "FACTS_UNAVAILABLE", "NONE_APPLIES", "reasons_of", "route_reason"]

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
        fields: Iterable[str] = case.compiled.policy_set.fields[policy.id]
        code, message = _violation(policy, facts)
    else:
        fields = _fields_asked(case, policy, facts)
        code, message = _undetermined(case, policy, facts, fields)
    return ReasonGiven(
        code=code,
        policy=policy.id,
        message=message,
        facts={field: facts.get(field) for field in fields} | _records(case, policy),
        holds_from=local(holds_from(case, blocked), zone),
        retry=None if policy.retry is None else RetryAdvice(policy.retry.every_seconds, policy.retry.attempts),
    )


def route_reason(code: str, message: str) -> ReasonGiven:
    """A reason that no policy gives, but the route itself."""
    return ReasonGiven(code=code, policy=None, message=message)


def _violation(policy: Policy, facts: Facts) -> tuple[str, str]:
    reason = policy.reason
    code = next((code for condition, code in reason.cases if evaluate(condition, facts)), reason.code)
    return code, reason.message


def _records(case: Case, policy: Policy) -> dict[str, str]:
    """The consent record that the policy was judged by, if any: no formula reads it, and every reason names it."""
    return {
        f"consent.{policy.id}.record": answer.record
        for need in policy.needs
        for answer in case.answers.get(need.fact) or ()
        if isinstance(answer, ConsentState) and answer.record is not None
    }


def _fields_asked(case: Case, policy: Policy, facts: Facts) -> tuple[str, ...]:
    """The fields that an undetermined policy reads; a fact that is missing is followed by what it is made of."""
    made_of = {need.fact: need.fields for need in policy.needs if need.fact not in facts}
    read = (*fields_of(policy.applies_to), *case.compiled.policy_set.fields[policy.id])
    return tuple(dict.fromkeys(each for field in read for each in (field, *made_of.get(field, ()))))


def _undetermined(case: Case, policy: Policy, facts: Facts, fields: Iterable[str]) -> tuple[str, str]:
    if case.unavailable(policy):
        return FACTS_UNAVAILABLE, "a store did not answer, so this policy can't be judged"
    derived = {need.fact for need in policy.needs}
    missing = [f"`{field}`" for field in fields if field not in facts and field not in derived]
    if missing:
        told = " and ".join(missing) + (" are missing" if len(missing) > 1 else " is missing")
        return FACTS_MISSING, f"{told}, so this policy can't be judged"
    # Nothing is missing, so something is of another type, and only the caller's own fields have no fixed one.
    own = tuple(field for field in fields if field.startswith(ATTRIBUTES))
    unusable = next((need.fields for need in policy.needs if need.fact not in facts), own)
    named = " or ".join(f"`{field}`" for field in unusable)
    return FACTS_MISSING, f"the value of {named} can't be used, so this policy can't be judged"


def local(instant: datetime | None, zone: tzinfo) -> datetime | None:
    """The same instant, told in `zone`."""
    return None if instant is None else instant.astimezone(zone)
