"""What conditions mean, test by test; and what a trace tells of them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import msgspec
import pytest

from guardrails.core.conditions import (
    FALSE,
    TRUE,
    AllOf,
    AnyOf,
    Compare,
    Contains,
    Exists,
    FactType,
    Matches,
    Not,
    OneOf,
    Ordering,
)
from guardrails.core.policy import Policy, Reason, Verdict
from guardrails.core.reference import MISSING, PolicyTrace, TraceNode, evaluate, policy_trace, trace, verdict

STRING, NUMBER, BOOLEAN, TIMESTAMP = FactType.STRING, FactType.NUMBER, FactType.BOOLEAN, FactType.TIMESTAMP
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNKNOWN = OneOf("nowhere", STRING, ("x",))
BERLIN = ZoneInfo("Europe/Berlin")


class Nowhere(tzinfo):
    """A zone that does not say how far it is from UTC: what carries it is as good as naive."""

    def utcoffset(self, when):
        return None

    def dst(self, when):
        return None

    def tzname(self, when):
        return None


def text(*values):
    return OneOf("f", STRING, values)


def number(*values):
    return OneOf("f", NUMBER, values)


def compare(ordering, bound, kind=NUMBER):
    return Compare("f", kind, ordering, bound)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (TRUE, True),
        (FALSE, False),
        (UNKNOWN, None),
        (AllOf((TRUE, TRUE)), True),
        (AllOf((TRUE, UNKNOWN)), None),
        (AllOf((UNKNOWN, FALSE)), False),
        (AllOf((UNKNOWN, UNKNOWN)), None),
        (AnyOf((FALSE, FALSE)), False),
        (AnyOf((FALSE, UNKNOWN)), None),
        (AnyOf((UNKNOWN, TRUE)), True),
        (AnyOf((UNKNOWN, UNKNOWN)), None),
        (Not(TRUE), False),
        (Not(FALSE), True),
        (Not(UNKNOWN), None),
        (Not(Not(UNKNOWN)), None),
    ],
)
def test_combinations_follow_kleene(condition, expected):
    assert expected is evaluate(condition, {})


@pytest.mark.parametrize(
    ("condition", "fact", "expected"),
    [
        (text("a", "b"), "b", True),
        (text("a", "b"), "B", False),
        (text(), "a", False),
        (text("3"), 3, None),
        (number(3), "3", None),
        (number(3), 3.0, True),
        (number(0), -0.0, True),
        (number(1), True, None),
        (number(2**53), 2**53, True),
        (number(2**53), float(2**53), True),
        (number(2**53), 2**53 + 1, None),
        (number(0), math.nan, None),
        (compare(Ordering.LT, 0), -math.inf, None),
        (compare(Ordering.LT, 0), 10**400, None),
        (compare(Ordering.LT, 3), 2.9999, True),
        (compare(Ordering.LT, 3), 3, False),
        (compare(Ordering.LTE, 3), 3, True),
        (compare(Ordering.GT, 3), 3, False),
        (compare(Ordering.GT, 0), 5e-324, True),
        (compare(Ordering.GTE, 3), 3.0, True),
        (compare(Ordering.GTE, 3), "3", None),
        (OneOf("f", BOOLEAN, (True,)), True, True),
        (OneOf("f", BOOLEAN, (True,)), False, False),
        (OneOf("f", BOOLEAN, (True,)), 1, None),
        (Contains("f", "a"), ("b", "a"), True),
        (Contains("f", "a"), (), False),
        (Contains("f", "a"), ("a", 3), None),
        (Contains("f", "a"), "a", None),
        (Matches("f", "c-*"), "c-7", True),
        (Matches("f", "c-*"), "d-7", False),
        (Matches("f", "*"), 7, None),
        (Exists("f"), "", True),
        (Exists("f"), False, True),
        (Exists("f"), None, False),
        (OneOf("f", TIMESTAMP, (NOON,)), NOON.astimezone(timezone(timedelta(hours=5))), True),
        (compare(Ordering.LT, NOON, TIMESTAMP), NOON - timedelta(microseconds=1), True),
        (compare(Ordering.LT, NOON, TIMESTAMP), NOON.replace(tzinfo=None), None),
        (compare(Ordering.LT, NOON, TIMESTAMP), NOON.replace(tzinfo=Nowhere()), None),
        (compare(Ordering.LT, NOON, TIMESTAMP), "2026-01-01T00:00:00Z", None),
    ],
)
def test_a_test_of_a_fact(condition, fact, expected):
    assert expected is evaluate(condition, {"f": fact})


@pytest.mark.parametrize(
    "condition", [text("a"), number(1), compare(Ordering.LT, 1), Contains("f", "a"), Matches("f", "*")]
)
def test_a_missing_fact_makes_every_test_unknown_but_exists(condition):
    assert evaluate(condition, {}) is None
    assert evaluate(condition, {"f": None}) is None
    assert evaluate(Exists("f"), {}) is False


def test_instants_compare_by_what_passes_and_not_by_the_clock_on_the_wall():
    first, second = (datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1))
    assert evaluate(compare(Ordering.LT, second, TIMESTAMP), {"f": first}) is True
    assert evaluate(OneOf("f", TIMESTAMP, (second,)), {"f": first}) is False


def policy(applies_to, violated, satisfied):
    return Policy(
        ordinal=0,
        id="p",
        kind="rule",
        mode="enforce",
        applies_to=applies_to,
        violated=violated,
        satisfied=satisfied,
        reason=Reason("rule", ""),
    )


@pytest.mark.parametrize(
    ("applies_to", "violated", "satisfied", "expected"),
    [
        (FALSE, TRUE, TRUE, Verdict.NOT_APPLICABLE),
        (UNKNOWN, TRUE, TRUE, Verdict.UNDETERMINED),
        (UNKNOWN, FALSE, TRUE, Verdict.UNDETERMINED),
        (TRUE, TRUE, TRUE, Verdict.VIOLATED),
        (TRUE, FALSE, TRUE, Verdict.SATISFIED),
        (TRUE, UNKNOWN, TRUE, Verdict.SATISFIED),
        (TRUE, FALSE, FALSE, Verdict.UNDETERMINED),
        (TRUE, FALSE, UNKNOWN, Verdict.UNDETERMINED),
        (TRUE, UNKNOWN, UNKNOWN, Verdict.UNDETERMINED),
    ],
)
def test_the_verdict_of_a_policy(applies_to, violated, satisfied, expected):
    assert expected is verdict(policy(applies_to, violated, satisfied), {})


@pytest.mark.parametrize(
    ("condition", "facts", "expected"),
    [
        (text("push"), {"f": "sms"}, TraceNode("f = push", False, '"sms"')),
        (text("sponsored", "affiliate"), {}, TraceNode("f in [sponsored, affiliate]", None, MISSING)),
        (text("two words", "no", "3"), {"f": 3}, TraceNode('f in ["two words", "no", "3"]', None, "3")),
        (text("missing"), {"f": "missing"}, TraceNode("f = missing", True, '"missing"')),
        (compare(Ordering.GT, 5000), {"f": 6000}, TraceNode("f > 5000", True, "6000")),
        (compare(Ordering.LTE, 0.5), {"f": 1}, TraceNode("f <= 0.5", False, "1")),
        (
            compare(Ordering.LT, NOON, TIMESTAMP),
            {"f": NOON},
            TraceNode(f"f < {NOON.isoformat()}", False, NOON.isoformat()),
        ),
        (OneOf("f", BOOLEAN, (True,)), {"f": True}, TraceNode("f = true", True, "true")),
        (Contains("f", "promotional"), {"f": ("a",)}, TraceNode("f contains promotional", False, '["a"]')),
        (Matches("f", "c-*"), {"f": "ä"}, TraceNode('f matches "c-*"', False, '"ä"')),
        (Exists("f"), {"f": b"?"}, TraceNode("f exists", True, "\"b'?'\"")),
        (TRUE, {}, TraceNode("always", True)),
        (FALSE, {}, TraceNode("never", False)),
    ],
)
def test_a_trace_says_test_result_and_fact_in_the_authors_words(condition, facts, expected):
    assert expected == trace(condition, facts)


def test_a_trace_keeps_every_part_even_where_one_has_decided():
    facts = {"f": "push"}
    assert trace(AnyOf((text("push"), Not(UNKNOWN), AllOf((FALSE,)))), facts) == TraceNode(
        "any",
        True,
        children=(
            TraceNode("f = push", True, '"push"'),
            TraceNode("not", None, children=(TraceNode("nowhere = x", None, MISSING),)),
            TraceNode("all", False, children=(TraceNode("never", False),)),
        ),
    )


def test_a_policys_trace_goes_out_as_json_and_comes_back():
    told = policy_trace(policy(TRUE, compare(Ordering.GT, 3), Not(compare(Ordering.GT, 3))), {"f": 4})
    assert told.verdict is Verdict.VIOLATED
    assert (told.applies_to.text, told.violated.result, told.satisfied.result) == ("always", True, False)
    assert told == msgspec.json.decode(msgspec.json.encode(told), type=PolicyTrace)
