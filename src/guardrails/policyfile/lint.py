"""What is likely a mistake in a policy set that loads. Few rules, all of them sure: none guesses.

for problem in lint(load_policies("policies/")):
    print(problem)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from guardrails.core.amount_rule import AmountRule
from guardrails.core.conditions import (
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Contains,
    FactType,
    Matches,
    Not,
    OneOf,
    Ordering,
)
from guardrails.core.facts import ATTRIBUTES
from guardrails.core.money import decimal_text
from guardrails.core.policy import Policy
from guardrails.core.policy_set import PolicySet
from guardrails.core.purposes import Purpose
from guardrails.core.timing import parse_duration
from guardrails.policyfile.contradictions import can_meet
from guardrails.policyfile.document import Path
from guardrails.policyfile.kinds import all_kinds
from guardrails.policyfile.loader import policy_entries, purpose_entries
from guardrails.policyfile.problems import Problem, quote
from guardrails.policyfile.set_checks import MONETIZED_CLASSES, Entry

__all__ = ["lint"]


WHOLE = ("_minor", "_bps", "_seconds")
"""How the names of facts end that are never a fraction."""


class _Subject(NamedTuple):
    """A policy, and how it is written."""

    policy: Policy
    entry: Entry

    def problem(self, code: str, message: str, path: Path = (), hint: str = "") -> Problem:
        return _problem(self.entry, code, message, path, hint)


def lint(policy_set: PolicySet) -> list[Problem]:
    """Everything that looks wrong with a set, sorted by place. The codes are `problems.WARNINGS`."""
    entries = policy_entries(policy_set.files)
    subjects = [_Subject(policy, entries[policy.id]) for policy in policy_set.policies if not policy.builtin]
    found = {problem for rule in _RULES for problem in rule(subjects)}
    found |= {_switched_off(entry) for entry in entries.values() if entry.written.get("mode") == "off"}
    found |= set(_monetized_without_consent(policy_set))
    found |= set(_purposes(policy_set, entries))
    return sorted(found)


def _problem(entry: Entry, code: str, message: str, path: Path, hint: str) -> Problem:
    document = entry.report.document
    return Problem(document.file, *document.place((*entry.path, *path)), code, message, hint)


def _switched_off(entry: Entry) -> Problem:
    return _problem(entry, "switched-off", f"{quote(entry.id)} is switched off", ("mode",), "`monitor` would report")


def _monetized_without_consent(policy_set: PolicySet) -> Iterator[Problem]:
    """At the top of the first file: the set as a whole is to blame."""
    demands = [
        policy.applies_to
        for policy in policy_set.policies
        if policy.kind == "consent_required" and policy.mode == "enforce"
    ]
    for name in MONETIZED_CLASSES:
        is_class = OneOf("content.class", FactType.STRING, (name,))
        if not any(can_meet(is_class, applies_to) for applies_to in demands):
            message = f"no enforced policy of kind `consent_required` is about `{name}` content"
            yield Problem(min(policy_set.files), 1, 1, "monetized-without-consent", message)


def _purposes(policy_set: PolicySet, entries: Mapping[str, Entry]) -> Iterator[Problem]:
    """Purposes that no policy uses, or whose records go too early; at the first policy that has none to name."""
    demands = [entry for entry in entries.values() if entry.written["kind"] == "consent_required"]
    if demands and not policy_set.purposes:
        message = "nothing says what recipients agree to: the set declares no `purposes`"
        yield _problem(demands[0], "no-purposes", message, ("purpose",), "add them")
        return
    for id_, declared in purpose_entries(policy_set.files).items():
        users = [entry for entry in demands if entry.written["purpose"] == id_]
        if not users:
            message = f"no policy demands consent to {quote(id_)}"
            yield _problem(declared, "unused-purpose", message, ("id",), "remove it, or demand it")
        yield from _short_retention(policy_set.purposes[id_], declared, users)


def _short_retention(purpose: Purpose, declared: Entry, users: Iterable[Entry]) -> Iterator[Problem]:
    kept_seconds = purpose.retention_seconds
    for entry in users:
        age = entry.written.get("max_age")
        if kept_seconds is not None and age is not None and kept_seconds < parse_duration(age):
            kept = quote(declared.written["retention"])
            message = (
                f"proof is meant to be kept {kept} after a consent ended, and {quote(entry.id)} relies on one for {age}"
            )
            yield _problem(declared, "retention-too-short", message, ("retention",), "keep it at least as long")


def _no_owner(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    for subject in subjects:
        if not subject.policy.owner:
            yield subject.problem("no-owner", f"nobody answers for {quote(subject.policy.id)}", hint="add `owner`")


def _no_message(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    for subject in subjects:
        if subject.policy.kind == "rule" and "message" not in subject.entry.written:
            message = f"{quote(subject.policy.id)} doesn't say why it denies"
            yield subject.problem("no-message", message, hint="add `message`")


def _never_denies(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    for subject in subjects:
        policy = subject.policy
        if not can_meet(policy.applies_to, policy.violated):
            message = f"{quote(policy.id)} never denies: what it denies is never what it applies to"
            yield subject.problem("never-denies", message)


def _never_allows(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    """A `rule` is left out: to deny all of something is what it may be for."""
    for subject in subjects:
        policy = subject.policy
        if policy.kind != "rule" and not can_meet(policy.applies_to, policy.satisfied):
            message = f"{quote(policy.id)} denies all that it applies to: what it demands is never so there"
            yield subject.problem("never-allows", message)


def _idle_overrides(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    by_id = {subject.policy.id: subject.policy for subject in subjects}
    for subject in subjects:
        for place, id_ in enumerate(subject.policy.overrides):
            other = by_id.get(id_)
            if other is not None and not can_meet(subject.policy.applies_to, other.applies_to):
                message = f"{quote(id_)} never applies where {quote(subject.policy.id)} does"
                yield subject.problem("idle-override", message, ("overrides", place))


def _shadowed(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    by_id = {subject.policy.id: subject for subject in subjects}
    for policy in (subject.policy for subject in subjects if _is_always_on(subject.policy)):
        for subject in (by_id[id_] for id_ in policy.overrides if id_ in by_id):
            if policy.applies_to in (TRUE, subject.policy.applies_to):
                message = f"{quote(policy.id)} overrides {quote(subject.policy.id)} wherever it applies"
                yield subject.problem("shadowed", message, hint="remove it, or narrow the other")


def _is_always_on(policy: Policy) -> bool:
    return policy.mode == "enforce" and policy.valid_from is None and policy.valid_until is None


def _attribute_types(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    """At the first test of an attribute whose type differs from that of an earlier one."""
    first: dict[str, tuple[FactType, str]] = {}
    for subject in subjects:
        policy = subject.policy
        counts = (cap.counts for cap in policy.caps)
        for name, type_ in _attributes(AllOf((policy.applies_to, policy.violated, *counts))):
            earlier, id_ = first.setdefault(name, (type_, policy.id))
            if earlier is not type_:
                message = f"`{name}` is tested as {type_.value} here, and as {earlier.value} in {quote(id_)}"
                yield subject.problem("attribute-types", message, _path_to(name, subject.entry.written) or ())


def _attributes(condition: Condition) -> Iterator[tuple[str, FactType]]:
    """Each attribute that is tested, with the type that the test needs."""
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from _attributes(part)
    elif isinstance(condition, Not):
        yield from _attributes(condition.part)
    elif condition.field.startswith(ATTRIBUTES):
        if isinstance(condition, OneOf | Compare):
            yield condition.field, condition.type
        elif isinstance(condition, Contains | Matches):
            yield condition.field, FactType.STRINGS if isinstance(condition, Contains) else FactType.STRING


def _doubts_of_kinds(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    for subject in subjects:
        for doubt in all_kinds()[subject.policy.kind].doubts(subject.entry.written):
            yield subject.problem(*doubt)


def _fractions(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    """At tests that compare what is always whole with what is not: an amount in euros, a share in percent."""
    for subject in subjects:
        policy = subject.policy
        for test in _tests(AllOf((policy.applies_to, policy.violated))):
            operands = test.values if isinstance(test, OneOf) else (test.bound,)
            split = next((each for each in operands if isinstance(each, float) and not each.is_integer()), None)
            if split is not None and test.field.endswith(WHOLE) and not test.field.startswith("attributes."):
                message = f"{quote(test.field)} is always a whole number, and compared with {quote(split)}"
                path = _path_to(test.field, subject.entry.written) or ()
                yield subject.problem("fraction", message, path, "19.99 EUR are `1999`, and 12.5 % are `1250`")


def _tests(condition: Condition) -> Iterator[OneOf | Compare]:
    if isinstance(condition, AllOf | AnyOf):
        for part in condition.parts:
            yield from _tests(part)
    elif isinstance(condition, Not):
        yield from _tests(condition.part)
    elif isinstance(condition, OneOf | Compare):
        yield condition


def _never_fits(subjects: Sequence[_Subject]) -> Iterator[Problem]:
    """At policies that limit money to less than a single send that they apply to takes."""
    for subject in subjects:
        applies_to = subject.policy.applies_to
        for cap in subject.policy.caps:
            if not isinstance(cap, AmountRule):
                continue
            in_currency = OneOf(f"{cap.amount}.currency", FactType.STRING, (cap.currency,))
            fits = Compare(f"{cap.amount}.amount_minor", FactType.NUMBER, Ordering.LTE, cap.limit)
            if can_meet(applies_to, in_currency) and not can_meet(applies_to, in_currency, fits):
                limit = quote(f"{decimal_text(cap.limit, cap.currency)} {cap.currency}")
                message = (
                    f"{quote(subject.policy.id)} is about `{cap.amount}.amount_minor` that is never within {limit}"
                )
                yield subject.problem("unreachable-limit", message, hint="narrow `applies_to`, or raise the limit")


def _path_to(key: str, value: object) -> Path | None:
    """The path of the first mapping key `key` within `value`."""
    if isinstance(value, Mapping):
        inner: Iterator[tuple[str | int, object]] = iter(value.items())
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        return None
    for step, part in inner:
        path = () if step == key else _path_to(key, part)
        if path is not None:
            return (step, *path)
    return None


_RULES: tuple[Callable[[Sequence[_Subject]], Iterator[Problem]], ...] = (
    _no_owner,
    _no_message,
    _never_denies,
    _never_allows,
    _idle_overrides,
    _shadowed,
    _attribute_types,
    _doubts_of_kinds,
    _fractions,
    _never_fits,
)
