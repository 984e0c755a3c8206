"""The native engine: a policy set as generated Python, one function for each group of the index.

Three-valued logic is turned into two-valued: of every condition there is an expression that is true where it is
definitely true, and one that is true where it is definitely false. Python's own `and` and `or` then stop as early as
they can, and "unknown" costs nothing.

    deny_when: {attributes.score: {gt: 5}}  ->  V if (v0 is not None and v0 > k1) else S if (... and not v0 > k1) else U

What an author or a caller wrote is never part of the generated text: names of fields and values of tests are bound to
names of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from guardrails.core.conditions import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Contains,
    Exists,
    FactType,
    Matches,
    Not,
    OneOf,
    Ordering,
)
from guardrails.core.facts import NUMBER_LIMIT, VOCABULARY, Facts, typed
from guardrails.core.glob import glob
from guardrails.core.index import Entry, Selection
from guardrails.core.policy import Policy, Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.errors import PolicyError

__all__ = ["NativeEngine"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NAMES: Mapping[str, Any] = {
    "N": Verdict.NOT_APPLICABLE,
    "S": Verdict.SATISFIED,
    "V": Verdict.VIOLATED,
    "U": Verdict.UNDETERMINED,
    "EPOCH": EPOCH,
    "LIMIT": NUMBER_LIMIT,
    "FactType": FactType,
    "typed": typed,
}

_SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}


class NativeEngine:
    """Gives the verdicts of one policy set. Raises PolicyError where Python can't compile conditions so deep."""

    def __init__(self, policy_set: PolicySet) -> None:
        constants = _Constants()
        try:
            texts = [
                _function(f"group_{group.number}", group.entries, policy_set.policies, constants)
                for group in policy_set.index.groups
            ]
            scope = {**constants.scope, **_NAMES}
            exec(compile("\n".join(texts), f"<policies {policy_set.revision}>", "exec"), scope)  # noqa: S102 - our own text
        except (RecursionError, MemoryError, SyntaxError) as error:
            raise PolicyError("a condition is nested too deeply to be compiled") from error
        self._functions: list[Callable[[Facts], list[Verdict]]] = [
            scope[f"group_{group.number}"] for group in policy_set.index.groups
        ]

    def evaluate(self, selection: Selection, facts: Facts) -> list[Verdict]:
        """One verdict for each of `selection.places`, in that order."""
        functions = self._functions
        verdicts = functions[0](facts)
        for number in selection.groups[1:]:
            verdicts += functions[number](facts)
        return verdicts


class _Constants:
    """Binds every value that comes from outside to a name of ours: `k0`, `k1` ..."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}
        self._names: dict[object, str] = {}

    def name(self, value: object) -> str:
        """The name of `value`. Values that compare equal may share one: the fact's type is checked before."""
        if value not in self._names:
            self._names[value] = f"k{len(self._names)}"
            self.scope[self._names[value]] = value
        return self._names[value]


def _function(name: str, entries: Iterable[Entry], policies: tuple[Policy, ...], constants: _Constants) -> str:
    """The text of a function of the facts that returns a list with the verdict of each entry."""
    formulas = [
        (entry.applies_to, policies[entry.place].violated, policies[entry.place].satisfied) for entry in entries
    ]
    body = _Body(constants)
    for formula in formulas:
        body.verdict(*formula)
    body.share()
    verdicts = [body.verdict(*formula) for formula in formulas]
    lines = [f"def {name}(facts):", "get = facts.get", *body.lines, f"return [{', '.join(verdicts)}]"]
    return "\n    ".join(lines) + "\n"


class _Body:
    """Writes expressions, and the lines before them that read facts and work out what several expressions share.

    It is used twice: the first pass counts, `share` then gives every condition that is asked for more than once a
    local of its own, and the second pass writes.
    """

    def __init__(self, constants: _Constants) -> None:
        self.lines: list[str] = []
        self._constants = constants
        self._facts: dict[tuple[str, FactType | None], str] = {}
        self._uses: dict[Condition, int] = {}
        self._shared: dict[Condition, str] = {}

    def verdict(self, applies_to: Condition, violated: Condition, satisfied: Condition) -> str:
        """The expression of a policy's verdict."""
        settled = _choose(self.true(violated), "V", _choose(self.true(satisfied), "S", "U"))
        applies = self.true(applies_to)
        return _choose(applies, settled, "U" if applies == "True" else _choose(self.false(applies_to), "N", "U"))

    def share(self) -> None:
        """Work out once what the first pass saw asked for repeatedly; parts before the wholes that contain them."""
        for condition in [condition for condition, uses in self._uses.items() if uses > 1]:
            expression = self.true(condition)
            if expression.isidentifier() or expression in {"True", "False"}:
                continue
            local = f"t{len(self._shared)}"
            self.lines.append(f"{local} = {expression}")
            self._shared[condition] = local

    def true(self, condition: Condition) -> str:
        """An expression that is true where the condition is definitely true."""
        if condition in self._shared:
            return self._shared[condition]
        if isinstance(condition, AllOf):
            text = _join(" and ", map(self.true, condition.parts))
        elif isinstance(condition, AnyOf):
            text = _join(" or ", map(self.true, condition.parts))
        elif isinstance(condition, Not):
            return self.false(condition.part)
        else:
            text = self._test(condition)
        self._uses[condition] = self._uses.get(condition, 0) + 1
        return text

    def false(self, condition: Condition) -> str:
        """An expression that is true where the condition is definitely false."""
        if isinstance(condition, AllOf):
            return _join(" or ", map(self.false, condition.parts))
        if isinstance(condition, AnyOf):
            return _join(" and ", map(self.false, condition.parts))
        if isinstance(condition, Not):
            return self.true(condition.part)
        return self._failed_test(condition)

    def _test(self, test: Exists | OneOf | Compare | Contains | Matches) -> str:
        fact, holds = self._fact(test), self._holds(test)
        # Nothing equals None, so an equality needs no second look at whether the fact is there.
        return holds if isinstance(test, Exists | OneOf) else f"({fact} is not None and {holds})"

    def _failed_test(self, test: Exists | OneOf | Compare | Contains | Matches) -> str:
        fact, holds = self._fact(test), self._holds(test)
        return f"{fact} is None" if isinstance(test, Exists) else f"({fact} is not None and not {holds})"

    def _holds(self, test: Exists | OneOf | Compare | Contains | Matches) -> str:
        """Whether the test holds for a fact that is there."""
        fact, name = self._fact(test), self._constants.name
        if isinstance(test, Exists):
            return f"{fact} is not None"
        if isinstance(test, OneOf):
            values = frozenset(map(_comparable, test.values))
            return f"{fact} == {name(*values)}" if len(values) == 1 else f"{fact} in {name(values)}"
        if isinstance(test, Compare):
            return f"{fact} {_SIGNS[test.ordering]} {name(_comparable(test.bound))}"
        if isinstance(test, Contains):
            return f"{name(test.value)} in {fact}"
        return f"{name(glob(test.pattern))}({fact})"

    def _fact(self, test: Exists | OneOf | Compare | Contains | Matches) -> str:
        """The local that holds the fact, None where it is missing or not of the test's type."""
        if isinstance(test, Exists):
            return self._local(test.field, None)
        if isinstance(test, Contains):
            return self._local(test.field, FactType.STRINGS)
        return self._local(test.field, FactType.STRING if isinstance(test, Matches) else test.type)

    def _local(self, field: str, kind: FactType | None) -> str:
        """The local for one field as one type. The vocabulary's own fields are of their type or missing."""
        known = VOCABULARY.get(field)
        if known is not None and known.type is kind is not FactType.TIMESTAMP:
            kind = None
        if (field, kind) not in self._facts:
            read = f"get({self._constants.name(field)})" if kind is None else _guarded(self._local(field, None), kind)
            self._facts[field, kind] = f"v{len(self._facts)}"
            self.lines.append(f"{self._facts[field, kind]} = {read}")
        return self._facts[field, kind]


def _guarded(fact: str, kind: FactType) -> str:
    """The fact if it is of type `kind`, else None; the common types without a call."""
    if kind is FactType.STRING:
        return f"{fact} if type({fact}) is str else None"
    if kind is FactType.BOOLEAN:
        return f"{fact} if type({fact}) is bool else None"
    if kind is FactType.NUMBER:
        number = f"(type({fact}) is int or type({fact}) is float) and -LIMIT <= {fact} <= LIMIT"
        return f"{fact} if {number} else None"
    if kind is FactType.TIMESTAMP:
        # Python compares two datetimes of one zone by the wall clock, folds and all; their distance is exact.
        return f"{fact} - EPOCH if typed({fact}, FactType.TIMESTAMP) is not None else None"
    return f"typed({fact}, FactType.STRINGS)"


def _comparable(value: Any) -> Any:  # noqa: ANN401 - any two of one type compare
    return value - EPOCH if isinstance(value, datetime) else value


def _join(operator: str, parts: Iterable[str]) -> str:
    """The parts joined by `and` or `or`, with constants folded and repeats left out."""
    neutral, decisive = ("True", "False") if operator == " and " else ("False", "True")
    kept = [part for part in dict.fromkeys(parts) if part != neutral]
    if decisive in kept:
        return decisive
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else f"({operator.join(kept)})"


def _choose(test: str, then: str, otherwise: str) -> str:
    if test in {"True", "False"}:
        return then if test == "True" else otherwise
    return then if then == otherwise else f"({then} if {test} else {otherwise})"
