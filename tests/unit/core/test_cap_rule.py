"""What a cap asks, which sends count at an instant, and when that changes."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.core.candidate import Campaign, Candidate, Content, Recipient, Sponsor
from guardrails.core.cap_needs import CapNeed
from guardrails.core.cap_rule import (
    CAP_PARTS,
    LISTED_TIMES,
    CalendarWindow,
    CapRule,
    CountdownWindow,
    RollingWindow,
    cap_keys,
)
from guardrails.core.needs import CapCheck, Take, Usage, UsageQuery
from guardrails.core.timing import Zone
from guardrails.core.zones import zone_named

DAY = 86_400
TICK = timedelta(microseconds=1)
BERLIN = Zone("Europe/Berlin")


def instant(text):
    return datetime.fromisoformat(text).astimezone(UTC)


NOON = instant("2026-05-05T12:00:00+00:00")


def candidate(*, topic="upgrade", tags=("promo", "trip"), campaign="cmp-7", sponsor="acme", **recipient):
    return Candidate(
        id="c-1",
        lane="monetized",
        channel="push",
        recipient=Recipient(id="r-42", **recipient),
        content=Content(class_="sponsored", topic=topic, tags=tags),
        campaign=None if campaign is None else Campaign(id=campaign),
        sponsor=None if sponsor is None else Sponsor(id=sponsor),
    )


def need(window, *, limit=3, per=("recipient.id",)):
    return CapNeed("cap.x.used", CapRule(id="x", limit=limit, window=window, per=per))


def usage(*hours, older=0, around=NOON):
    """Sends so many hours from noon."""
    return (Usage(older, tuple(around + timedelta(hours=hour) for hour in hours)),)


# --- keys


@pytest.mark.parametrize(
    ("per", "keys"),
    [
        ((), ("[]",)),
        (("recipient.id",), ('["r-42"]',)),
        (("channel",), ('["push"]',)),
        (("campaign.id",), ('["cmp-7"]',)),
        (("sponsor.id",), ('["acme"]',)),
        (("content.topic",), ('["upgrade"]',)),
        (("content.class",), ('["sponsored"]',)),
        (("content.tags",), ('["promo"]', '["trip"]')),
        (("recipient.id", "content.tags"), ('["r-42","promo"]', '["r-42","trip"]')),
        (("content.tags", "recipient.id"), ('["r-42","promo"]', '["r-42","trip"]')),
        (("channel", "recipient.id"), ('["r-42","push"]',)),
        (("recipient.id", "recipient.id"), ('["r-42"]',)),
    ],
)
def test_a_key_is_the_values_of_its_parts_in_one_order(per, keys):
    assert keys == cap_keys(per, candidate())


def test_a_key_may_be_made_of_what_is_tied_to_sold_and_paid():
    parts = {
        "context": {"kind": "booking", "id": "b-9"},
        "offer": {"id": "o-1", "currency": "EUR"},
        "affiliate": {"id": "p-3"},
        "spend": {"amount_minor": 5, "currency": "JPY"},
    }
    sold = msgspec.convert(msgspec.to_builtins(candidate()) | parts, Candidate)
    per = ("context.kind", "context.id", "offer.id", "affiliate.id", "spend.currency", "offer.currency")
    assert cap_keys(per, sold) == ('["booking","b-9","o-1","p-3","JPY","EUR"]',)
    assert cap_keys(tuple(reversed(per)), sold) == cap_keys(per, sold)
    assert [cap_keys((part,), candidate()) for part in per] == [None] * 6


def test_the_tags_stay_last_in_a_key():
    assert list(CAP_PARTS)[-1] == "content.tags"
    assert list(CAP_PARTS)[:6] == [
        "recipient.id", "channel", "campaign.id", "sponsor.id", "content.topic", "content.class",
    ]  # fmt: skip


def test_a_tag_that_is_named_twice_is_one_key():
    assert cap_keys(("content.tags",), candidate(tags=("a", "b", "a"))) == ('["a"]', '["b"]')


def test_values_can_not_run_into_each_other():
    per = ("content.topic", "content.tags")
    assert cap_keys(per, candidate(topic='a","b', tags=("c",))) != cap_keys(per, candidate(topic="a", tags=('b","c',)))


def test_without_tags_there_is_no_key():
    assert cap_keys(("recipient.id", "content.tags"), candidate(tags=())) == ()


@pytest.mark.parametrize(
    ("per", "missing"),
    [("campaign.id", "campaign"), ("sponsor.id", "sponsor"), ("content.topic", "topic"), ("content.tags", "tags")],
)
def test_where_a_part_is_missing_the_key_is_unknown(per, missing):
    lacking = candidate(**{missing: None})
    assert cap_keys(("recipient.id", per), lacking) is None
    for window in (RollingWindow(DAY), CalendarWindow("day", BERLIN), CountdownWindow(DAY)):
        asked = need(window, per=("recipient.id", per))
        assert asked.queries(lacking, NOON) is None
        assert asked.value((), lacking, NOON) is None
        assert asked.next_change((), lacking, NOON) is None
        assert asked.rule.takes(lacking) == ()


def test_a_key_that_no_index_would_take_is_told_by_its_digest():
    smiles = "\N{GRINNING FACE}" * 200
    (key,) = cap_keys(("campaign.id", "sponsor.id"), candidate(campaign=smiles, sponsor=smiles))
    assert len(key) == len('["sha256:"]') + 64
    assert (key,) == cap_keys(("sponsor.id", "campaign.id"), candidate(campaign=smiles, sponsor=smiles))
    assert (key,) != cap_keys(("campaign.id", "sponsor.id"), candidate(campaign=smiles, sponsor="acme" + smiles))


def test_a_part_that_no_key_is_made_of_is_an_error():
    with pytest.raises(ValueError, match=r"recipient\.age"):
        cap_keys(("recipient.age",), candidate())


# --- takes


def rule(window, *, limit=1, per=(), count_on="reserved"):
    return CapRule(id="x", limit=limit, window=window, per=per, count_on=count_on)


def test_a_send_takes_one_slot_a_key():
    takes = rule(RollingWindow(DAY), per=("content.tags",), count_on="sent").takes(candidate())
    assert takes == tuple(Take("x", key, "sent", keep_seconds=DAY) for key in ('["promo"]', '["trip"]'))


def test_a_slot_of_a_countdown_carries_its_length():
    assert rule(CountdownWindow(57_600)).takes(candidate()) == (Take("x", "[]", "reserved", 57_600),)


@pytest.mark.parametrize(
    ("window", "seconds"),
    [
        (RollingWindow(90), 90),
        (CountdownWindow(90), 0),
        (CalendarWindow("day", BERLIN), 2 * DAY),
        (CalendarWindow("week", BERLIN), 8 * DAY),
        (CalendarWindow("month", BERLIN), 32 * DAY),
    ],
)
def test_a_slot_says_for_how_long_a_question_may_ask_for_it(window, seconds):
    (take,) = rule(window, per=("recipient.id",)).takes(candidate())
    assert seconds == take.keep_seconds


@pytest.mark.parametrize("window", [RollingWindow(DAY), CalendarWindow("day", BERLIN), CountdownWindow(DAY)])
@pytest.mark.parametrize(
    ("per", "owner"),
    [(("recipient.id",), "r-42"), (("channel", "recipient.id"), "r-42"), (("campaign.id",), None), ((), None)],
)
def test_a_key_that_holds_the_recipient_is_theirs_and_only_shared_calendar_keys_are_tallied(window, per, owner):
    asked = need(window, per=per)
    is_tallied = owner is None and isinstance(window, CalendarWindow)
    takes, queries = asked.rule.takes(candidate()), asked.queries(candidate(), NOON)
    assert {(owner, is_tallied)} == {(take.owner, take.is_tallied) for take in takes}
    assert {(owner, is_tallied)} == {(query.owner, query.split is not None) for query in queries}


def test_whether_a_key_is_tallied_does_not_hang_on_the_limit():
    shared = (rule(CalendarWindow("day", BERLIN), limit=limit) for limit in (1, 1_000, 10**9))
    assert {True} == {each.is_tallied for each in shared}


# --- questions


def test_a_rolling_window_asks_for_what_counted_after_its_start():
    (query,) = need(RollingWindow(DAY)).queries(candidate(), NOON)
    assert query == UsageQuery("x", '["r-42"]', NOON - timedelta(days=1) + TICK, LISTED_TIMES, owner="r-42")


def test_a_countdown_asks_for_what_ends_after_the_instant():
    (query,) = need(CountdownWindow(DAY)).queries(candidate(), NOON)
    assert query == UsageQuery("x", '["r-42"]', NOON + TICK, LISTED_TIMES, "until", "r-42")


def test_a_calendar_window_asks_from_its_start_for_all_that_can_be_listed():
    (query,) = need(CalendarWindow("day", BERLIN)).queries(candidate(), NOON)
    assert query == UsageQuery("x", '["r-42"]', instant("2026-05-05T00:00:00+02:00"), LISTED_TIMES, owner="r-42")
    assert query.since.tzinfo is UTC


def test_in_several_zones_a_calendar_window_asks_from_the_earliest_start():
    window = CalendarWindow("day", Zone("recipient", "strictest"))
    (query,) = need(window).queries(candidate(country="US"), instant("2026-05-05T04:59:59+00:00"))
    assert query.since == instant("2026-05-04T00:00:00-05:00")  # it is still the 4th in Chicago and west of it
    (query,) = need(window).queries(candidate(country="US"), instant("2026-05-05T03:00:00+00:00"))
    assert query.since == instant("2026-05-04T00:00:00-04:00")


def test_there_is_one_question_a_tag_and_none_without_tags():
    asked = need(RollingWindow(DAY), per=("content.tags",))
    assert [query.key for query in asked.queries(candidate(), NOON)] == ['["promo"]', '["trip"]']
    assert asked.queries(candidate(tags=()), NOON) == ()
    assert asked.value((), candidate(tags=()), NOON) == 0
    assert asked.next_change((), candidate(tags=()), NOON) is None


def test_where_the_zone_is_unknown_so_is_the_fact():
    asked = need(CalendarWindow("day", Zone("recipient", "deny")))
    assert asked.queries(candidate(), NOON) is None
    assert asked.value(usage(-1), candidate(), NOON) is None
    assert asked.next_change(usage(-1), candidate(), NOON) is None


@pytest.mark.parametrize(
    ("window", "fields"),
    [
        (RollingWindow(DAY), ("campaign.id",)),
        (CalendarWindow("day", BERLIN), ("campaign.id",)),
        (CalendarWindow("day", Zone("recipient", "deny")), ("campaign.id", "recipient.timezone")),
    ],
)
def test_a_cap_needs_the_parts_of_its_key_and_the_zone_it_looks_to(window, fields):
    assert fields == need(window, per=("campaign.id",)).fields


# --- rolling


@pytest.mark.parametrize(
    ("sends", "used", "change"),
    [
        ((), 0, None),
        ((-24,), 0, None),
        ((-23,), 1, 1),
        ((-24, -23, -1, 0), 3, 1),
        ((5,), 1, 29),  # planned for later
        ((-1, 5), 2, 23),
    ],
)
def test_a_send_counts_for_the_length_of_a_rolling_window(sends, used, change):
    asked = need(RollingWindow(DAY))
    assert used == asked.value(usage(*sends), candidate(), NOON)
    expected = None if change is None else NOON + timedelta(hours=change)
    assert expected == asked.next_change(usage(*sends), candidate(), NOON)


def test_exactly_its_length_later_a_send_no_longer_counts():
    asked, answers = need(RollingWindow(DAY)), usage(0)
    tomorrow = NOON + timedelta(days=1)
    assert asked.value(answers, candidate(), tomorrow - TICK) == 1
    assert asked.value(answers, candidate(), tomorrow) == 0
    assert asked.next_change(answers, candidate(), tomorrow) is None


def test_a_rolling_window_is_a_time_that_passes_and_not_a_wall_clock():
    # Between noon and noon lie 25 hours where the clocks go back.
    berlin = zone_named("Europe/Berlin")
    before = datetime(2026, 10, 24, 12, tzinfo=berlin)
    after = datetime(2026, 10, 25, 11, tzinfo=berlin)
    asked, answers = need(RollingWindow(DAY)), (Usage(0, (before,)),)
    assert asked.value(answers, candidate(), after - timedelta(minutes=1)) == 1
    assert asked.value(answers, candidate(), after) == 0
    assert after.astimezone(UTC) == asked.next_change(answers, candidate(), before)
    (query,) = asked.queries(candidate(), after)
    assert query.since == before.astimezone(UTC) + TICK


def test_unlisted_sends_count_as_long_as_all_listed_ones_do():
    asked, answers = need(RollingWindow(DAY)), usage(-3, -2, -1, older=4)
    assert asked.value(answers, candidate(), NOON) == 7
    assert asked.next_change(answers, candidate(), NOON) == NOON + timedelta(hours=21)
    assert asked.value(answers, candidate(), NOON + timedelta(hours=21)) == 2


def test_where_nothing_is_listed_the_number_alone_counts():
    asked, answers = need(RollingWindow(DAY), limit=0), (Usage(older=2),)
    assert asked.value(answers, candidate(), NOON) == 2
    assert asked.next_change(answers, candidate(), NOON) is None


def test_the_largest_number_over_all_keys_is_the_fact():
    asked = need(RollingWindow(DAY), per=("content.tags",))
    answers = usage(-1) + usage(-3, -2)
    assert asked.value(answers, candidate(), NOON) == 2
    assert asked.next_change(answers, candidate(), NOON) == NOON + timedelta(hours=21)


# --- countdown


def test_a_send_counts_until_its_countdown_ends():
    asked, answers = need(CountdownWindow(DAY)), usage(0, 1, 30)
    assert asked.value(answers, candidate(), NOON - TICK) == 3
    assert asked.value(answers, candidate(), NOON) == 2
    assert asked.next_change(answers, candidate(), NOON) == NOON + timedelta(hours=1)
    assert asked.next_change(answers, candidate(), NOON + timedelta(hours=30)) is None


# --- calendar


def test_a_calendar_window_counts_the_sends_of_the_local_day():
    asked = need(CalendarWindow("day", BERLIN))
    midnight = instant("2026-05-06T00:00:00+02:00")
    answers = usage(-24, -0.001, 0, 5, around=midnight)
    assert asked.value(answers, candidate(), midnight - TICK) == 2
    assert asked.next_change(answers, candidate(), midnight - TICK) == midnight
    assert asked.value(answers, candidate(), midnight) == 2
    assert asked.next_change(answers, candidate(), midnight) == midnight + timedelta(days=1)
    assert asked.value(answers, candidate(), midnight + timedelta(days=1)) == 0
    assert asked.next_change(answers, candidate(), midnight + timedelta(days=1)) is None


def test_a_send_that_is_planned_for_another_day_does_not_count_today():
    asked = need(CalendarWindow("day", BERLIN), limit=1)
    answers = usage(24, 48, 72)
    assert [asked.value(answers, candidate(), NOON + timedelta(days=day)) for day in range(5)] == [0, 1, 1, 1, 0]
    assert asked.next_change(answers, candidate(), NOON) == instant("2026-05-06T00:00:00+02:00")


@pytest.mark.parametrize(
    ("unit", "ends"), [("week", "2026-05-10T00:00:00+02:00"), ("month", "2026-06-01T00:00:00+02:00")]
)
def test_weeks_and_months_end_where_the_policy_says(unit, ends):
    asked = need(CalendarWindow(unit, BERLIN, 6))
    assert asked.next_change(usage(-1), candidate(), NOON) == instant(ends)


def test_in_several_zones_the_largest_number_counts_and_the_first_end_is_the_change():
    asked = need(CalendarWindow("day", Zone("recipient", "strictest")))
    texan = candidate(country="US", region="US-TX")  # Chicago and Denver
    sends = (instant("2026-05-05T00:30:00-05:00"), instant("2026-05-05T20:00:00-05:00"))
    at = instant("2026-05-05T21:00:00-05:00")
    assert asked.value((Usage(0, sends),), texan, at) == 2
    assert asked.next_change((Usage(0, sends),), texan, at) == instant("2026-05-06T00:00:00-05:00")
    assert asked.value((Usage(0, sends),), texan, instant("2026-05-06T00:00:00-05:00")) == 1
    assert asked.value((Usage(0, sends),), texan, instant("2026-05-06T00:00:00-06:00")) == 0


def test_unlisted_sends_count_where_the_window_reaches_back_to_the_listed_ones():
    asked = need(CalendarWindow("day", BERLIN), limit=10**9)
    answers = usage(-1, 24, older=2_000_000)
    assert asked.value(answers, candidate(), NOON) == 2_000_001
    assert asked.value(answers, candidate(), NOON + timedelta(days=1)) == 1


# --- tallied


MIDNIGHT, NEXT_MIDNIGHT = instant("2026-05-05T00:00:00+02:00"), instant("2026-05-06T00:00:00+02:00")
BUDGET = need(CalendarWindow("day", BERLIN), limit=100, per=("campaign.id",))
STRICTEST = CalendarWindow("day", Zone("recipient", "strictest"))


def tallied(older=0, later=0, split=NEXT_MIDNIGHT):
    return (Usage(older=older, later=later, split=split),)


def test_a_tallied_key_is_asked_how_many_count_in_its_window_and_after_it():
    assert BUDGET.queries(candidate(), NOON) == (UsageQuery("x", '["cmp-7"]', MIDNIGHT, 0, split=NEXT_MIDNIGHT),)
    (query,) = BUDGET.queries(candidate(), NOON)
    assert (query.since.tzinfo, query.split.tzinfo) == (UTC, UTC)


def test_a_tallied_key_is_asked_about_once_a_zone():
    texan = candidate(country="US", region="US-TX")  # Chicago and Denver
    queries = need(STRICTEST, per=("content.tags",)).queries(texan, instant("2026-05-05T12:00:00-05:00"))
    days = [
        (instant(f"2026-05-05T00:00:00-0{hours}:00"), instant(f"2026-05-06T00:00:00-0{hours}:00")) for hours in (5, 6)
    ]
    assert [(query.key, query.since, query.split) for query in queries] == [
        (key, since, split) for key in ('["promo"]', '["trip"]') for since, split in days
    ]


def test_without_the_recipients_zone_a_tallied_key_is_not_asked_about():
    asked = need(CalendarWindow("day", Zone("recipient", "deny")), per=())
    assert asked.queries(candidate(), NOON) is None
    assert asked.value(tallied(1), candidate(), NOON) is None
    assert asked.checks((), (), candidate(), NOON) == ()


def test_of_a_tallied_key_what_counts_in_the_window_is_used_until_it_ends():
    answers = tallied(older=70, later=3)
    assert BUDGET.value(answers, candidate(), NOON) == 70
    assert BUDGET.value(answers, candidate(), NEXT_MIDNIGHT - TICK) == 70


def test_after_the_window_all_that_is_planned_for_later_is_taken_to_count():
    answers = tallied(older=70, later=3)
    for days in (0, 1, 300):
        assert BUDGET.value(answers, candidate(), NEXT_MIDNIGHT + timedelta(days=days)) == 3


def test_the_largest_number_over_the_zones_of_a_tallied_key_is_the_fact():
    texan = candidate(country="US", region="US-TX")
    chicago, denver = (instant(f"2026-05-06T00:00:00-0{hours}:00") for hours in (5, 6))
    asked = need(STRICTEST, per=())
    answers = tallied(4, 1, chicago) + tallied(3, 2, denver)
    at = instant("2026-05-05T12:00:00-05:00")
    assert [asked.value(answers, texan, instant) for instant in (at, chicago, denver)] == [4, 3, 2]
    assert asked.next_change(answers, texan, at) == chicago


def test_a_tallied_key_without_tags_has_nothing_used():
    asked = need(CalendarWindow("day", BERLIN), per=("content.tags",))
    assert asked.queries(candidate(tags=()), NOON) == ()
    assert asked.value((), candidate(tags=()), NOON) == 0
    assert asked.next_change((), candidate(tags=()), NOON) is None


@pytest.mark.parametrize(("older", "later", "expected"), [(0, 0, None), (1, 0, NEXT_MIDNIGHT), (0, 1, NEXT_MIDNIGHT)])
def test_a_tallied_key_changes_with_the_end_of_its_window_where_anything_counts(older, later, expected):
    assert expected == BUDGET.next_change(tallied(older, later), candidate(), NOON)


def test_after_its_window_a_tallied_key_changes_only_where_something_is_planned():
    assert BUDGET.next_change(tallied(5, 0), candidate(), NEXT_MIDNIGHT) is None
    assert BUDGET.next_change(tallied(0, 5), candidate(), NEXT_MIDNIGHT) == NEXT_MIDNIGHT + timedelta(days=1)


# --- checks


def checks(asked, someone=None, at=NOON):
    someone = someone or candidate()
    return asked.checks(asked.queries(someone, at), (), someone, at)


def test_an_allow_rests_on_room_in_the_window_around_its_instant():
    asked = need(RollingWindow(DAY))
    (query,) = asked.queries(candidate(), NOON)
    day = timedelta(days=1)
    assert checks(asked) == (CapCheck(query, NOON - day + TICK, NOON + day, 3),)


def test_an_allow_rests_on_countdowns_that_run():
    asked = need(CountdownWindow(DAY), limit=1)
    (query,) = asked.queries(candidate(), NOON)
    assert checks(asked) == (CapCheck(query, NOON + TICK, datetime.max.replace(tzinfo=UTC), 1),)


def test_an_allow_rests_on_room_under_each_key_and_in_each_zone():
    texan, at = candidate(country="US", region="US-TX"), instant("2026-05-05T12:00:00-05:00")
    own = need(STRICTEST, per=("recipient.id", "content.tags"))
    spans = own.rule.window.intervals(texan.recipient, at)
    assert [(check.query, check.start, check.end) for check in checks(own, texan, at)] == [
        (query, *span) for query in own.queries(texan, at) for span in spans
    ]
    shared = need(STRICTEST, per=("content.tags",))
    assert checks(shared, texan, at) == tuple(
        CapCheck(query, query.since, query.split, 3) for query in shared.queries(texan, at)
    )


def test_an_allow_without_a_key_rests_on_nothing():
    assert checks(need(RollingWindow(DAY), per=("content.tags",)), candidate(tags=())) == ()
