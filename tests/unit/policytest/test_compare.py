from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from guardrails.core.decision import Decision, Obligation, ReasonGiven
from guardrails.policytest.cases import Expectation
from guardrails.policytest.compare import GOT, mismatches
from guardrails.policytest.schema import policy_test_schema
from guardrails.policytest.times import parse_instant

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DENIED = Decision(
    decision_id="d-1",
    candidate_id="c-1",
    effect="deny",
    reasons=(
        ReasonGiven(code="consent.missing", policy="opt-in", message=""),
        ReasonGiven(code="policy.none_applies", policy=None, message=""),
    ),
    obligations=(Obligation("disclose", "say-who-pays"),),
    monitored=(ReasonGiven(code="quiet_hours", policy="sleep", message=""),),
    retry_at=NOON,
    blocked_by=None,
    lane="monetized",
    policy_revision="sha256:0",
    evaluated_at=NOON,
)


def unmet(decision: Decision = DENIED, **wanted: object) -> list[tuple[str, str, str, int]]:
    lines = {name: number for number, name in enumerate(wanted, start=1)}
    expectation = Expectation(line=1, wanted=wanted, lines=lines)
    return [(each.name, each.wanted, each.got, each.line) for each in mismatches(expectation, decision)]


def test_what_is_not_expected_is_not_compared():
    assert unmet() == []


def test_what_is_as_expected_is_no_mismatch():
    assert (
        unmet(
            effect="deny",
            reasons=["consent.missing", "policy.none_applies"],
            policies=["opt-in", None],
            monitored=["quiet_hours"],
            obligations=["disclose"],
            retry_at=NOON,
            blocked_by=None,
        )
        == []
    )


@pytest.mark.parametrize(
    ("name", "wanted", "shown", "got"),
    [
        ("effect", "allow", "allow", "deny"),
        ("reasons", [], "[]", "[consent.missing, policy.none_applies]"),
        (
            "reasons",
            ["policy.none_applies", "consent.missing"],
            "[policy.none_applies, consent.missing]",
            "[consent.missing, policy.none_applies]",
        ),
        ("policies", ["opt-in"], "[opt-in]", "[opt-in, null]"),
        ("monitored", ["x"], "[x]", "[quiet_hours]"),
        ("obligations", [], "[]", "[disclose]"),
        ("retry_at", None, "null", "2026-12-01T12:00:00+00:00"),
        ("blocked_by", "opt-in", "opt-in", "null"),
        (
            "retry_at",
            parse_instant("2026-12-01T14:00 Europe/Berlin"),
            "2026-12-01T14:00:00+01:00",
            "2026-12-01T13:00:00+01:00",
        ),
    ],
)
def test_a_mismatch_says_what_was_wanted_and_what_came(name, wanted, shown, got):
    assert unmet(**{name: wanted}) == [(name, shown, got, 1)]


def test_mismatches_stand_in_the_order_of_the_file():
    assert [each[0] for each in unmet(retry_at=None, effect="allow", reasons=[])] == ["retry_at", "effect", "reasons"]


def test_an_instant_is_the_same_in_every_zone_even_where_the_clock_shows_it_twice():
    berlin = ZoneInfo("Europe/Berlin")
    told = Decision(
        **{
            **{name: getattr(DENIED, name) for name in Decision.__struct_fields__},
            "retry_at": datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=berlin),
        }
    )
    assert unmet(told, retry_at=datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) == []
    assert unmet(told, retry_at=datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) != []


def test_everything_that_the_schema_lets_be_expected_is_compared():
    assert set(policy_test_schema()["$defs"]["expect"]["properties"]) == set(GOT)
