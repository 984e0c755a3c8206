"""How many more a recipient may get, where they may want fewer than the policy allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.cap_needs import CapNeed, PersonalNeed
from guardrails.core.cap_rule import CalendarWindow, CapRule, RollingWindow
from guardrails.core.needs import PREFERENCES, Preferences, Usage
from guardrails.core.timing import Zone

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CANDIDATE = Candidate(
    id="c", lane="monetized", channel="push", recipient=Recipient(id="r-1"), content=Content(class_="sponsored")
)
DAY = RollingWindow(86_400)
USED = Usage(0, (NOON - 2 * HOUR, NOON - HOUR))


def need(*, limit=3, per=("recipient.id",), window=DAY, personal=True):
    rule = CapRule(id="x", limit=limit, window=window, per=per, personal=personal)
    return PersonalNeed("cap.x.left", CapNeed("cap.x.used", rule))


def wanting(most):
    return Preferences(limits={} if most is None else {"x": most, "y": 0})


@pytest.mark.parametrize(("own", "left"), [(None, 1), (3, 1), (9, 1), (2, 0), (1, -1), (0, -2)])
def test_the_lower_limit_says_how_many_are_left(own, left):
    assert need().value((wanting(own), USED), CANDIDATE, NOON) == left


def test_a_limit_of_their_own_counts_for_personal_caps_only():
    assert need(personal=False).value((wanting(0), USED), CANDIDATE, NOON) == 1


def test_it_shares_what_they_want_and_what_is_used():
    asked = need()
    assert (asked.shares, asked.queries(CANDIDATE, NOON)) == ((PREFERENCES, "cap.x.used"), ())
    assert asked.fields == asked.used.fields == ("recipient.id",)


def test_without_a_key_or_a_zone_nothing_is_asked():
    assert need(per=("recipient.id", "sponsor.id")).used.queries(CANDIDATE, NOON) is None
    their_day = CalendarWindow("day", Zone("recipient", "deny"))
    assert need(window=their_day).used.queries(CANDIDATE, NOON) is None
    assert need(window=their_day).value((wanting(1), USED), CANDIDATE, NOON) is None


def test_it_changes_as_the_count_does():
    assert need().next_change((wanting(1), USED), CANDIDATE, NOON) == NOON - 2 * HOUR + timedelta(days=1)
    assert need().next_change((wanting(0), Usage()), CANDIDATE, NOON) is None


@pytest.mark.parametrize(("own", "limit"), [(None, 3), (9, 3), (2, 2)])
def test_an_allow_rests_on_room_below_the_lower_limit_and_on_nothing_twice(own, limit):
    asked = need()
    queries, answers = asked.used.queries(CANDIDATE, NOON), (wanting(own), USED)
    checks = asked.checks(queries, answers, CANDIDATE, NOON)
    assert [(check.query, check.limit) for check in checks] == [(queries[0], limit)]
    assert asked.used.checks(queries, answers[1:], CANDIDATE, NOON) == ()
