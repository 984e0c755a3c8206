"""What only the whole set shows: ids that stand twice, overrides that lead nowhere or in a circle, purposes without the
benefit that monetized content needs, too many fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any, NamedTuple

from guardrails.core.conditions import AllOf, Condition, FactType, OneOf, fields_of
from guardrails.core.facts import CONTENT_CLASSES
from guardrails.core.index import Group
from guardrails.core.policy import Policy
from guardrails.core.policy_set import PolicySet
from guardrails.core.purposes import Purpose
from guardrails.policyfile.contradictions import can_meet
from guardrails.policyfile.document import Path, Reporter
from guardrails.policyfile.problems import did_you_mean, quote

__all__ = [
    "MONETIZED_CLASSES",
    "MOST_FIELDS",
    "RESERVED_PREFIX",
    "Entry",
    "check_benefits",
    "check_fields",
    "check_ids",
    "check_overrides",
]

RESERVED_PREFIX = "guardrails-"

MOST_FIELDS = 64
"""How many facts one candidate may carry into an engine; durable-rules fails at 255 properties."""


MONETIZED_CLASSES = ("sponsored", "affiliate")


class Entry(NamedTuple):
    """One policy or purpose as it is written, with its place."""

    written: Mapping[str, Any]
    path: Path
    report: Reporter

    @property
    def id(self) -> str | None:
        """Its id, None where that is missing or no text."""
        found = self.written.get("id")
        return found if isinstance(found, str) else None

    def place(self, path: Path) -> str:
        """File, line and column of what stands at `path` within it."""
        line, column = self.report.document.place((*self.path, *path))
        return f"{self.report.document.file}:{line}:{column}"


def check_ids(entries: Iterable[Entry]) -> None:
    """Report ids that are kept for built-in policies, and those that stand a second time, naming the first place."""
    first: dict[str, Entry] = {}
    for entry in entries:
        if entry.id is None:
            continue
        if entry.id.startswith(RESERVED_PREFIX):
            message = f"{quote(entry.id)} begins with `{RESERVED_PREFIX}`, which is for built-in policies"
            entry.report.problem("reserved-id", message, (*entry.path, "id"))
        other = first.setdefault(entry.id, entry)
        if other is not entry:
            message = f"the id {quote(entry.id)} is taken already, at {other.place(('id',))}"
            entry.report.problem("duplicate-id", message, (*entry.path, "id"))


def check_overrides(entries: Sequence[Entry], *, is_complete: bool) -> None:
    """Report overrides of the policy itself and in a circle, and of nothing where the set `is_complete`."""
    targets: dict[str, list[str]] = {entry.id: [] for entry in entries if entry.id is not None}
    for entry in entries:
        for place, target in _overrides(entry):
            path = (*entry.path, "overrides", place)
            if target == entry.id:
                entry.report.problem("self-override", f"{quote(target)} overrides itself", path)
            elif target in targets:
                targets[str(entry.id)].append(target)
            elif is_complete:
                message = f"no policy has the id {quote(target)}"
                entry.report.problem("unknown-policy", message, path, did_you_mean(target, targets))
    _check_cycles(entries, targets)


def _overrides(entry: Entry) -> Iterator[tuple[int, str]]:
    """The places and ids of those overrides that can be followed; what else stands there the schema has reported."""
    overrides = entry.written.get("overrides")
    if entry.id is not None and isinstance(overrides, list):
        yield from ((place, target) for place, target in enumerate(overrides) if isinstance(target, str))


def _check_cycles(entries: Sequence[Entry], targets: dict[str, list[str]]) -> None:
    """Report each circle once, at the policy of it that stands first."""
    order = {id_: place for place, id_ in reversed(list(enumerate(entry.id for entry in entries)))}
    while True:
        try:
            TopologicalSorter(targets).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][:0:-1]  # each overrides the next; the first stands at both ends
            start = min(range(len(circle)), key=lambda place: order[circle[place]])
            circle = [*circle[start:], *circle[:start]]
            entry = entries[order[circle[0]]]
            following = circle[1]
            path = (*entry.path, "overrides", entry.written["overrides"].index(following))
            chain = " overrides ".join(quote(id_) for id_ in (*circle, circle[0]))
            entry.report.problem("override-cycle", f"overrides run in a circle: {chain}", path)
            targets[circle[0]].remove(following)
        else:
            return


def check_benefits(
    policies: Iterable[Policy], entries: Sequence[Entry], purposes: Mapping[str, Purpose], declared: Mapping[str, Entry]
) -> None:
    """Report each policy that lets monetized content out under a purpose which promises the recipient no benefit."""
    for policy in policies:
        entry = entries[policy.ordinal]
        purpose = purposes.get(entry.written["purpose"]) if policy.kind == "consent_required" else None
        if purpose is None or purpose.benefit is not None or policy.mode == "off" or not _may_monetize(policy):
            continue
        message = f"monetized content goes out under {quote(purpose.id)}, which says no benefit to the recipient"
        hint = f"add `benefit` to the purpose, at {declared[purpose.id].place(())}, or narrow `applies_to`"
        entry.report.problem("missing-benefit", message, (*entry.path, "purpose"), hint)


def _may_monetize(policy: Policy) -> bool:
    in_lane: Condition = OneOf("lane", FactType.STRING, ("monetized",))
    is_monetized = AllOf((in_lane, OneOf("content.class", FactType.STRING, MONETIZED_CLASSES)))
    return can_meet(is_monetized, policy.applies_to)


def check_fields(policy_set: PolicySet, entries: Mapping[str, Entry]) -> None:
    """Report where one candidate's content class can select policies that read more than `MOST_FIELDS` fields.

    Policies that demand different values of an indexed field never meet at one candidate; of those, the group that
    reads the most counts. What is built in for offers doesn't: it has its room beyond what authors may use.
    """
    for name in CONTENT_CLASSES:
        fields, policies = _counts(policy_set, name)
        if fields > MOST_FIELDS:
            entry = entries[policy_set.policies[0].id]
            meeting = f"{policies:,} policies can meet at one candidate with `{name}` content"
            message = f"{meeting} and read {fields:,} fields, at most {MOST_FIELDS} are allowed"
            hint = "each cap reads one of its own; narrow `applies_to`, or let several policies be one"
            entry.report.problem("too-many-fields", message, entry.path, hint)


def _counts(policy_set: PolicySet, content_class: str) -> tuple[int, int]:
    """How many fields are read at most for one candidate, and by how many written policies."""
    is_class = OneOf("content.class", FactType.STRING, (content_class,))
    always: set[str] = set()
    most: dict[str | None, tuple[int, int]] = {}
    for group in policy_set.index.groups:
        meeting = [policy for policy in _policies_of(group, policy_set) if can_meet(is_class, policy.applies_to)]
        fields = {field for policy in meeting for field in _fields_read(policy)}
        counts = len(fields - always), sum(not policy.builtin for policy in meeting)
        if group.field is None:
            always = fields
            most[None] = counts
        elif group.value is not None:
            most[group.field] = max(most.get(group.field, (0, 0)), counts)
    return sum(fields for fields, _ in most.values()), sum(policies for _, policies in most.values())


def _policies_of(group: Group, policy_set: PolicySet) -> Iterator[Policy]:
    policies = (policy_set.policies[entry.place] for entry in group.entries)
    return (policy for policy in policies if not (policy.builtin and policy.needs))


def _fields_read(policy: Policy) -> Iterator[str]:
    for condition in (policy.applies_to, policy.violated, policy.satisfied):
        yield from fields_of(condition)
