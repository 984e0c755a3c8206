from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.needs import PREFERENCES, Preferences
from guardrails.policyfile.kinds.pause import PauseNeed

FACT = "pause.p.active"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
BERLIN = timezone(timedelta(hours=1))
CANDIDATE = Candidate(
    id="c-1", lane="monetized", channel="push", recipient=Recipient(id="r-42"), content=Content(class_="sponsored")
)
NEED = PauseNeed(FACT)


@pytest.mark.parametrize(
    ("facts", "expected"), [({FACT: False}, "satisfied"), ({FACT: True}, "pause.active"), ({}, "undetermined")]
)
def test_a_pause_denies(policy, outcome, facts, expected):
    assert outcome(policy("kind: pause\n"), facts) == expected


def test_it_needs_to_know_of_the_pause(policy):
    assert policy("kind: pause\n").needs == (NEED,)
    assert (NEED.shares, NEED.queries(CANDIDATE, NOON)) == ((PREFERENCES,), ())
    assert NEED.fields == ()


@pytest.mark.parametrize(
    ("end", "active"),
    [
        (None, False),
        (NOON - TICK, False),
        (NOON, False),
        (NOON + TICK, True),
        (NOON.replace(tzinfo=BERLIN), False),
        (NOON.replace(tzinfo=BERLIN) + timedelta(hours=1, seconds=1), True),
    ],
)
def test_at_its_end_it_is_over(end, active):
    answers = (Preferences(paused_until=end),)
    assert NEED.value(answers, CANDIDATE, NOON) is active
    assert NEED.next_change(answers, CANDIDATE, NOON) == (end if active else None)
