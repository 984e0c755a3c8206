"""A policy set: all policies of one revision, in policy order, with the index that picks from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from guardrails.core.conditions import FALSE, TRUE, fields_of
from guardrails.core.facts import Facts
from guardrails.core.index import Entry, Index, Remembered, Selection
from guardrails.core.policy import Policy, Reason
from guardrails.core.purposes import Purpose

__all__ = ["PolicySet", "Selected", "counting_set"]

CONSENT = "consent."
"""What the name of a fact begins with that is made of consents."""


class Selected(msgspec.Struct, frozen=True):
    """The policies that can apply to one candidate, in the order of `selection.places`.

    `needing` are those that need more than the candidate, each with its place among `policies`.
    """

    selection: Selection
    policies: tuple[Policy, ...]
    needing: tuple[tuple[int, Policy], ...]


class PolicySet:
    """Policies that loaded together. Not changed once built; `revision` is the hash of what the authors wrote.

    `policies` leaves out those whose mode is `off`; `files` is the authors' text, path to content, enough to load
    the set again. `purposes` are those declared, by id. `fields` gives, by policy id, the fields that its two formulas
    read, each once; `consent_facts`, by the id of a policy that goes by consents, the facts that it makes of them.
    `select(facts)` gives the policies to ask for these facts; it never leaves out one that could apply
    or be unknown.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        *,
        revision: str,
        files: Mapping[str, str],
        purposes: Mapping[str, Purpose] | None = None,
    ) -> None:
        self.policies = tuple(policy for policy in policies if policy.mode != "off")
        self.revision = revision
        self.files = dict(files)
        self.purposes: Mapping[str, Purpose] = dict(purposes or {})
        self.index = Index(Entry(place, policy.applies_to) for place, policy in enumerate(self.policies))
        self.fields: Mapping[str, tuple[str, ...]] = {policy.id: _formula_fields(policy) for policy in self.policies}
        self.consent_facts = _consent_facts(self.policies)
        self.overriders = _overriders(self.policies)
        self.select: Callable[[Facts], Selected] = _selector(self.policies, self.index)


def counting_set(policy_set: PolicySet) -> PolicySet:
    """One stand-in policy for each cap, that applies wherever the cap counts a send.

    A send can count for a cap that does not apply to it. With caps as policies of their own, the index and the
    engines answer "which caps count this?" as they answer everything else. `needs` is empty; `cap` is the cap.
    """
    stand_ins = (
        Policy(
            ordinal=policy.ordinal,
            id=policy.id,
            kind="counting",
            mode="enforce",
            applies_to=policy.cap.counts,
            violated=FALSE,
            satisfied=TRUE,
            reason=Reason("", ""),
            cap=policy.cap,
        )
        for policy in policy_set.policies
        if policy.cap is not None
    )
    return PolicySet(stand_ins, revision=policy_set.revision, files={})


def _selector(policies: tuple[Policy, ...], index: Index) -> Callable[[Facts], Selected]:
    def selected(selection: Selection) -> Selected:
        chosen = tuple(policies[place] for place in selection.places)
        return Selected(selection, chosen, tuple((place, each) for place, each in enumerate(chosen) if each.needs))

    return Remembered(index, selected).find


def _formula_fields(policy: Policy) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*fields_of(policy.violated), *fields_of(policy.satisfied))))


def _consent_facts(policies: tuple[Policy, ...]) -> Mapping[str, tuple[str, ...]]:
    """By policy id; only those that have any."""
    made = {
        policy.id: tuple(need.fact for need in policy.needs if need.fact.startswith(CONSENT)) for policy in policies
    }
    return {policy_id: facts for policy_id, facts in made.items() if facts}


def _overriders(policies: tuple[Policy, ...]) -> Mapping[str, tuple[Policy, ...]]:
    """By policy id, the policies that it stands aside for."""
    found: dict[str, tuple[Policy, ...]] = {}
    for policy in policies:
        for overridden in policy.overrides:
            found[overridden] = (*found.get(overridden, ()), policy)
    return found
