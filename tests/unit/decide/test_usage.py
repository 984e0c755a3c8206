"""Usage: every cap in force that counts what a recipient gets, how far it is used, and when its next slot opens."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from guardrails.core.candidate import Candidate, Recipient
from guardrails.decide.case import compile_policies
from guardrails.decide.holdings import Holding, Reservation
from guardrails.decide.usage import MOST_KEYS, UsageReader
from guardrails.engine.native import NativeEngine
from guardrails.errors import CandidateError, DependencyError
from guardrails.policyfile.loader import load_policy_files
from guardrails.preferences import PreferenceEvent
from stores import open_stores, run

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
BERLINER = Recipient(id="r-1", timezone="Europe/Berlin")

HEAD = "apiVersion: guardrails/v1\npolicies:\n"
TWO_A_DAY = "{id: two-a-day, kind: frequency_cap, title: Two a day, limit: 2, per: [recipient], window: {rolling: 24h}}"
BY_CHANNEL = "{id: by-channel, kind: frequency_cap, limit: 1, per: [recipient, channel], window: {rolling: 24h}}"
BY_TAG = "{id: by-tag, kind: frequency_cap, limit: 1, per: [tag, recipient], window: {rolling: 24h}}"
BUDGET = "{id: budget, kind: frequency_cap, limit: 3, per: [], window: %s}"
TODAY = "{id: one-today, kind: frequency_cap, limit: 1, per: [recipient], window: %s}"
THEIR_DAY = "{calendar: day, timezone: recipient, fallback: %s}"


class Room:
    """A policy set, the sends that its caps counted, and the reader of both."""

    def __init__(self, transactor):
        self.transactor = transactor
        self._numbers = itertools.count(1)

    def load(self, *policies):
        self.policy_set = load_policy_files({"p.yaml": HEAD + "".join(f"  - {policy}\n" for policy in policies)})

    def send(self, at, *, recipient="r-1", channel="push", tags=("news",), spend=250, lease_until=None, sent_at=None):
        """A send that takes a slot of every cap."""
        value = {
            "id": "c-1",
            "lane": "monetized",
            "channel": channel,
            "recipient": {"id": recipient},
            "content": {"class": "editorial", "tags": tags},
            "campaign": {"id": "cmp-7"},
            "spend": {"amount_minor": spend, "currency": "EUR"},
        }
        candidate = msgspec.convert(value, Candidate)
        rules = [cap for policy in self.policy_set.policies for cap in policy.caps]
        takes = tuple(take for rule in rules for take in rule.takes(candidate))
        decision_id = f"d-{next(self._numbers)}"
        holding = Holding(decision_id=decision_id, takes=takes, at=at, lease_until=lease_until, sent_at=sent_at)
        run(self.transactor, lambda session: session.caps.reserve([Reservation(holding=holding)], at))

    def choose(self, name, value):
        event = PreferenceEvent(recipient="r-1", name=name, value=value, at=NOW, recorded_at=NOW)
        run(self.transactor, lambda session: session.preferences.append([event]))

    def read(self, recipient=BERLINER, now=NOW):
        compiled = compile_policies(self.policy_set, engine=NativeEngine, native=NativeEngine)
        reader = UsageReader(snapshot=lambda: compiled, transactor=self.transactor, clock=lambda: NOW)
        return reader.read(recipient, now=now)

    def cap(self, recipient=BERLINER, now=NOW):
        (cap,) = self.read(recipient, now).caps
        return cap


@pytest.fixture
def room():
    transactor = open_stores("memory:")
    yield Room(transactor)
    transactor.close()


def told(cap):
    """What is used, of what, and when there is room."""
    return cap.used, cap.limit, cap.next_slot_at


# --- how far, and until when ------------------------------------------------------------------------------------


def test_of_whom_nothing_is_kept_nothing_is_used(room):
    room.load(TWO_A_DAY)
    usage = room.read(Recipient(id="nobody"))
    assert (usage.recipient, usage.as_of, usage.policy_revision) == ("nobody", NOW, room.policy_set.revision)
    assert msgspec.to_builtins(usage.caps, builtin_types=(datetime,)) == (
        {
            "policy": "two-a-day",
            "title": "Two a day",
            "mode": "enforce",
            "key": {"recipient.id": "nobody"},
            "shared": False,
            "used": 0,
            "limit": 2,
            "policy_limit": 2,
            "currency": None,
            "count_on": "reserved",
            "window": "rolling 1d",
            "next_slot_at": NOW,
            "note": None,
        },
    )
    assert (usage.unused, usage.truncated) == ((), False)


def test_without_an_instant_it_is_as_of_now(room):
    room.load(TWO_A_DAY)
    assert room.read(now=None).as_of == NOW


def test_instants_are_told_in_utc(room):
    until = "valid: {until: 2026-12-01T19:00:00+01:00}"
    room.load(TWO_A_DAY, TODAY % (THEIR_DAY % "deny"), TODAY.replace("one-today,", f"x, {until},") % "{rolling: 9h}")
    room.send(NOW)
    usage = room.read(now=datetime.fromisoformat("2026-12-01T13:30:00+01:00"))
    instants = [usage.as_of, *(cap.next_slot_at for cap in usage.caps)]
    assert [instant.isoformat() for instant in instants] == [
        "2026-12-01T12:30:00+00:00",
        "2026-12-01T12:30:00+00:00",
        "2026-12-01T23:00:00+00:00",
        "2026-12-01T18:00:00+00:00",
    ]


def test_a_full_cap_opens_at_the_microsecond_at_which_the_first_send_leaves_it(room):
    room.load(TWO_A_DAY)
    sent_at = NOW - 3 * HOUR + timedelta(microseconds=7)
    room.send(NOW - HOUR)
    assert told(room.cap()) == (1, 2, NOW)
    room.send(sent_at)
    assert told(room.cap()) == (2, 2, sent_at + DAY)
    assert told(room.cap(now=sent_at + DAY)) == (1, 2, sent_at + DAY)


def test_a_cap_used_beyond_its_limit_opens_once_fewer_than_the_limit_count(room):
    room.load("{id: watched, kind: frequency_cap, mode: monitor, limit: 2, per: [recipient], window: {rolling: 24h}}")
    for hours in (1, 2, 3, 4, 25):
        room.send(NOW - hours * HOUR)
    assert told(room.cap()) == (4, 2, NOW - 2 * HOUR + DAY)
    assert room.cap().mode == "monitor"


def test_a_send_planned_for_later_counts_as_it_does_in_decisions(room):
    room.load(TWO_A_DAY)
    room.send(NOW - HOUR)
    room.send(NOW + 25 * HOUR)
    assert told(room.cap()) == (1, 2, NOW)
    assert told(room.cap(now=NOW + 2 * HOUR)) == (2, 2, NOW + 23 * HOUR)


def test_a_gap_is_a_cap_of_one(room):
    room.load("{id: gap, kind: min_gap, gap: 2h, per: [recipient]}")
    room.send(NOW - HOUR)
    assert (told(room.cap()), room.cap().window) == ((1, 1, NOW + HOUR), "rolling 2h")


def test_a_countdown_opens_when_it_ends(room):
    room.load(TODAY % "{countdown: 16h}")
    room.send(NOW - HOUR)
    assert (told(room.cap()), room.cap().window) == ((1, 1, NOW + 15 * HOUR), "countdown of 16h from each send")


@pytest.mark.parametrize(
    ("window", "words", "opens"),
    [
        ("{calendar: day, timezone: Europe/Berlin}", "calendar day in Europe/Berlin", "2026-12-02T00:00+01:00"),
        (THEIR_DAY % "deny", "calendar day in the recipient's zone", "2026-12-02T00:00+01:00"),
        (
            "{calendar: week, week_starts: sun, timezone: America/New_York}",
            "calendar week from Sunday in America/New_York",
            "2026-12-06T00:00-05:00",
        ),
        ("{calendar: month, timezone: Etc/UTC}", "calendar month in Etc/UTC", "2027-01-01T00:00+00:00"),
    ],
)
def test_a_calendar_window_opens_when_the_next_one_begins(room, window, words, opens):
    room.load(TODAY % window)
    room.send(NOW - HOUR)
    assert (told(room.cap()), room.cap().window) == ((1, 1, datetime.fromisoformat(opens)), words)


def test_what_does_not_open_within_a_year_is_told_as_never(room):
    room.load(TODAY % "{rolling: 3650d}")
    room.send(NOW - HOUR)
    assert told(room.cap()) == (1, 1, None)


def test_what_counts_beyond_what_is_listed_one_by_one_opens_as_exactly(room):
    room.load("{id: x, kind: frequency_cap, mode: monitor, limit: 1000, per: [recipient], window: {rolling: 300d}}")
    for minutes in range(1002):
        room.send(NOW - timedelta(minutes=minutes))
    assert told(room.cap()) == (1002, 1000, NOW - timedelta(minutes=999) + timedelta(days=300))


def test_reservations_are_taken_to_become_sends_until_their_lease_ends(room):
    room.load(TODAY % "{rolling: 24h}")
    room.send(NOW - HOUR, lease_until=NOW)
    assert told(room.cap(now=NOW - timedelta(microseconds=1))) == (1, 1, NOW - HOUR + DAY)
    assert told(room.cap()) == (0, 1, NOW)


def test_a_send_counts_from_the_moment_that_the_policy_names(room):
    room.load("{id: x, kind: frequency_cap, limit: 1, per: [recipient], count_on: sent, window: {rolling: 24h}}")
    room.send(NOW - 2 * HOUR)
    assert told(room.cap()) == (0, 1, NOW)
    room.send(NOW - 2 * HOUR, sent_at=NOW - HOUR)
    assert (told(room.cap()), room.cap().count_on) == ((1, 1, NOW - HOUR + DAY), "sent")


# --- which caps, under which keys -------------------------------------------------------------------------------


def test_a_cap_that_counts_by_more_than_the_recipient_is_told_key_by_key(room):
    room.load(BY_CHANNEL, BY_TAG)
    room.send(NOW - 2 * HOUR, channel="push", tags=("news",))
    room.send(NOW - HOUR, channel="email", tags=('a "b"/ä\u2028', "news"))
    assert [(cap.policy, cap.key, cap.used) for cap in room.read().caps] == [
        ("by-channel", {"recipient.id": "r-1", "channel": "email"}, 1),
        ("by-channel", {"recipient.id": "r-1", "channel": "push"}, 1),
        ("by-tag", {"recipient.id": "r-1", "content.tags": 'a "b"/ä\u2028'}, 1),
        ("by-tag", {"recipient.id": "r-1", "content.tags": "news"}, 2),
    ]


def test_keys_that_nothing_counts_under_are_left_out_whether_or_not_they_are_still_kept(room):
    room.load(BY_CHANNEL, TWO_A_DAY)
    assert room.read().unused == ("by-channel",)
    room.send(NOW - DAY, channel="push")
    assert room.read().unused == ("by-channel",)
    room.send(NOW - HOUR, channel="email")
    usage = room.read()
    assert ([cap.key.get("channel") for cap in usage.caps], usage.unused) == (["email", None], ())


def test_each_recipient_has_their_own(room):
    room.load(TWO_A_DAY)
    room.send(NOW - HOUR, recipient="r-2")
    assert [room.cap(Recipient(id=each)).used for each in ("r-1", "r-2", "r-", "R-2")] == [0, 1, 0, 0]


@pytest.mark.parametrize("recipient", ['"', "\\", "ä", "[]", "a/b", "\u2028", "\U0001f600", "null", "1"])
def test_any_id_is_found_again(room, recipient):
    room.load(TWO_A_DAY, BY_CHANNEL)
    room.send(NOW - HOUR, recipient=recipient)
    assert [cap.used for cap in room.read(Recipient(id=recipient)).caps] == [1, 1]


@pytest.mark.parametrize("window", ["{rolling: 24h}", "{calendar: day, timezone: Etc/UTC}"])
def test_what_everybody_shares_is_told_with_what_others_took(room, window):
    room.load(BUDGET % window)
    for number in range(3):
        room.send(NOW - HOUR, recipient=f"r-{number}")
    cap = room.cap(Recipient(id="somebody-else"))
    assert (cap.shared, cap.key, cap.used) == (True, {}, 3)
    assert cap.next_slot_at == (NOW + 23 * HOUR if "rolling" in window else datetime(2026, 12, 2, tzinfo=UTC))


def test_what_is_planned_for_later_windows_of_a_shared_calendar_cap_may_hide_the_next_slot(room):
    room.load(BUDGET % THEIR_DAY % "Etc/UTC")
    for days in (0, 0, 0, 1, 2):
        room.send(NOW + days * DAY)
    assert (told(room.cap()), room.cap().note) == ((3, 3, datetime(2026, 12, 1, 23, tzinfo=UTC)), None)
    room.send(NOW + 3 * DAY)
    planned = "so much is planned for later that the next slot is not known"
    assert (told(room.cap()), room.cap().note) == ((3, 3, None), planned)
    unknown = "the recipient's zone is not known: counted in Etc/UTC, as the policy says"
    assert room.cap(Recipient(id="r-1")).note == f"{unknown}; {planned}"


def test_what_counts_by_others_than_recipients_is_nobodys_in_particular(room):
    room.load("{id: by-campaign, kind: frequency_cap, limit: 1, per: [campaign], window: {rolling: 24h}}")
    room.send(NOW - HOUR)
    assert (room.read().caps, room.read().unused) == ((), ())


def test_a_cap_that_the_active_policies_no_longer_have_is_left_out(room):
    room.load(TWO_A_DAY, BY_CHANNEL)
    room.send(NOW - HOUR)
    room.load(TWO_A_DAY)
    assert [cap.policy for cap in room.read().caps] == ["two-a-day"]


def test_keys_from_before_an_edit_of_what_a_cap_counts_by_are_left_out(room):
    room.load(BY_CHANNEL)
    room.send(NOW - HOUR)
    room.load(BY_CHANNEL.replace("channel]", "channel, tag]"))
    assert (room.read().caps, room.read().unused) == ((), ("by-channel",))
    room.load(BY_CHANNEL.replace(", channel]", "]"))
    assert (room.cap().key, room.cap().used) == ({"recipient.id": "r-1"}, 0)


@pytest.mark.parametrize("part", ["channel", "content_class"])
def test_a_key_of_another_shape_is_left_out_where_its_values_tell(room, part):
    """By tag before, and by what only has certain values now."""
    room.load(BY_TAG)
    room.send(NOW - HOUR, tags=("news", "push", "editorial"))
    room.load(BY_TAG.replace("[tag, recipient]", f"[{part}, recipient]"))
    field, value = ("channel", "push") if part == "channel" else ("content.class", "editorial")
    assert [cap.key for cap in room.read().caps] == [{"recipient.id": "r-1", field: value}]


def test_a_key_of_the_same_shape_counts_for_whatever_it_says_now(room):
    room.load(BY_TAG)
    room.send(NOW - HOUR)
    room.load(BY_TAG.replace("[tag, recipient]", "[topic, recipient]"))
    assert [(cap.key, cap.used) for cap in room.read().caps] == [({"recipient.id": "r-1", "content.topic": "news"}, 1)]


def test_a_key_that_is_too_long_to_be_kept_is_told_by_its_digest(room):
    person = Recipient(id="\U0001f600" * 200)
    room.load(BY_TAG)
    room.send(NOW - HOUR, recipient=person.id, tags=("\U0001f600" * 100, "news"))
    long, short = sorted(room.read(person).caps, key=lambda cap: "key" not in cap.key)
    assert short.key == {"recipient.id": person.id, "content.tags": "news"}
    assert (long.key.keys(), long.used, long.limit) == ({"recipient.id", "key"}, 1, 1)
    assert re.fullmatch("sha256:[0-9a-f]{64}", long.key["key"])


def test_a_cap_is_told_while_it_is_in_force_and_opens_when_it_no_longer_is(room):
    valid = "valid: {from: 2026-12-01T00:00:00Z, until: 2026-12-01T18:00:00Z}"
    room.load(TWO_A_DAY.replace("title: Two a day", valid))
    room.send(NOW - HOUR)
    assert told(room.cap()) == (1, 2, NOW)
    room.send(NOW - HOUR)
    end = datetime(2026, 12, 1, 18, tzinfo=UTC)
    assert told(room.cap()) == (2, 2, end)
    assert [room.read(now=now).caps for now in (NOW - 13 * HOUR, end)] == [(), ()]


def test_without_caps_there_is_nothing_to_tell(room):
    room.load("{id: x, kind: rule, deny_when: {channel: sms}}")
    assert (room.read().caps, room.read().unused, room.read().truncated) == ((), (), False)


def test_of_very_many_keys_only_so_many_are_told_and_the_other_caps_all_the_same(room):
    room.load(BY_TAG, BY_CHANNEL, TWO_A_DAY)
    tags = [f"tag-{number:05}" for number in range(MOST_KEYS + 30)]
    for first in range(0, len(tags), 50):
        room.send(NOW - HOUR, tags=tags[first : first + 50])
    usage = room.read()
    assert usage.truncated
    assert [cap.key.get("content.tags") for cap in usage.caps] == [*tags[:MOST_KEYS], None]
    assert usage.unused == ()


def test_a_store_out_of_reach_is_an_error_and_not_an_empty_usage(room):
    class Unreachable:
        def call(self, _handler, _item):
            raise DependencyError("connection refused", dependency="caps")

    room.load(TWO_A_DAY)
    room.transactor = Unreachable()
    with pytest.raises(DependencyError):
        room.read()


# --- the recipient's zone ---------------------------------------------------------------------------------------


UNKNOWN = "the recipient's zone is not known: "
ZONE_NEEDED = "a `timezone` is needed to say what counts"
PLACE_NEEDED = "`timezone`, `country` or `region` is needed to say what counts"
THE_MOST = "the most that counts in any zone that they may be in"


@pytest.mark.parametrize(
    ("fallback", "where", "used", "opens", "note"),
    [
        ("deny", {}, None, None, UNKNOWN + ZONE_NEEDED),
        ("deny", {"country": "DE"}, None, None, UNKNOWN + ZONE_NEEDED),
        ("deny", {"timezone": "Asia/Tokyo"}, 0, NOW, None),
        ("strictest", {}, None, None, UNKNOWN + PLACE_NEEDED),
        ("strictest", {"country": "DE"}, 1, "2026-12-02T00:00+01:00", UNKNOWN + THE_MOST),
        ("strictest", {"country": "US"}, 1, "2026-12-02T00:00-10:00", UNKNOWN + THE_MOST),
        ("strictest", {"region": "US-NY"}, 1, "2026-12-02T00:00-05:00", UNKNOWN + THE_MOST),
        ("Asia/Tokyo", {}, 0, NOW, UNKNOWN + "counted in Asia/Tokyo, as the policy says"),
    ],
)
def test_where_the_zone_is_not_known_the_policys_fallback_says_what_counts(room, fallback, where, used, opens, note):
    """It is 1 December in Germany and America, and in Tokyo the 2nd since the send."""
    room.load(TODAY % (THEIR_DAY % f'"{fallback}"'))
    room.send(NOW - HOUR)
    now = NOW + 4 * HOUR
    cap = room.cap(Recipient(id="r-1", **where), now=now)
    expected = now if opens is NOW else opens and datetime.fromisoformat(opens)
    assert (cap.used, cap.next_slot_at, cap.note) == (used, expected, note)


@pytest.mark.parametrize(
    ("where", "problems"),
    [
        (
            {"timezone": "Mars/Phobos"},
            [("/timezone", "there is no zone `Mars/Phobos`; a zone is named like `Europe/Berlin`")],
        ),
        (
            {"timezone": "Europe/Berln", "country": "XX"},
            [
                ("/timezone", "there is no zone `Europe/Berln`; did you mean `Europe/Berlin`?"),
                ("/country", "no zone is known in `XX`; a country is named like `DE`"),
            ],
        ),
        ({"region": "XX-AB"}, [("/region", "no zone is known in `XX-AB`; a region is named like `US-NY`")]),
    ],
)
def test_where_nobody_can_be_is_refused_whatever_the_policies_need(room, where, problems):
    room.load(TWO_A_DAY)
    with pytest.raises(CandidateError) as refused:
        room.read(Recipient(id="r-1", **where))
    assert list(refused.value.problems) == problems


def test_where_the_zone_is_not_known_the_keys_still_are(room):
    room.load(BY_CHANNEL.replace("{rolling: 24h}", THEIR_DAY % "deny"))
    assert room.read(Recipient(id="r-1")).unused == ("by-channel",)
    room.send(NOW - HOUR)
    cap = room.cap(Recipient(id="r-1"))
    assert (cap.key, cap.used) == ({"recipient.id": "r-1", "channel": "push"}, None)


# --- what the recipient chose -----------------------------------------------------------------------------------

PERSONAL = TWO_A_DAY.replace("limit: 2", "limit: 3, personal: true")


def test_the_limit_is_the_recipients_own_where_it_is_lower(room):
    room.load(PERSONAL)
    room.choose("limit:two-a-day", 1)
    room.send(NOW - HOUR)
    cap = room.cap()
    assert (told(cap), cap.policy_limit) == ((1, 1, NOW - HOUR + DAY), 3)
    assert cap.note == "the recipient wants at most 1; the policy allows 3"


def test_who_wants_none_has_no_next_slot(room):
    room.load(PERSONAL)
    room.choose("limit:two-a-day", 0)
    assert told(room.cap()) == (0, 0, None)


@pytest.mark.parametrize("own", [3, 4, None])
def test_no_other_limit_is_told_of(room, own):
    room.load(PERSONAL)
    room.choose("limit:two-a-day", own)
    cap = room.cap()
    assert (cap.limit, cap.policy_limit, cap.note) == (3, 3, None)


def test_a_limit_chosen_for_a_cap_that_is_not_personal_does_not_hold(room):
    room.load(TWO_A_DAY)
    room.choose("limit:two-a-day", 1)
    assert (room.cap().limit, room.cap().note) == (2, None)


def test_the_chosen_zone_stands_in_where_none_is_named(room):
    room.load(TODAY % (THEIR_DAY % "deny"))
    room.choose("timezone", "Asia/Tokyo")
    room.send(NOW)
    cap = room.cap(Recipient(id="r-1"))
    assert (told(cap), cap.note) == ((1, 1, NOW + 3 * HOUR), "counted in Asia/Tokyo, as the recipient chose")
    assert (told(room.cap()), room.cap().note) == ((1, 1, NOW + 11 * HOUR), None)


# --- caps that count money --------------------------------------------------------------------------------------

SPENT = "{id: spent, kind: spend_budget, money: {amount_minor: 1000, currency: EUR}%s, per: %s, window: %s}"
MONTH = "{calendar: month, timezone: UTC}"
NEXT_MONTH = datetime(2027, 1, 1, tzinfo=UTC)


def money(cap):
    return *told(cap), cap.currency


def test_of_a_budget_it_is_told_how_much_of_its_money_is_spent(room):
    room.load(SPENT % ("", "[]", MONTH))
    assert money(room.cap()) == (0, 1000, NOW, "EUR")
    room.send(NOW, spend=250, recipient="r-2")
    assert money(room.cap()) == (250, 1000, NOW, "EUR")
    room.send(NOW, spend=750)
    assert money(room.cap()) == (1000, 1000, NEXT_MONTH, "EUR")


def test_money_and_sends_of_one_policy_are_told_one_after_the_other(room):
    room.load(SPENT % (", sends: 2", "[recipient]", MONTH))
    room.send(NOW)
    assert [money(cap) for cap in room.read().caps] == [(250, 1000, NOW, "EUR"), (1, 2, NOW, None)]


def test_of_a_recipients_own_budgets_each_key_is_told(room):
    room.load(SPENT % (", sends: 2", "[recipient, channel]", MONTH))
    assert (room.read().caps, room.read().unused) == ((), ("spent",))
    room.send(NOW, channel="push")
    room.send(NOW, channel="email", spend=1000)
    room.send(NOW, channel="email", recipient="r-10")
    usage = room.read()
    assert [(cap.key["channel"], cap.used, cap.currency) for cap in usage.caps] == [
        ("email", 1000, "EUR"),
        ("push", 250, "EUR"),
        ("email", 1, None),
        ("push", 1, None),
    ]
    assert {cap.key["recipient.id"] for cap in usage.caps} == {"r-1"}
    assert usage.unused == ()


def test_what_is_planned_for_a_later_window_is_told_too(room):
    room.load(SPENT % ("", "[recipient, channel]", MONTH))
    room.send(NEXT_MONTH + HOUR)
    assert money(room.cap()) == (0, 1000, NOW, "EUR")


def test_what_a_recipient_was_offered_is_told_by_currency(room):
    limit = "{id: offered, kind: offer_limit, per_month: {amounts: {EUR: 500, JPY: 70}, timezone: UTC}}"
    room.load(limit)
    assert [money(cap) for cap in room.read().caps] == [(0, 500, NOW, "EUR"), (0, 70, NOW, "JPY")]
