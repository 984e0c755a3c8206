"""durable-rules as its README drives it: `ruleset`, `when_all`, and `post` or `assert_fact`; no hazard closed.

It can hang, crash or swallow its process, so it lives in one of its own, which is given up when it stays silent.
A posted event is consumed by the first rule that fires, so `post` can't name every violated policy; a fact can, and
has to be retracted afterwards, or it would take part in the next decision.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import operator
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Literal

from benchmarks.engines.contender import NoAnswerError, timed
from benchmarks.engines.peers.translation import Test, alternatives, denial, flat_facts, flat_name
from benchmarks.engines.workload import policy_set as workload_policy_set
from guardrails.core.conditions import Compare, Contains, Exists, OneOf, Ordering
from guardrails.core.facts import Facts
from guardrails.core.policy_set import PolicySet

__all__ = ["DurablePlain"]

Way = Literal["post", "assert_fact"]

PATIENCE_SECONDS = 10
"""How long it may stay silent: a thousand times what it needs where it answers at all."""

COMPARISONS = {Ordering.LT: operator.lt, Ordering.LTE: operator.le, Ordering.GT: operator.gt, Ordering.GTE: operator.ge}
OPPOSITES = {
    Ordering.LT: operator.ge,
    Ordering.LTE: operator.gt,
    Ordering.GT: operator.le,
    Ordering.GTE: operator.lt,
}


class DurablePlain:
    """durable-rules in a process of its own."""

    def __init__(self, policy_set: PolicySet, way: Way) -> None:
        self.name = f"durable-rules, plain {way}"
        self._size = len(policy_set.policies)
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._size, way), daemon=True)
        self._process.start()
        theirs.close()

    def load(self, candidates: Sequence[Facts]) -> None:
        """Wait until the rules are built, then send candidates over. Raises NoAnswerError."""
        self._receive()
        self._call("load", [flat_facts(facts) for facts in candidates])

    def answers(self) -> list[frozenset[str]]:
        """Have all candidates decided."""
        return self._call("answers", None)  # type: ignore[no-any-return]

    def seconds(self, window: slice) -> float:
        """Have it measure itself."""
        return self._call("seconds", window)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the process, which can't be asked to end itself."""
        self._process.kill()
        self._process.join()

    def _call(self, name: str, argument: Any) -> Any:
        with contextlib.suppress(ConnectionError):  # receiving says how it ended
            self._connection.send((name, argument))
        return self._receive()

    def _receive(self) -> Any:
        if not self._connection.poll(PATIENCE_SECONDS):
            raise NoAnswerError(f"no answer in {PATIENCE_SECONDS} s")
        try:
            return self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise NoAnswerError(f"its process ended with {self._process.exitcode}") from None


def _serve(connection: Connection, size: int, way: Way) -> None:
    """Build the rules, say so, and answer calls for ever."""
    policy_set = workload_policy_set(size)
    ask = _build(policy_set, way)
    ids = [policy.id for policy in policy_set.policies]
    prepared: list[dict[str, object]] = []
    connection.send(None)
    while True:
        name, argument = connection.recv()
        if name == "load":
            prepared = argument
            connection.send(None)
        elif name == "answers":
            connection.send([frozenset(ids[place] for place in ask(facts)) for facts in prepared])
        else:
            connection.send(timed(ask, prepared[argument]))


def _build(policy_set: PolicySet, way: Way) -> Callable[[dict[str, object]], list[int]]:
    # Imported here, so that the parent process never loads the C extension for it.
    from durable import engine, lang  # noqa: PLC0415

    fired: list[int] = []
    with lang.ruleset("policies"):
        for place, policy in enumerate(policy_set.policies):
            expression = functools.reduce(operator.or_, map(_conjunction, alternatives(denial(policy))))
            lang.when_all(expression)(_noting(fired, place))

    def post(facts: dict[str, object]) -> list[int]:
        fired.clear()
        try:
            lang.post("policies", facts)
        except engine.MessageNotHandledException:
            return []
        return fired.copy()

    def assert_fact(facts: dict[str, object]) -> list[int]:
        fired.clear()
        try:
            lang.assert_fact("policies", facts)
        except engine.MessageNotHandledException:
            return []
        lang.retract_fact("policies", facts)
        return fired.copy()

    lang.get_host()
    return post if way == "post" else assert_fact


def _noting(fired: list[int], place: int) -> Callable[[Any], None]:
    def note(_closure: Any) -> None:
        fired.append(place)

    return note


def _conjunction(tests: tuple[Test, ...]) -> Any:
    return functools.reduce(operator.and_, map(_expression, tests))


def _expression(test: Test) -> Any:
    from durable.lang import item, m  # noqa: PLC0415

    fact = getattr(m, flat_name(test.condition.field))  # type: ignore[union-attr]
    match test.condition:
        case Exists():
            return +fact if test.holds else -fact
        case OneOf(values=values) if test.holds:
            return functools.reduce(operator.or_, [fact == value for value in values])
        case OneOf(values=values):
            return functools.reduce(operator.and_, [fact != value for value in values])
        case Compare(ordering=ordering, bound=bound):
            return (COMPARISONS if test.holds else OPPOSITES)[ordering](fact, bound)
        case Contains(value=value):
            return fact.anyItem(item == value) if test.holds else fact.allItems(item != value)
        case _:
            raise NotImplementedError(f"the workload has no {test.condition}")
