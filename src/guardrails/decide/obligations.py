"""Obligations: what the sender must do when it sends what was allowed.

Most are told by the policies that speak for the allow. One follows from what it rests on: an e-mail that goes out by a
consent must let its reader take that consent back (`unsubscribe`). Who owes what is a pure function of the case, so
replay finds it again; the link by which it is done (RFC 8058) is made where the decision is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from guardrails.core.candidate import Candidate
from guardrails.core.decision import Decision, Obligation
from guardrails.core.facts import Facts
from guardrails.core.policy import Policy
from guardrails.decide.case import Case
from guardrails.decide.ports import UnsubscribeLinks
from guardrails.decide.reliance import Reliance

__all__ = ["UNSUBSCRIBE", "obligations_of", "with_link"]

UNSUBSCRIBE = "unsubscribe"
"""`purposes` are what to take back. With a link, the other values are headers of the e-mail, by their names."""

_CHANNEL = "email"


def obligations_of(
    case: Case, satisfied: tuple[Policy, ...], facts: Facts, *, relied: Iterable[Reliance]
) -> tuple[Obligation, ...]:
    """The duties that an allow carries: those of the policies that speak for it, in policy order, and the way out.

    `relied` are the consents that it relies on.
    """
    told = tuple(_told(satisfied, facts))
    return (*told, *_way_out(relied)) if case.candidate.channel == _CHANNEL else told


def with_link(decision: Decision, candidate: Candidate, links: UnsubscribeLinks | None) -> Decision:
    """The same with the headers by which its reader can unsubscribe, where it owes that and there are links."""
    if links is None or not decision.obligations:
        return decision
    *others, way_out = decision.obligations
    if way_out.type != UNSUBSCRIBE:
        return decision
    purposes: tuple[str, ...] = way_out.values["purposes"]
    url = links.unsubscribe(candidate.recipient.id, purposes, candidate.channel, decision.decision_id)
    values = {**way_out.values, "List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    obligations = (*others, Obligation(UNSUBSCRIBE, way_out.policy, values))
    return msgspec.structs.replace(decision, obligations=obligations)


def _told(satisfied: Iterable[Policy], facts: Facts) -> Iterator[Obligation]:
    for policy in satisfied:
        for rule in policy.obligations:
            named = {key: facts[field] for key, field in rule.fields.items() if field in facts}
            yield Obligation(rule.type, policy.id, {**rule.values, **named})


def _way_out(relied: Iterable[Reliance]) -> Iterator[Obligation]:
    """One for all purposes that the allow rests on, as an e-mail has one such header. The first policy demands it."""
    policies: dict[str, str] = {}  # by purpose
    for each in relied:
        policies.setdefault(each.purpose, each.policy)
    if policies:
        yield Obligation(UNSUBSCRIBE, next(iter(policies.values())), {"purposes": tuple(policies)})
