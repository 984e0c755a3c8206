from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from guardrails.core.candidate import Candidate, Content, Context, Recipient
from guardrails.policyfile.kinds.recognition_award import TimelinessNeed

SECOND = timedelta(seconds=1)
ACTED_AT = datetime(2026, 12, 1, 12, tzinfo=UTC)
LATE_FROM = ACTED_AT + timedelta(hours=24)
NEED = TimelinessNeed("award.a.timing", 24 * 60 * 60)


def candidate(context):
    return Candidate(
        id="c-1",
        lane="monetized",
        channel="push",
        recipient=Recipient(id="r-42"),
        content=Content(class_="recognition"),
        context=context,
    )


ACTED = candidate(Context(kind="early_response", at=ACTED_AT))


@pytest.mark.parametrize(
    ("at", "value", "next_change"),
    [
        (ACTED_AT - SECOND, "ahead", ACTED_AT),
        (ACTED_AT, "timely", LATE_FROM),
        (LATE_FROM - SECOND, "timely", LATE_FROM),
        (LATE_FROM, "late", None),
    ],
)
def test_an_action_is_timely_from_its_instant_until_just_before_the_limit(at, value, next_change):
    assert NEED.queries(ACTED, at) == ()
    assert NEED.value((), ACTED, at) == value
    assert NEED.next_change((), ACTED, at) == next_change


@pytest.mark.parametrize("context", [None, Context(kind="early_response")])
def test_without_the_time_of_the_action_the_fact_is_missing(context):
    assert NEED.queries(candidate(context), ACTED_AT) is None
    assert NEED.value((), candidate(context), ACTED_AT) is None
    assert NEED.next_change((), candidate(context), ACTED_AT) is None


def test_time_is_counted_as_it_passes_though_the_clocks_go_back_in_between():
    acted_at = datetime(2026, 10, 24, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert NEED.next_change((), candidate(Context(kind="early_response", at=acted_at)), acted_at) == datetime(
        2026, 10, 25, 10, tzinfo=UTC
    )
