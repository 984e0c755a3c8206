"""A policy set: all policies of one revision, in policy order, with the index that picks from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, tzinfo
from typing import Literal

import msgspec

from guardrails.core.cap_rule import CapRule
from guardrails.core.conditions import FALSE, TRUE, Condition, fields_of
from guardrails.core.facts import Facts
from guardrails.core.index import Entry, Index, Remembered, Selection
from guardrails.core.needs import Need
from guardrails.core.policy import Policy, Reason
from guardrails.core.purposes import DEFAULT_LANGUAGE, Purpose

__all__ = ["Attribution", "PolicySet", "Project", "Selected", "scope_set"]


class Attribution(msgspec.Struct, frozen=True):
    """Which decisions revenue is attributed to: those not longer ago than `window_seconds`, of the same `across`.

    By `model` the last of them gets all of it, or all get the same.
    """

    window_seconds: int = 7 * 86_400
    model: Literal["last_touch", "linear"] = "last_touch"
    across: Literal["sponsor", "campaign", "offer"] = "sponsor"


class Project(msgspec.Struct, frozen=True):
    """What holds for a whole set: the `zone` that `project` means, and the `language` (BCP 47) of its texts.

    `contexts` are the kinds of context (`context.kind`) that it declares.
    """

    zone: tzinfo = UTC
    language: str = DEFAULT_LANGUAGE
    contexts: tuple[str, ...] = ()
    attribution: Attribution = Attribution()


class Selected(msgspec.Struct, frozen=True):
    """The policies that can apply to one candidate, in the order of `selection.places`.

    `is_bounded`: one of them is in force for a time only.
    """

    selection: Selection
    policies: tuple[Policy, ...]
    is_bounded: bool


class PolicySet:
    """Policies that loaded together. Not changed once built; `revision` is the hash of what the authors wrote.

    `policies` leaves out those whose mode is `off`; `files` is the authors' text, path to content, enough to load
    the set again. `purposes` are those declared, by id. `fields` gives, by policy id, the fields that its two formulas
    read, each once. `select(facts)` gives the policies to ask for these facts; it never leaves out one that could apply
    or be unknown.
    """

    def __init__(
        self,
        policies: Iterable[Policy],
        *,
        revision: str,
        files: Mapping[str, str],
        purposes: Mapping[str, Purpose] | None = None,
        project: Project | None = None,
    ) -> None:
        self.policies = tuple(policy for policy in policies if policy.mode != "off")
        self.revision = revision
        self.files = dict(files)
        self.purposes: Mapping[str, Purpose] = dict(purposes or {})
        self.project = project or Project()
        self.index = Index(Entry(place, policy.applies_to) for place, policy in enumerate(self.policies))
        self.fields: Mapping[str, tuple[str, ...]] = {policy.id: _formula_fields(policy) for policy in self.policies}
        self.overriders = _overriders(self.policies)
        self.select: Callable[[Facts], Selected] = _selector(self.policies, self.index)


def scope_set(policy_set: PolicySet) -> PolicySet:
    """Stand-ins for what may concern a candidate before anything but the candidate is known.

    One for each policy that has needs, with them, applies where the policy does; one for each cap, with it, applies
    wherever the cap counts a send, for a send can count for a cap that does not apply to it. As policies of their own,
    they are all found by one look into the index and one evaluation.
    """
    policies = policy_set.policies
    needing = (_stand_in(each, each.applies_to, needs=each.needs) for each in policies if each.needs)
    counting = (_stand_in(each, cap.counts, caps=(cap,)) for each in policies for cap in each.caps)
    return PolicySet((*needing, *counting), revision=policy_set.revision, files={})


def _stand_in(
    policy: Policy, applies_to: Condition, *, needs: tuple[Need, ...] = (), caps: tuple[CapRule, ...] = ()
) -> Policy:
    return Policy(
        ordinal=policy.ordinal,
        id=policy.id,
        kind="scope",
        mode="enforce",
        applies_to=applies_to,
        violated=FALSE,
        satisfied=TRUE,
        reason=Reason("", ""),
        needs=needs,
        caps=caps,
    )


def _selector(policies: tuple[Policy, ...], index: Index) -> Callable[[Facts], Selected]:
    def selected(selection: Selection) -> Selected:
        found = tuple(policies[place] for place in selection.places)
        return Selected(selection, found, is_bounded=any(policy.is_bounded for policy in found))

    return Remembered(index, selected).find


def _formula_fields(policy: Policy) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*fields_of(policy.violated), *fields_of(policy.satisfied))))


def _overriders(policies: tuple[Policy, ...]) -> Mapping[str, tuple[Policy, ...]]:
    """By policy id, the policies that it stands aside for."""
    found: dict[str, tuple[Policy, ...]] = {}
    for policy in policies:
        for overridden in policy.overrides:
            found[overridden] = (*found.get(overridden, ()), policy)
    return found
