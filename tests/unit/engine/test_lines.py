"""Lines: every fact as a small whole number, and every test as spans of such numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from guardrails.core.conditions import AllOf, Contains, Exists, FactType, Matches, Not, OneOf
from guardrails.core.reference import evaluate
from guardrails.engine.lines import ABSENT, WRONG, Lines, Literal, encoder
from property import strategies
from unit.engine.making import above, number, text

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def code(lines, test, fact):
    (found,) = encoder([lines.lines[lines.literal(test).line]])({test.field: fact})
    return found


def answer(literal: Literal, code: int):
    if code < literal.known_from:
        return None
    return any(low <= code <= high for low, high in literal.spans)


@pytest.mark.parametrize("seed", range(40))
def test_a_test_on_codes_comes_to_what_the_test_on_facts_does(seed):
    random = Random(seed)
    tests = [strategies.test_of_a_fact(random) for _ in range(30)]
    lines = Lines(tests)
    for _ in range(60):
        facts = strategies.facts(random)
        for test in tests:
            literal = lines.literal(test)
            line = lines.lines[literal.line]
            (found,) = encoder([line])(facts)
            assert ABSENT <= found <= line.top
            assert evaluate(test, facts) is answer(literal, found), (test, facts)


def test_texts_that_no_test_tells_apart_share_a_code():
    lines = Lines([text("channel", "push", "email", "sms"), text("channel", "email")])
    test = text("channel", "email")
    codes = {name: code(lines, test, name) for name in ("push", "email", "sms", "voice")}
    assert codes["push"] == codes["sms"]
    assert len({codes["push"], codes["email"], codes["voice"]}) == 3


def test_numbers_between_two_bounds_share_a_code():
    test = above("recipient.age", 18)
    lines = Lines([AllOf((test, Not(number("recipient.age", 65))))])
    assert [code(lines, test, age) for age in (-5, 17, 18, 18.5, 64, 65, 2**53)] == [0, 0, 1, 2, 2, 3, 4]


def test_instants_are_told_apart_to_the_microsecond_whatever_their_zone():
    test = OneOf("context.at", FactType.TIMESTAMP, (NOON,))
    lines = Lines([test])
    step = timedelta(microseconds=1)
    assert [code(lines, test, instant) for instant in (NOON - step, NOON, NOON + step)] == [0, 1, 2]


@pytest.mark.parametrize(
    "test",
    [
        text("f", "a"),
        number("f", 1),
        OneOf("f", FactType.BOOLEAN, (True,)),
        OneOf("f", FactType.TIMESTAMP, (NOON,)),
        Contains("f", "a"),
        Matches("f", "a"),
    ],
)
def test_missing_and_wrongly_typed_facts_have_codes_of_their_own(test):
    lines = Lines([test])
    assert code(lines, test, None) == ABSENT
    assert code(lines, test, {"a": 1}) == WRONG
    assert encoder(lines.lines)({}) == (ABSENT,)


def test_three_is_not_the_text_three_and_true_is_not_one():
    tests = [text("f", "3", "true"), number("f", 3, 1), OneOf("f", FactType.BOOLEAN, (True,))]
    lines = Lines(tests)
    assert [[code(lines, test, fact) > 0 for test in tests] for fact in ("3", 3, True, 1, "true")] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [False, True, False],
        [True, False, False],
    ]


def test_whether_a_fact_exists_is_read_off_a_line_that_is_there_anyway():
    assert len(Lines([Exists("f"), text("f", "a")]).lines) == 1
    assert len(Lines([Exists("f")]).lines) == 1
