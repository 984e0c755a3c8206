"""Lowering: a policy set as rulesets in durable-rules' own JSON, cut into shards that it can bear.

Each way through a policy's decision tree becomes one rule: the checks on the way, and as its name a number that
stands for what it leads to. Exactly one rule fires for each tree, so silence or two voices are a fault and never a
verdict. The rules use nothing of the vendor's language but AND and comparisons of small whole numbers.

    {"007": {"all": [{"m": {"$and": [{"$gte": {"c0": 0}}, {"c0": 1}, {"$lt": {"c3": 2}}]}}]}}

What durable-rules 2.0.28 can't bear, and what is done about it:

- more than 64 matches waiting at once are error 303: at most `MOST_FIRING` trees of a shard are asked on one fact
- 512 tests that begin alike hang its compiler: a shard has at most `MOST_RULES` rules
- 16 ANDs and ORs in a rule are error 113, and an OR whose branches overlap fires twice: a rule has one AND, no OR
- 255 properties are error 302: a shard reads at most `MOST_LINES` lines
- it tells properties apart by a 32-bit hash of their names: these are ours, `c0` to `c199`, and known to differ
- a rule that no property has to be there for fires on the session's own state, too: every rule tests one that is

Policies of different index values exclude each other: many share one shard, behind a guard for that value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from guardrails.core.conditions import Condition
from guardrails.core.index import Group
from guardrails.core.policy import Policy, Verdict
from guardrails.core.policy_set import PolicySet
from guardrails.engine.decision_tree import Fork, Grower, TooComplexError, Tree
from guardrails.engine.lines import ABSENT, WRONG, Line, Lines, Span
from guardrails.engine.ways import Check, Way, guards, ways
from guardrails.errors import PolicyError

__all__ = ["FACT_ID", "RULE_NAME", "Ask", "Lowered", "Plan", "Rule", "Shard", "Then", "Unit", "lower"]

MOST_FIRING = 48
MOST_RULES = 400
MOST_LINES = 200

FACT_ID = "1"
"""The one fact that is ever asserted; it is retracted before the next."""

RULE_NAME = "{:03}"
"""A rule's name is its place among its shard's rules, in three digits: names of one length are cut out quickest."""

MARK = "on"
"""A property that every fact has, for rules that always hold: the session's own state doesn't have it."""


class Then(msgspec.Struct, frozen=True):
    """Not settled yet: the verdict is what `slot` comes to."""

    slot: int


class Rule(msgspec.Struct, frozen=True):
    """What it means that a rule fired: the tree in `slot` came to `outcome`. Slots are those of the unit's group."""

    unit: int
    slot: int
    outcome: Verdict | Then


class Unit(msgspec.Struct, frozen=True):
    """Rules that are asked together. `fact` is a template for the codes of `lines`, in that order: all that they read.

    INVARIANT: where a shard has several, rules of the others read the guard's line first, which keeps them silent.
    """

    fact: str
    lines: tuple[Line, ...]


class Shard(msgspec.Struct, frozen=True):
    """One ruleset, and its units by number."""

    definition: str
    rules: tuple[Rule, ...]
    units: tuple[Unit, ...]


class Ask(msgspec.Struct, frozen=True):
    """Which unit of which shard to ask; it settles `slots` slots."""

    shard: int
    unit: int
    slots: int


class Plan(msgspec.Struct, frozen=True):
    """How a group is answered: the `asks` together settle all its slots, of which `picks` gives each entry its own."""

    asks: tuple[Ask, ...]
    picks: tuple[int, ...]


class Lowered(msgspec.Struct, frozen=True):
    """A policy set, lowered: its shards, and a plan for each group of its index."""

    shards: tuple[Shard, ...]
    plans: tuple[Plan, ...]


def lower(policy_set: PolicySet) -> Lowered:
    """The shards and plans of a policy set. Raises PolicyError where a policy is more than a shard can hold."""
    lowering = _Lowering(policy_set)
    plans = tuple(lowering.plan(group) for group in policy_set.index.groups)
    return Lowered(tuple(writer.write(lowering.lines.lines) for writer in lowering.writers), plans)


UNGUARDED = ABSENT
"""Stands for the code of a unit that has a shard to itself."""

_Guard = tuple[int, int]
"""The number of a line, and the code on it that a unit is for."""

_Given = tuple[int, Span]
"""The number of a line, and the codes on it that are possible for whoever asks."""

_SlotWay = tuple[tuple[Check, ...], int, Verdict | Then]
"""A way's checks, the slot of the tree that it leads through, and its outcome."""


class _Lowering:
    """Places the policies of one set, group by group, into shards."""

    def __init__(self, policy_set: PolicySet) -> None:
        self._policies = policy_set.policies
        self.lines = Lines(formula for policy in self._policies for formula in _formulas(policy))
        self.writers: list[_ShardWriter] = []
        self._grower = Grower(self.lines)
        self._ways: dict[Tree, tuple[Way, ...]] = {}
        self._plans: dict[tuple[object, ...], Plan] = {}

    def plan(self, group: Group) -> Plan:
        """How `group` will be answered, with its policies placed into shards."""
        guard = given = None
        if group.value is not None:
            guard = self.lines.code_of_text(str(group.field), group.value)
            given = (guard[0], (guard[1], guard[1]))
        elif group.field is not None:
            given = (self.lines.text_line(group.field), (ABSENT, WRONG))
        # Values that no policy tells apart have one code, hence one plan.
        key = (guard or group.number, tuple(entry.place for entry in group.entries))
        if key not in self._plans:
            self._plans[key] = self._place(group, given, guard)
        return self._plans[key]

    def _place(self, group: Group, given: _Given | None, guard: _Guard | None) -> Plan:
        """Policies whose trees are alike share a slot; a tree that others go on to has one, too."""
        slots: dict[Tree, int] = {}
        picks = [self._slot(self._policies[entry.place], given, slots) for entry in group.entries]
        trees = [
            [(checks, slot, Then(slots[end]) if isinstance(end, Fork) else end) for checks, end in self._ways[tree]]
            for tree, slot in slots.items()
        ]
        return Plan(tuple(self._add(part, guard) for part in _parts(trees)), tuple(picks))

    def _slot(self, policy: Policy, given: _Given | None, slots: dict[Tree, int]) -> int:
        """The slot of the policy's tree, with slots for all the trees that it goes on to."""
        try:
            root = self._grower.grow(_formulas(policy), given=given)
        except (TooComplexError, RecursionError) as error:
            raise _too_complex(policy) from error
        waiting = [root]
        while waiting:
            tree = waiting.pop()
            if tree in slots:
                continue
            slots[tree] = len(slots)
            if tree not in self._ways:
                self._ways[tree] = ways(tree)
            if not _fits([self._ways[tree]]):
                raise _too_complex(policy)
            waiting += [end for _, end in self._ways[tree] if isinstance(end, Fork)]
        return slots[root]

    def _add(self, part: Sequence[Sequence[_SlotWay]], guard: _Guard | None) -> Ask:
        """Put trees that are asked together into the shard at hand, or into a new one where it can't take them."""
        if not self.writers or not self.writers[-1].takes(part, guard):
            self.writers.append(_ShardWriter(guard))
        return Ask(len(self.writers) - 1, self.writers[-1].add(part, guard), len(part))


def _formulas(policy: Policy) -> tuple[Condition, Condition, Condition]:
    return policy.applies_to, policy.violated, policy.satisfied


def _too_complex(policy: Policy) -> PolicyError:
    return PolicyError(
        f"policy `{policy.id}` is too complex for the rules engine: too many combinations of facts make a difference "
        f"to it; split it into several policies"
    )


def _parts(trees: Sequence[Sequence[_SlotWay]]) -> Iterator[list[Sequence[_SlotWay]]]:
    """The trees, in order, in runs that a shard can hold."""
    part: list[Sequence[_SlotWay]] = []
    for tree in trees:
        if part and not _fits([*part, tree]):
            yield part
            part = []
        part.append(tree)
    if part:
        yield part


def _fits(trees: Sequence[Sequence[Way | _SlotWay]], *, beside: Sequence[_SlotWay] = ()) -> bool:
    """Whether one shard can hold the trees, which are asked together, and `beside` them other rules."""
    rules = [*chain(*trees), *beside]
    # One line is left for a guard.
    return len(trees) <= MOST_FIRING and len(rules) <= MOST_RULES and len(_lines_of(rules)) < MOST_LINES


def _lines_of(rules: Iterable[Way | _SlotWay]) -> set[int]:
    return {line for rule in rules for _, line, _ in rule[0]}


class _ShardWriter:
    """Collects units for one ruleset: a single one, or several that exclude each other by the code of one line."""

    def __init__(self, guard: _Guard | None) -> None:
        self._line = None if guard is None else guard[0]
        self._units: dict[int, list[_SlotWay]] = {}

    def takes(self, trees: Sequence[Sequence[_SlotWay]], guard: _Guard | None) -> bool:
        """Whether there is room for one more unit behind this guard."""
        if guard is None or guard[0] != self._line or guard[1] in self._units:
            return False
        return _fits(trees, beside=[*chain(*self._units.values())])

    def add(self, trees: Sequence[Sequence[_SlotWay]], guard: _Guard | None) -> int:
        """Take a unit, and return its number."""
        self._units[UNGUARDED if guard is None else guard[1]] = [*chain(*trees)]
        return len(self._units) - 1

    def write(self, lines: Sequence[Line]) -> Shard:
        """The ruleset of all units."""
        guarded = {UNGUARDED: ()} if self._line is None else guards(self._line, self._units)
        ways_in = [
            ((*guarded[code], *checks), Rule(unit, slot, outcome))
            for unit, (code, rules) in enumerate(self._units.items())
            for checks, slot, outcome in rules
        ]
        used = sorted({line for checks, _ in ways_in for _, line, _ in checks})
        names = {line: f"c{place}" for place, line in enumerate(used)}
        texts = (
            f'"{RULE_NAME.format(place)}":{_rule_text(checks, names)}' for place, (checks, _) in enumerate(ways_in)
        )
        read: list[set[int]] = [set() for _ in self._units]
        for checks, rule in ways_in:
            read[rule.unit].update(line for _, line, _ in checks)
        return Shard(
            definition=f"{{{','.join(texts)}}}",
            rules=tuple(rule for _, rule in ways_in),
            units=tuple(_unit(sorted(numbers), lines, names) for numbers in read),
        )


def _unit(numbers: Sequence[int], lines: Sequence[Line], names: Mapping[int, str]) -> Unit:
    codes = "".join(f',"{names[number]}":%d' for number in numbers)
    return Unit(f'{{"id":"{FACT_ID}","{MARK}":1{codes}}}', tuple(lines[number] for number in numbers))


def _rule_text(checks: Sequence[Check], names: Mapping[int, str]) -> str:
    tests = [_check_text(check, names) for check in checks] or [f'{{"{MARK}":1}}']
    condition = tests[0] if len(tests) == 1 else f'{{"$and":[{",".join(tests)}]}}'
    return f'{{"all":[{{"m":{condition}}}]}}'


def _check_text(check: Check, names: Mapping[int, str]) -> str:
    operator, line, code = check
    test = f'{{"{names[line]}":{code}}}'
    return test if operator == "eq" else f'{{"${operator}":{test}}}'
