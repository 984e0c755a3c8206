"""The facts of caps against a plain recount of every send."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from guardrails.core.candidate import Candidate, Content, Recipient
from guardrails.core.cap_needs import CapNeed
from guardrails.core.cap_rule import CalendarWindow, CapRule, CountdownWindow, RollingWindow
from guardrails.core.needs import Usage
from guardrails.core.timing import Zone
from guardrails.core.zones import zone_named, zones_in

TICK = timedelta(microseconds=1)
DAYS = 12

# Around the autumn change of clocks, so that days of 24 and 25 hours are met; no zone here repeats a midnight.
ORIGIN = datetime(2026, 10, 20, tzinfo=UTC)
ZONES = [Zone("Europe/Berlin"), Zone("Asia/Kathmandu"), Zone("America/New_York"), Zone("recipient", "strictest")]

instants = st.integers(min_value=0, max_value=DAYS * 48).map(
    lambda half_hours: ORIGIN + half_hours * timedelta(minutes=30)
)
sends = st.lists(instants, max_size=12).map(sorted)
seconds = st.integers(min_value=1, max_value=72).map(lambda hours: hours * 3600)
spans = st.builds(RollingWindow, seconds) | st.builds(CountdownWindow, seconds)
calendars = st.builds(
    CalendarWindow,
    st.sampled_from(["day", "week", "month"]),
    st.sampled_from(ZONES),
    st.integers(min_value=0, max_value=6),
)
windows = spans | calendars
limits = st.integers(min_value=1, max_value=6)

CANDIDATE = Candidate(
    id="c-1",
    lane="monetized",
    channel="push",
    recipient=Recipient(id="r-1", country="US"),
    content=Content(class_="sponsored"),
)


def need(window, limit=12, per=("recipient.id",)):
    return CapNeed("cap.x.used", CapRule(id="x", limit=limit, window=window, per=per))


def answer(query, window, times):
    """What a store of these sends answers."""
    if query.split is not None:
        older = sum(query.since <= time < query.split for time in times)
        return Usage(older=older, later=sum(query.split <= time for time in times), split=query.split)
    if query.by == "until":
        times = [time + timedelta(seconds=window.seconds) for time in times]
    wanted = [time for time in times if time >= query.since]
    older = max(0, len(wanted) - query.newest)
    return Usage(older, tuple(wanted[older:]))


def answers_at(asked, times, at):
    return tuple(answer(query, asked.rule.window, times) for query in asked.queries(CANDIDATE, at))


def local_unit(window, time, zone):
    """A name for the local day, week or month."""
    date = time.astimezone(zone).date()
    if window.unit == "day":
        return date.toordinal()
    if window.unit == "month":
        return date.year, date.month
    return (date.toordinal() - 1 - window.week_starts) // 7


def recount(window, times, at):
    if isinstance(window, RollingWindow):
        return sum(abs(at - time) < timedelta(seconds=window.seconds) for time in times)
    if isinstance(window, CountdownWindow):
        return sum(time + timedelta(seconds=window.seconds) > at for time in times)
    zones = zones_in("US", None) if window.zone.name == "recipient" else [zone_named(window.zone.name)]
    return max(sum(local_unit(window, time, zone) == local_unit(window, at, zone) for time in times) for zone in zones)


@given(window=windows, times=sends, at=instants, wait=st.timedeltas(timedelta(), timedelta(days=DAYS)))
def test_the_value_at_any_later_instant_is_a_recount_of_all_sends(window, times, at, wait):
    asked = need(window)
    answers = answers_at(asked, times, at)
    assert recount(window, times, at + wait) == asked.value(answers, CANDIDATE, at + wait)


@given(window=calendars, times=sends, at=instants, wait=st.timedeltas(timedelta(), timedelta(days=DAYS)))
def test_of_a_tallied_key_the_value_is_exact_now_and_never_too_small_later(window, times, at, wait):
    asked = need(window, per=("channel",))
    answers = answers_at(asked, times, at)
    assert recount(window, times, at) == asked.value(answers, CANDIDATE, at)
    assert recount(window, times, at + wait) <= asked.value(answers, CANDIDATE, at + wait)


@given(window=windows, per=st.sampled_from([("recipient.id",), ("channel",)]), times=sends, at=instants, limit=limits)
def test_an_allow_rests_on_fewer_sends_than_the_limit_in_every_span(window, per, times, at, limit):
    asked = need(window, limit, per)
    checks = asked.checks(asked.queries(CANDIDATE, at), (), CANDIDATE, at)
    until = timedelta(seconds=window.seconds) if isinstance(window, CountdownWindow) else timedelta()
    counted = [sum(check.start <= time + until < check.end for time in times) for check in checks]
    assert all(count < check.limit for count, check in zip(counted, checks, strict=True)) == (
        recount(window, times, at) < limit
    )


@given(window=windows, times=sends, at=instants, listed=limits, wait=st.timedeltas(timedelta(), timedelta(days=DAYS)))
def test_the_value_is_never_too_small_however_few_sends_are_listed(window, times, at, listed, wait):
    asked = need(window)
    (full,) = answers_at(asked, times, at)
    older = max(0, len(full.times) - listed)
    value = asked.value((Usage(older, full.times[older:]),), CANDIDATE, at + wait)
    assert value >= recount(window, times, at + wait)


@given(window=windows, times=sends, at=instants, limit=limits)
def test_the_value_stays_as_it_is_until_the_next_change(window, times, at, limit):
    asked = need(window, limit)
    answers = answers_at(asked, times, at)
    change = asked.next_change(answers, CANDIDATE, at)
    now = asked.value(answers, CANDIDATE, at)
    half_hours = [at + step * timedelta(minutes=30) for step in range(2 * 24 * (DAYS + 4))]
    if change is not None:
        assert change > at
        half_hours = [*half_hours[: bisect_left(half_hours, change)], change - TICK]
    assert {now} == {asked.value(answers, CANDIDATE, instant) for instant in half_hours}


@given(window=spans, times=sends, at=instants)
def test_the_next_change_of_a_rolling_or_countdown_window_is_a_change(window, times, at):
    asked = need(window)
    answers = answers_at(asked, times, at)
    change = asked.next_change(answers, CANDIDATE, at)
    if change is None:
        assert recount(window, times, at) == 0
    else:
        assert recount(window, times, change) != recount(window, times, at)


@given(window=windows, times=sends, at=instants)
def test_going_from_change_to_change_ends(window, times, at):
    asked = need(window)
    answers = answers_at(asked, times, at)
    steps = 0
    while (change := asked.next_change(answers, CANDIDATE, at)) is not None:
        at, steps = change, steps + 1
        assert steps <= 200
    assert asked.value(answers, CANDIDATE, at) == 0
