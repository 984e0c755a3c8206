"""Conditions as authors write them -> the eight nodes of `core.conditions`, or every problem with its place.

A mapping is AND; `all`, `any` and `not` nest. A test is a scalar (equals), a list (in), or a mapping of operators,
all of which must hold:

    {content.class: [sponsored, affiliate], attributes.score: {gte: 3, lt: 9}, not: {channel: sms}}

What a field can be compared with follows from its type in the vocabulary; an attribute has the type of what it is
compared with. Where there is a problem, TRUE stands in its place, so that all others are found too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

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
    Operand,
    Ordering,
    fields_of,
)
from guardrails.core.facts import VOCABULARY, Field
from guardrails.policyfile.contradictions import first_contradiction
from guardrails.policyfile.document import Path, Reporter
from guardrails.policyfile.problems import did_you_mean, quote
from guardrails.policyfile.timestamps import parse_timestamp

__all__ = [
    "ATTRIBUTE_PATTERN",
    "DEEPEST",
    "LONGEST_LIST",
    "OPERATORS_BY_TYPE",
    "SHARED_OPERATORS",
    "parse_condition",
]

DEEPEST = 8
"""How deep `all`, `any` and `not` nest at most, and LONGEST_LIST how much a list holds: what the engines can take."""

LONGEST_LIST = 100

ATTRIBUTE_PATTERN = r"attributes(\.[^.]{1,100}){1,4}"
"""The names of attributes, as `core.candidate` lets them in."""

SHARED_OPERATORS = ("eq", "ne", "in", "not_in", "exists")
_ORDERING_OPERATORS = (*SHARED_OPERATORS, "lt", "lte", "gt", "gte", "between")
OPERATORS_BY_TYPE: Mapping[FactType, tuple[str, ...]] = {
    FactType.STRING: (*SHARED_OPERATORS, "matches"),
    FactType.NUMBER: _ORDERING_OPERATORS,
    FactType.TIMESTAMP: _ORDERING_OPERATORS,
    FactType.BOOLEAN: SHARED_OPERATORS,
    FactType.STRINGS: ("contains", "contains_any", "contains_all", "exists"),
}

_TYPE_WORDS = {
    FactType.STRING: "text",
    FactType.NUMBER: "a number",
    FactType.BOOLEAN: "true or false",
    FactType.TIMESTAMP: "a timestamp",
    FactType.STRINGS: "a list of texts",
}

_Conjunct = tuple[Condition, Path]
"""One part of an AND, and where it is written."""


def parse_condition(value: object, path: Path, report: Reporter) -> Condition:
    """The condition written at `path`; problems go to `report`."""
    return _Parser(report).condition(value, path, depth=1)


class _Test:
    """The field that a test is about. `type` is None for an attribute: the operand says it."""

    def __init__(self, name: str, entry: Field | None) -> None:
        self.name = name
        self.type = None if entry is None else entry.type
        self.values = () if entry is None else entry.values
        self.form = "" if entry is None else entry.form
        self.example = "" if entry is None else entry.example


class _Parser:
    def __init__(self, report: Reporter) -> None:
        self._report = report

    def condition(self, value: object, path: Path, *, depth: int) -> Condition:
        conjuncts = self._conjuncts(value, path, depth)
        parts = tuple(condition for condition, _ in conjuncts)
        place = first_contradiction(parts)
        if place is not None:
            field = next(fields_of(parts[place]))
            message = f"this test of `{field}` can never hold together with what else must"
            self._report.problem("contradiction", message, conjuncts[place][1])
        return parts[0] if len(parts) == 1 else AllOf(parts)

    def _conjuncts(self, value: object, path: Path, depth: int) -> list[_Conjunct]:
        """The parts of the AND that a mapping is, those of a nested `all` among them."""
        if not isinstance(value, dict):
            self._report.problem("wrong-type", f"a condition is a mapping, not {quote(value)}", path)
            return []
        if not value:
            hint = "a policy without `applies_to` applies to everything" if path[-1] == "applies_to" else ""
            self._report.problem("empty-condition", "the condition is empty", path, hint)
        if depth > DEEPEST:
            self._report.problem("too-deep", f"conditions are nested deeper than {DEEPEST} levels", path)
            return []
        found: list[_Conjunct] = []
        for key, test in value.items():
            here = (*path, key)
            if key == "all":
                for place, part in enumerate(self._nested(test, here)):
                    found += self._conjuncts(part, (*here, place), depth + 1)
            elif key == "any":
                found.append((self._any(test, here, depth), here))
            elif key == "not":
                found.append((Not(self.condition(test, here, depth=depth + 1)), here))
            else:
                found += self._field(key, test, here)
        return found

    def _any(self, value: object, path: Path, depth: int) -> Condition:
        parts = [
            self.condition(part, (*path, place), depth=depth + 1)
            for place, part in enumerate(self._nested(value, path))
        ]
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _nested(self, value: object, path: Path) -> Sequence[object]:
        return self._list(value, path, "a list of conditions")

    def _list(self, value: object, path: Path, what: str) -> Sequence[object]:
        """The list at `path`, empty where it is none that can stand in a condition."""
        if not isinstance(value, list):
            self._report.problem("wrong-type", f"{quote(path[-1])} takes {what}, not {quote(value)}", path)
        elif not value:
            self._report.problem("empty-condition", "the list is empty", path)
        elif len(value) > LONGEST_LIST:
            message = f"the list has {len(value)} items, at most {LONGEST_LIST} are allowed"
            self._report.problem("out-of-bounds", message, path)
        else:
            return value
        return ()

    def _field(self, name: str, value: object, path: Path) -> list[_Conjunct]:
        """The tests of one field."""
        entry = VOCABULARY.get(name)
        if entry is None and not re.fullmatch(ATTRIBUTE_PATTERN, name):
            self._unknown_field(name, path)
            return []
        test = _Test(name, entry)
        if isinstance(value, dict):
            return self._operators(test, value, path)
        operator = "in" if isinstance(value, list) else "eq"
        if not self._fits(test, operator, path, is_written=False):
            return []
        return [(condition, path) for condition in _OPERATORS[operator](self, test, value, path)]

    def _unknown_field(self, name: str, path: Path) -> None:
        hint = did_you_mean(name, (*VOCABULARY, "all", "any", "not"))
        if name.startswith("attributes"):
            hint = "attributes are named `attributes.` and one to four names, joined by dots"
        elif name in _OPERATORS:
            hint = f"an operator stands under a field: `content.topic: {{{name}: ...}}`"
        self._report.key_problem("unknown-field", f"unknown field {quote(name)}", path, hint)

    def _operators(self, test: _Test, value: Mapping[str, object], path: Path) -> list[_Conjunct]:
        if not value:
            self._report.problem("empty-condition", f"the test of {quote(test.name)} is empty", path)
        found: list[_Conjunct] = []
        for operator, operand in value.items():
            here = (*path, operator)
            if operator not in _OPERATORS:
                hint = did_you_mean(operator, _OPERATORS) or f"there are {_listed(_operators_for(test))}"
                self._report.key_problem("unknown-operator", f"unknown operator {quote(operator)}", here, hint)
            elif self._fits(test, operator, here, is_written=True):
                found += ((condition, here) for condition in _OPERATORS[operator](self, test, operand, here))
        return found

    def _fits(self, test: _Test, operator: str, path: Path, *, is_written: bool) -> bool:
        """Whether `operator` suits the type of the field; attributes suit every operator."""
        if test.type is None or operator in _operators_for(test):
            return True
        message = f"`{test.name}` is {_TYPE_WORDS[test.type]}, which `{operator}` can't test"
        report = self._report.key_problem if is_written else self._report.problem
        report("wrong-operator", message, path, f"use one of {_listed(_operators_for(test))}")
        return False

    # Each operator: the parts of an AND that it stands for, none where its operand is a problem.

    def eq(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        operand = self._operand(test, value, path)
        return () if operand is None else (OneOf(test.name, operand[0], (operand[1],)),)

    def ne(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        return tuple(Not(part) for part in self.eq(test, value, path))

    def in_(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        items = self._list(value, path, "a list")
        operands = [self._operand(test, item, (*path, place)) for place, item in enumerate(items)]
        known = [operand for operand in operands if operand is not None]
        if not known or len(known) < len(operands):
            return ()
        kind = known[0][0]
        for place, operand in enumerate(known):
            if operand[0] is not kind:
                message = (
                    f"{quote(items[place])} is {_TYPE_WORDS[operand[0]]}, what stands before it is {_TYPE_WORDS[kind]}"
                )
                self._report.problem("mixed-types", message, (*path, place))
                return ()
            if operand in known[:place]:
                self._report.problem(
                    "duplicate-item", f"{quote(items[place])} stands in the list already", (*path, place)
                )
        return (OneOf(test.name, kind, tuple(value for _, value in known)),)

    def not_in(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        return tuple(Not(part) for part in self.in_(test, value, path))

    def exists(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        if not isinstance(value, bool):
            self._report.problem("wrong-type", f"`exists` takes true or false, not {quote(value)}", path)
            return ()
        return (Exists(test.name),) if value else (Not(Exists(test.name)),)

    def matches(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        text = self._text(value, path)
        return () if text is None else (Matches(test.name, text),)

    def contains(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        text = self._text(value, path)
        return () if text is None else (Contains(test.name, text),)

    def contains_all(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        items = self._list(value, path, "a list of texts")
        found: list[Condition] = []
        for place, item in enumerate(items):
            text = self._text(item, (*path, place))
            if item in items[:place]:
                self._report.problem("duplicate-item", f"{quote(item)} stands in the list already", (*path, place))
            elif text is not None:
                found.append(Contains(test.name, text))
        return tuple(found)

    def contains_any(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        parts = self.contains_all(test, value, path)
        return parts if len(parts) < 2 else (AnyOf(parts),)  # noqa: PLR2004 - an OR of one is that one

    def between(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - two bounds
            self._report.problem("wrong-type", f"`between` takes a list of two bounds, not {quote(value)}", path)
            return ()
        low = self._ordered(test, Ordering.GTE, value[0], (*path, 0))
        high = self._ordered(test, Ordering.LT, value[1], (*path, 1))
        if low and high and first_contradiction((*low, *high)) is not None:
            message = f"nothing lies between {quote(value[0])} and {quote(value[1])}"
            self._report.problem(
                "contradiction", message, path, "the lower bound comes first, the upper one is excluded"
            )
            return ()
        return (*low, *high)

    def lt(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        return self._ordered(test, Ordering.LT, value, path)

    def lte(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        return self._ordered(test, Ordering.LTE, value, path)

    def gt(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        return self._ordered(test, Ordering.GT, value, path)

    def gte(self, test: _Test, value: object, path: Path) -> tuple[Condition, ...]:
        return self._ordered(test, Ordering.GTE, value, path)

    def _ordered(self, test: _Test, ordering: Ordering, value: object, path: Path) -> tuple[Compare, ...]:
        operand = self._operand(test, value, path)
        if operand is None:
            return ()
        kind, bound = operand
        if isinstance(bound, str | bool):  # only an attribute gets here
            message = f"{quote(value)} has no order: only numbers and timestamps have"
            self._report.problem("wrong-type", message, path)
            return ()
        return (Compare(test.name, kind, ordering, bound),)

    # Operands.

    def _text(self, value: object, path: Path) -> str | None:
        if isinstance(value, str):
            return value
        self._wrong_operand("text", value, path)
        return None

    def _operand(self, test: _Test, value: object, path: Path) -> tuple[FactType, Operand] | None:
        """What `value` says for the field: its type and itself. A timestamp is written as text."""
        written = _type_of(value)
        expected = test.type or written
        if written is None or expected is None:
            self._wrong_operand(_TYPE_WORDS[expected] if expected else "one value", value, path)
        elif expected is FactType.TIMESTAMP and isinstance(value, str):
            return self._timestamp(value, path)
        elif written is not expected:
            self._wrong_operand(f"{_TYPE_WORDS[expected]} for `{test.name}`", value, path)
        elif test.values and value not in test.values:
            hint = did_you_mean(value, test.values) or f"it is one of {_listed(test.values)}"
            self._report.problem("unknown-value", f"`{test.name}` is never {quote(value)}", path, hint)
        elif test.form and isinstance(value, str) and not re.fullmatch(test.form, value):
            hint = f"it is written like `{test.example}`"
            self._report.problem("unknown-value", f"`{test.name}` is never {quote(value)}", path, hint)
        else:
            return expected, value  # type: ignore[return-value] # `written` is the type of a scalar
        return None

    def _timestamp(self, text: str, path: Path) -> tuple[FactType, Operand] | None:
        try:
            return FactType.TIMESTAMP, parse_timestamp(text)
        except ValueError:
            hint = "write it like `2026-12-01T12:00:00Z`"
            self._report.problem("bad-timestamp", f"{quote(text)} is not a timestamp with an offset", path, hint)
            return None

    def _wrong_operand(self, wanted: str, value: object, path: Path) -> None:
        if value is None:
            self._report.problem(
                "null-operand", "null can't be compared", path, "use `exists: false` for what is missing"
            )
            return
        hint = "put it into quotes" if wanted.startswith("text") and not isinstance(value, dict | list) else ""
        self._report.problem("wrong-type", f"{wanted} is needed here, not {quote(value)}", path, hint)


def _operators_for(test: _Test) -> Iterable[str]:
    return _OPERATORS if test.type is None else OPERATORS_BY_TYPE[test.type]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _type_of(value: object) -> FactType | None:
    """The type of a scalar as it is written, None for null, lists and mappings."""
    if isinstance(value, bool):
        return FactType.BOOLEAN
    if isinstance(value, str):
        return FactType.STRING
    return FactType.NUMBER if isinstance(value, int | float) else None


_Operator = Callable[[_Parser, _Test, object, Path], tuple[Condition, ...]]

_OPERATORS: Mapping[str, _Operator] = {
    "eq": _Parser.eq,
    "ne": _Parser.ne,
    "lt": _Parser.lt,
    "lte": _Parser.lte,
    "gt": _Parser.gt,
    "gte": _Parser.gte,
    "in": _Parser.in_,
    "not_in": _Parser.not_in,
    "matches": _Parser.matches,
    "exists": _Parser.exists,
    "contains": _Parser.contains,
    "contains_any": _Parser.contains_any,
    "contains_all": _Parser.contains_all,
    "between": _Parser.between,
}
