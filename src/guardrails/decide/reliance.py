"""Reliance: the consents that an allow rests on.

An allow relies on a consent where an enforced policy that speaks for it asked for that consent. Each policy knows
whether it asks for any, so a candidate that needs none costs next to nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from guardrails.core.needs import ConsentQuery, ConsentState
from guardrails.core.policy import Policy
from guardrails.decide.case import Case

__all__ = ["Reliance", "records_of", "relied_on"]


class Reliance(NamedTuple):
    """A policy's id, the purpose that it asked for, and the consent that it was answered."""

    policy: str
    purpose: str
    consent: ConsentState


def relied_on(case: Case, satisfied: Iterable[Policy]) -> tuple[Reliance, ...]:
    """The consents that `satisfied`, the policies that speak for the allow of a case, rest on; in their order."""
    asking = [policy for policy in satisfied if policy.consent_facts]
    if not asking:
        return ()
    return tuple(
        [
            Reliance(policy.id, query.purpose, answer)
            for policy in asking
            for fact in policy.consent_facts
            for query, answer in zip(case.questions.get(fact) or (), case.answers.get(fact) or (), strict=False)
            if isinstance(query, ConsentQuery) and isinstance(answer, ConsentState)
        ]
    )


def records_of(relied: Iterable[Reliance]) -> tuple[str, ...]:
    """The ids of their records, each once."""
    return tuple(dict.fromkeys([each.consent.record for each in relied if each.consent.record is not None]))
