"""Rego by `celine-regorus` (Rust): one partial set of the violated ids, by its bytecode machine or its interpreter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from regorus.regorus import Engine, Program, Rvm

from benchmarks.engines.contender import InProcess
from benchmarks.engines.peers.translation import Test, alternatives, denial, flat_facts, flat_name
from guardrails.core.conditions import Compare, Contains, Exists, OneOf, Ordering
from guardrails.core.policy import Policy
from guardrails.core.policy_set import PolicySet

__all__ = ["contender", "interpreted_contender"]

NAME = "Rego, bytecode (celine-regorus)"
INTERPRETED_NAME = "Rego, dict input (celine-regorus)"
RULE = "data.guardrails.violated"
SIGNS = {Ordering.LT: "<", Ordering.LTE: "<=", Ordering.GT: ">", Ordering.GTE: ">="}


def contender(policy_set: PolicySet) -> InProcess:
    """The bytecode machine, which takes and gives JSON text."""
    machine = Rvm()
    machine.load_program(Program.compile_from_modules("{}", [("guardrails.rego", _module(policy_set))], [RULE]))
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(list[str]).decode
    set_input, execute = machine.set_input_json, machine.execute

    def ask(facts: dict[str, object]) -> list[str]:
        set_input(encode(facts).decode())
        return decode(execute())

    return InProcess(NAME, flat_facts, ask, lambda _facts, ids: frozenset(ids))


def interpreted_contender(policy_set: PolicySet) -> InProcess:
    """The interpreter, which takes a dict: here for what it makes of `False`."""
    engine = Engine()
    engine.add_policy("guardrails.rego", _module(policy_set))

    def ask(facts: dict[str, object]) -> Any:
        engine.set_input(facts)
        return engine.eval_rule(RULE)

    return InProcess(INTERPRETED_NAME, flat_facts, ask, lambda _facts, ids: frozenset(ids))


def _module(policy_set: PolicySet) -> str:
    rules = [rule for policy in policy_set.policies for rule in _rules(policy)]
    return "\n".join(["package guardrails", "import rego.v1", *rules])


def _rules(policy: Policy) -> Iterator[str]:
    for tests in alternatives(denial(policy)):
        yield f"violated contains {json.dumps(policy.id)} if {{ {'; '.join(map(_text, tests))} }}"


def _text(test: Test) -> str:
    text = _positive(test)
    return text if test.holds else f"not {text}"


def _positive(test: Test) -> str:
    match test.condition:
        case Exists(field=field):
            return f"input.{flat_name(field)}"
        case OneOf(field=field, values=(value,)):
            return f"input.{flat_name(field)} == {json.dumps(value)}"
        case OneOf(field=field, values=values):
            return f"input.{flat_name(field)} in {{{', '.join(map(json.dumps, values))}}}"
        case Compare(field=field, ordering=ordering, bound=bound):
            return f"input.{flat_name(field)} {SIGNS[ordering]} {bound}"
        case Contains(field=field, value=value):
            return f"{json.dumps(value)} in input.{flat_name(field)}"
        case _:
            raise NotImplementedError(f"the workload has no {test.condition}")
