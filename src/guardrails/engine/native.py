"""The native engine: a policy set as generated Python, one function for each group of the index.

Three-valued logic is turned into two-valued. Where every fact is there that a policy's formula reads, the formula has
two values and is written as it stands. Elsewhere, of every condition there is an expression that is true where it is
definitely true, and one that is true where it is definitely false.

    deny_when: {attributes.score: {gt: 5}}  ->  (V if v0 > k0 else S) if v0 is not None else U

Policies that apply under the same condition share one branch, and what only that branch needs is read inside it.

INVARIANT: what an author or a caller wrote is never part of the generated text: names of fields and values of tests
reach a function as defaults of its parameters. That keeps the text safe, and makes the groups of a thousand campaigns
a handful of texts, each compiled once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from types import CodeType, FunctionType
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
from guardrails.core.index import Entry, Group, Selection
from guardrails.core.policy import Policy, Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.errors import PolicyError

__all__ = ["NativeEngine"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NAMES: dict[str, Any] = {
    "N": Verdict.NOT_APPLICABLE,
    "S": Verdict.SATISFIED,
    "V": Verdict.VIOLATED,
    "U": Verdict.UNDETERMINED,
    "EPOCH": EPOCH,
    "FactType": FactType,
    "typed": typed,
}

_SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}
_FLIPPED = {
    Ordering.LT: Ordering.GTE,
    Ordering.LTE: Ordering.GT,
    Ordering.GT: Ordering.LTE,
    Ordering.GTE: Ordering.LT,
}

_Test = Exists | OneOf | Compare | Contains | Matches


class NativeEngine:
    """Gives the verdicts of one policy set. Raises PolicyError where Python can't compile conditions so deep."""

    def __init__(self, policy_set: PolicySet) -> None:
        always, *specific = policy_set.index.groups
        compiler = _Compiler(policy_set.policies)
        try:
            self._always = compiler.function(always, "facts", _returned)
            others = [compiler.function(group, "facts, verdicts", _added) for group in specific]
        except (RecursionError, MemoryError, SyntaxError) as error:
            raise PolicyError("a condition is nested too deeply to be compiled") from error
        self._functions = [self._always, *others]
        """By the number of their group."""

    def evaluate(self, selection: Selection, facts: Facts) -> list[Verdict]:
        """One verdict for each of `selection.places`, in that order."""
        verdicts: list[Verdict] = self._always(facts)
        functions = self._functions
        for number in selection.specific:
            functions[number](facts, verdicts)
        return verdicts


class _Compiler:
    """Makes groups into functions. What is alike is shared: of code by its text, of constants by their value."""

    def __init__(self, policies: tuple[Policy, ...]) -> None:
        self._policies = policies
        self._compiled: dict[str, CodeType] = {}
        self._constants: dict[object, object] = {}

    def function(self, group: Group, parameters: str, last_line: Callable[[Sequence[str]], str]) -> Callable[..., Any]:
        """The function of one group: `last_line` says what becomes of its verdicts."""
        writer = _Writer(group.entries, self._policies)
        text = writer.text(parameters, last_line)
        if text not in self._compiled:
            scope: dict[str, Any] = {}
            exec(compile(text, "<policies>", "exec"), scope)  # noqa: S102 - our own text
            self._compiled[text] = scope["group"].__code__
        constants = tuple(self._constants.setdefault(value, value) for value in writer.constants)
        return FunctionType(self._compiled[text], _NAMES, "group", constants)


def _returned(verdicts: Sequence[str]) -> str:
    return f"return [{', '.join(verdicts)}]"


def _added(verdicts: Sequence[str]) -> str:
    if len(verdicts) == 1:
        return f"verdicts.append({verdicts[0]})"
    return f"verdicts += [{', '.join(verdicts)}]"


class _Writer:
    """Writes the function of one group: lines that read facts and branch, and an expression for each verdict.

    `constants` are the values behind the names `k0`, `k1` ...
    """

    def __init__(self, entries: Iterable[Entry], policies: tuple[Policy, ...]) -> None:
        self._branches: dict[Condition, list[tuple[int, Condition, Condition]]] = {}
        self._verdicts: list[str] = []
        for place, entry in enumerate(entries):
            formulas = (_plain(policies[entry.place].violated), _plain(policies[entry.place].satisfied))
            self._branches.setdefault(_plain(entry.applies_to), []).append((place, *formulas))
            self._verdicts.append(f"r{place}")
        self._lines: list[str] = []
        self._indent = "    "
        self._facts: dict[tuple[str, FactType | None], str] = {}
        # Values that compare equal share a name: what is compared with them is of the test's type.
        self.constants: dict[object, str] = {}

    def text(self, parameters: str, last_line: Callable[[Sequence[str]], str]) -> str:
        """The whole function. To be called once."""
        self._read_what_is_shared()
        for applies, members in self._branches.items():
            self._branch(applies, members)
        self._line(last_line(self._verdicts))
        defaults = "".join(f", {name}=None" for name in self.constants.values())
        return "\n".join([f"def group({parameters}{defaults}):", *self._lines])

    def _line(self, line: str) -> None:
        self._lines.append(f"{self._indent}{line}")

    def _read_what_is_shared(self) -> None:
        """Read, before any branch, the facts that choose branches, and those that several branches need."""
        readers: dict[str, set[Condition | None]] = {}
        for applies, members in self._branches.items():
            for test in _tests(applies):
                readers.setdefault(test.field, set()).add(None)
                readers[test.field].add(applies)
            for _, violated, satisfied in members:
                for test in _tests(violated, satisfied):
                    readers.setdefault(test.field, set()).add(applies)
        for applies, members in self._branches.items():
            for test in _tests(applies, *(formula for _, *formulas in members for formula in formulas)):
                if len(readers[test.field]) > 1:
                    self._fact(test)

    def _branch(self, applies: Condition, members: list[tuple[int, Condition, Condition]]) -> None:
        test = self._true(applies)
        otherwise = "U" if test == "True" else _choose(self._false_unless_true(applies), "N", "U")
        if test in {"True", "False"}:
            for place, violated, satisfied in members:
                self._verdicts[place] = self._verdict(violated, satisfied) if test == "True" else otherwise
            return
        self._line(f"if {test}:")
        self._indent = "        "
        for place, violated, satisfied in members:
            verdict = self._verdict(violated, satisfied)
            self._line(f"r{place} = {verdict}")
        self._indent = "    "
        self._line("else:")
        self._line(f"    {' = '.join(f'r{place}' for place, *_ in members)} = {otherwise}")

    def _verdict(self, violated: Condition, satisfied: Condition) -> str:
        """The verdict of a policy that applies."""
        if satisfied != _plain(violated, holds=False):
            return _choose(self._true(violated), "V", _choose(self._true(satisfied), "S", "U"))
        settled = _choose(self._two_valued(violated), "V", "S")
        if _is_test(violated):
            return _choose(self._known(violated), settled, "U")
        unsettled = _choose(self._true(violated), "V", _choose(self._true(satisfied), "S", "U"))
        return _choose(self._known(violated), settled, unsettled)

    def _known(self, condition: Condition) -> str:
        """Whether every fact is there that the condition compares."""
        tests = (test for test in _tests(condition) if not isinstance(test, Exists))
        return _join(" and ", (f"{self._fact(test)} is not None" for test in tests))

    def _false_unless_true(self, condition: Condition) -> str:
        """Whether the condition is definitely false, given that it is not definitely true."""
        known = self._known(condition)
        return known if _is_test(condition) else _join(" or ", (known, self._true(_plain(condition, holds=False))))

    def _true(self, condition: Condition) -> str:
        """Whether the condition is definitely true."""
        if isinstance(condition, AllOf | AnyOf):
            return _join(_word(condition), map(self._true, condition.parts))
        holds = self._two_valued(condition)
        # Nothing that is tested for equals None, so an equality needs no second look at whether the fact is there.
        return holds if isinstance(condition, OneOf) else _join(" and ", (self._known(condition), holds))

    def _two_valued(self, condition: Condition) -> str:
        """Whether the condition holds, where every fact that it compares is there."""
        if isinstance(condition, AllOf | AnyOf):
            return _join(_word(condition), map(self._two_valued, condition.parts))
        if isinstance(condition, Not):
            return f"not {self._two_valued(condition.part)}"
        fact, name = self._fact(condition), self._name
        if isinstance(condition, Exists):
            return f"{fact} is not None"
        if isinstance(condition, OneOf):
            values = frozenset(map(_comparable, condition.values))
            return f"{fact} == {name(*values)}" if len(values) == 1 else f"{fact} in {name(values)}"
        if isinstance(condition, Compare):
            return f"{fact} {_SIGNS[condition.ordering]} {name(_comparable(condition.bound))}"
        if isinstance(condition, Contains):
            return f"{name(condition.value)} in {fact}"
        return f"{name(glob(condition.pattern))}({fact})"

    def _name(self, value: object) -> str:
        return self.constants.setdefault(value, f"k{len(self.constants)}")

    def _fact(self, test: _Test) -> str:
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
            read = f"facts.get({self._name(field)})" if kind is None else _guarded(self._local(field, None), kind)
            self._facts[field, kind] = f"v{len(self._facts)}"
            self._line(f"{self._facts[field, kind]} = {read}")
        return self._facts[field, kind]


def _guarded(fact: str, kind: FactType) -> str:
    """The fact if it is of type `kind`, else None; the common types without a call."""
    if kind is FactType.STRING:
        return f"{fact} if type({fact}) is str else None"
    if kind is FactType.BOOLEAN:
        return f"{fact} if type({fact}) is bool else None"
    if kind is FactType.NUMBER:
        number = f"(type({fact}) is int or type({fact}) is float) and {-NUMBER_LIMIT} <= {fact} <= {NUMBER_LIMIT}"
        return f"{fact} if {number} else None"
    if kind is FactType.TIMESTAMP:
        # Python compares two datetimes of one zone by the wall clock, folds and all; their distance is exact.
        return f"{fact} - EPOCH if typed({fact}, FactType.TIMESTAMP) is not None else None"
    return f"typed({fact}, FactType.STRINGS)"


def _plain(condition: Condition, *, holds: bool = True) -> Condition:
    """The condition, or its opposite, with NOT only before single tests and never before an ordering."""
    if isinstance(condition, Not):
        return _plain(condition.part, holds=not holds)
    if isinstance(condition, AllOf | AnyOf):
        parts = tuple(_plain(part, holds=holds) for part in condition.parts)
        return AllOf(parts) if isinstance(condition, AllOf) is holds else AnyOf(parts)
    if holds:
        return condition
    if isinstance(condition, Compare):
        return Compare(condition.field, condition.type, _FLIPPED[condition.ordering], condition.bound)
    return Not(condition)


def _tests(*conditions: Condition) -> Iterator[_Test]:
    for condition in conditions:
        if isinstance(condition, AllOf | AnyOf):
            yield from _tests(*condition.parts)
        elif isinstance(condition, Not):
            yield from _tests(condition.part)
        else:
            yield condition


def _is_test(condition: Condition) -> bool:
    """Whether a plain condition is a single test or the opposite of one."""
    return not isinstance(condition, AllOf | AnyOf)


def _comparable(value: Any) -> Any:  # noqa: ANN401 - any two of one type compare
    return value - EPOCH if isinstance(value, datetime) else value


def _word(condition: AllOf | AnyOf) -> str:
    return " and " if isinstance(condition, AllOf) else " or "


def _join(word: str, parts: Iterable[str]) -> str:
    """The parts joined by `and` or `or`, with constants folded and repeats left out."""
    neutral, decisive = ("True", "False") if word == " and " else ("False", "True")
    kept = [part for part in dict.fromkeys(parts) if part != neutral]
    if decisive in kept:
        return decisive
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else f"({word.join(kept)})"


def _choose(test: str, then: str, otherwise: str) -> str:
    if test in {"True", "False"}:
        return then if test == "True" else otherwise
    return then if then == otherwise else f"({then} if {test} else {otherwise})"
