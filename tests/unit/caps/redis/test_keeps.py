from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from guardrails.caps.redis.keeps import LATE, keep_seconds, longest, outgrown, reach, together
from guardrails.core.candidate import Recipient
from guardrails.core.cap_rule import CalendarWindow, CapRule, CountdownWindow, RollingWindow
from guardrails.core.needs import Take, UsageQuery
from guardrails.core.timing import Zone
from stores import instant

NOW = instant(12)
SECONDS = st.integers(1, 400 * 86_400)
WINDOWS = st.one_of(
    st.builds(RollingWindow, SECONDS),
    st.builds(CountdownWindow, SECONDS),
    st.builds(
        CalendarWindow,
        st.sampled_from(["day", "week", "month"]),
        st.just(Zone("recipient", "deny")),
        st.integers(0, 6),
    ),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Apia"])
FIRST = datetime(2011, 12, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 20 * 366 * 86_400).map(lambda seconds: FIRST + timedelta(seconds=seconds))


@given(
    window=WINDOWS,
    zone=ZONES,
    at=INSTANTS,
    ahead=st.integers(0, 86_400).map(lambda seconds: timedelta(seconds=seconds)),
    waited=st.integers(0, LATE // timedelta(seconds=1)).map(lambda seconds: timedelta(seconds=seconds)),
    per=st.sampled_from([("recipient.id",), ()]),
)
def test_no_question_of_a_cap_goes_back_further_than_its_slots_are_kept(window, zone, at, ahead, waited, per):
    rule = CapRule(id="cap", limit=1, window=window, per=per)
    questions = rule.questions(("k",), Recipient(id="r-1", timezone=zone), at + ahead)
    assert outgrown({"cap": window.keep_seconds}, reach(questions, at + waited), late=LATE) == {}


def test_questions_of_a_cap_reach_as_far_as_the_one_that_goes_back_furthest():
    queries = [
        UsageQuery("a", "k", NOW - timedelta(hours=1), 1),
        UsageQuery("a", "k2", NOW - timedelta(hours=3), 1),
        UsageQuery("b", "k", NOW + timedelta(hours=3), 1),
    ]
    assert reach(queries, NOW) == {"a": 3 * 3600, "b": 0}
    assert reach(queries, NOW + timedelta(microseconds=1)) == {"a": 3 * 3600 + 1, "b": 0}


def test_takes_want_their_cap_to_be_kept_for_the_longest_of_them():
    takes = [Take("a", "k", keep_seconds=5), Take("a", "k2", keep_seconds=7), Take("b", "k")]
    assert longest(takes) == {"a": 7, "b": 0}


def test_only_a_cap_that_is_known_is_outgrown():
    assert outgrown({"a": 5, "b": 5}, {"a": 5, "b": 6, "c": 7}) == {"b": 6}
    assert outgrown({"a": 5}, {"a": 305}, late=timedelta(minutes=5)) == {}
    assert outgrown({"a": 5}, {"a": 306}, late=timedelta(minutes=5)) == {"a": 306}
    assert together({"a": 5, "b": 1}, {"b": 6, "c": 7}) == {"a": 5, "b": 6, "c": 7}


def test_a_slot_is_kept_for_as_long_as_its_cap_or_its_decision_says():
    take = Take("a", "k", keep_seconds=5)
    assert [keep_seconds(take, keeps) for keeps in ({}, {"a": 4}, {"a": 6}, {"b": 9})] == [5, 5, 6, 5]
