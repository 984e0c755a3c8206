from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.timing import QuietSpan, Zone
from guardrails.policyfile.kinds.quiet_hours import QuietNeed

FACT = "quiet.p.active"
SECOND = timedelta(seconds=1)
WEEK = (0, 1, 2, 3, 4, 5, 6)
NIGHT = QuietSpan(WEEK, 22 * 60, 8 * 60)


def lines(spans='[{from: "22:00", to: "08:00"}]', *, zone="timezone: project"):
    return f"kind: quiet_hours\nspans: {spans}\n{zone}\n"


def candidate(**recipient):
    return Candidate(
        id="c-1",
        lane="monetized",
        channel="push",
        recipient=Recipient(id="r-42", **recipient),
        content=Content(class_="sponsored"),
    )


@pytest.mark.parametrize(
    ("facts", "expected"), [({FACT: True}, "quiet_hours"), ({FACT: False}, "satisfied"), ({}, "undetermined")]
)
def test_quiet_denies(policy, outcome, facts, expected):
    assert outcome(policy(lines()), facts) == expected


def test_spans_are_read_as_they_are_written(policy):
    quiet = policy(lines('[{from: "22:00", to: "08:00"}, {from: "00:00", to: "00:00", days: [sun, sat]}]'))
    assert quiet.needs == (QuietNeed(FACT, (NIGHT, QuietSpan((5, 6), 0, 0)), Zone("Europe/Berlin")),)
    assert quiet.reason.message == (
        "nothing may be sent from 22:00 to 08:00 and from 00:00 to 00:00 (sun, sat) in Europe/Berlin"
    )


def test_a_clock_needs_no_quotes(policy):
    unquoted = policy(lines("[{from: 22:00, to: 08:00}]"))
    assert unquoted.needs[0].spans == (NIGHT,)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("timezone: recipient\nfallback: strictest", Zone("recipient", "strictest")),
        ("timezone: recipient\nfallback: deny", Zone("recipient", "deny")),
        ("timezone: recipient\nfallback: project", Zone("recipient", "Europe/Berlin")),
        ("timezone: recipient\nfallback: Asia/Tokyo", Zone("recipient", "Asia/Tokyo")),
        ("timezone: project", Zone("Europe/Berlin")),
    ],
)
def test_the_author_says_whose_clock_it_is(policy, zone, expected):
    assert policy(lines(zone=zone)).needs[0].zone == expected


def test_the_recipients_clock_is_told_in_words(policy):
    message = policy(lines(zone="timezone: recipient\nfallback: deny")).reason.message
    assert message == "nothing may be sent from 22:00 to 08:00 in the recipient's zone"


def test_what_holds_without_the_recipients_zone_is_never_implicit(problems):
    assert problems(lines(zone="timezone: recipient")) == [(3, "missing-property")]


@pytest.mark.parametrize(
    "spans",
    [
        '[{from: "00:00", to: "00:00"}]',
        '[{from: "22:00", to: "08:00"}, {from: "08:00", to: "22:00"}]',
        '[{from: "22:00", to: "10:00"}, {from: "08:00", to: "23:00"}]',
        '[{from: "12:00", to: "12:00", days: [mon, wed, fri]}, {from: 12:00, to: 12:00, days: [tue, thu, sat, sun]}]',
    ],
)
def test_a_week_without_an_open_minute_is_a_contradiction(problems, spans):
    assert problems(lines(spans)) == [(2, "contradiction")]


@pytest.mark.parametrize(
    "spans",
    [
        '[{from: "00:01", to: "00:00"}]',
        '[{from: "22:00", to: "08:00"}, {from: "08:00", to: "21:59"}]',
        '[{from: "12:00", to: "12:00", days: [mon, wed, fri]}, {from: "12:00", to: "12:00", days: [tue, thu, sat]}]',
    ],
)
def test_one_open_minute_is_enough(policy, spans):
    assert policy(lines(spans)).id == "p"


@pytest.mark.parametrize(
    ("spans", "code"),
    [
        ("[]", "out-of-bounds"),
        ('[{from: "22:00"}]', "missing-property"),
        ("[{from: 8:00, to: 09:00}]", "bad-format"),
        ("[{from: 22:00, to: 24:00}]", "bad-format"),
        ("[{from: 22:00, to: 8}]", "wrong-type"),
        ("[{from: 22:00, to: 08:00, days: [monday]}]", "unknown-value"),
        ("[{from: 22:00, to: 08:00, days: []}]", "out-of-bounds"),
        ("[{from: 22:00, until: 08:00}]", "unknown-property"),
    ],
)
def test_a_span_is_two_times_of_day(problems, spans, code):
    found = problems(lines(spans))
    assert {line for line, _ in found} == {2}
    assert code in {each for _, each in found}


def test_one_zone_changes_by_its_own_clock():
    need = QuietNeed(FACT, (NIGHT,), Zone("recipient"))
    berliner = candidate(timezone="Europe/Berlin")
    evening = datetime(2026, 12, 1, 21, tzinfo=UTC)
    assert need.queries(berliner, evening) == ()
    assert need.value((), berliner, evening - SECOND) is False
    assert need.value((), berliner, evening) is True
    assert need.next_change((), berliner, evening - SECOND) == evening
    assert need.next_change((), berliner, evening) == datetime(2026, 12, 2, 7, tzinfo=UTC)


def test_the_strictest_of_several_zones_counts():
    need = QuietNeed(FACT, (NIGHT,), Zone("recipient", "strictest"))
    somewhere_in_indonesia = candidate(country="ID")
    night_begins_in_the_east = datetime(2026, 12, 1, 22, tzinfo=ZoneInfo("Asia/Jayapura"))
    night_ends_in_the_west = datetime(2026, 12, 2, 8, tzinfo=ZoneInfo("Asia/Jakarta"))
    assert need.value((), somewhere_in_indonesia, night_begins_in_the_east - SECOND) is False
    assert need.value((), somewhere_in_indonesia, night_begins_in_the_east) is True
    assert need.next_change((), somewhere_in_indonesia, night_begins_in_the_east - SECOND) == night_begins_in_the_east
    assert need.value((), somewhere_in_indonesia, night_ends_in_the_west - SECOND) is True
    assert need.value((), somewhere_in_indonesia, night_ends_in_the_west) is False
    assert need.next_change((), somewhere_in_indonesia, night_ends_in_the_west - SECOND) == night_ends_in_the_west


@pytest.mark.parametrize("zone", [None, "Mars/Olympus_Mons"])
def test_without_a_zone_and_a_fallback_the_fact_is_missing(zone):
    need = QuietNeed(FACT, (NIGHT,), Zone("recipient", "deny"))
    noon = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert need.queries(candidate(timezone=zone), noon) is None
    assert need.value((), candidate(timezone=zone), noon) is None
    assert need.next_change((), candidate(timezone=zone), noon) is None
