from __future__ import annotations

import pytest

from guardrails.core.cap_needs import CapNeed, PersonalNeed
from guardrails.core.cap_rule import CalendarWindow, CapRule, CountdownWindow, RollingWindow
from guardrails.core.conditions import TRUE, FactType, OneOf
from guardrails.core.policy import Retry
from guardrails.core.timing import Zone

FACT = "cap.p.used"


def lines(window="{rolling: 24h}", *, limit=2, per="[recipient]", more=""):
    return f"kind: frequency_cap\nlimit: {limit}\nwindow: {window}\nper: {per}\n{more}"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [({FACT: 0}, "satisfied"), ({FACT: 1}, "satisfied"), ({FACT: 2}, "cap.exceeded"), ({}, "undetermined")],
)
def test_fewer_than_the_limit_may_be_used(policy, outcome, facts, expected):
    assert outcome(policy(lines()), facts) == expected


@pytest.mark.parametrize(
    ("window", "expected", "words"),
    [
        ("{rolling: 24h}", RollingWindow(86_400), "in any 24h"),
        ("{countdown: 16h}", CountdownWindow(57_600), "while the countdowns of 16h run that each send starts"),
        (
            "{calendar: day, timezone: recipient, fallback: strictest}",
            CalendarWindow("day", Zone("recipient", "strictest")),
            "in each calendar day in the recipient's zone",
        ),
        (
            "{calendar: month, timezone: recipient, fallback: project}",
            CalendarWindow("month", Zone("recipient", "Europe/Berlin")),
            "in each calendar month in the recipient's zone",
        ),
        (
            "{calendar: week, week_starts: sun, timezone: project}",
            CalendarWindow("week", Zone("Europe/Berlin"), 6),
            "in each calendar week in Europe/Berlin",
        ),
        (
            "{calendar: week, week_starts: mon, timezone: Asia/Tokyo}",
            CalendarWindow("week", Zone("Asia/Tokyo"), 0),
            "in each calendar week in Asia/Tokyo",
        ),
    ],
)
def test_the_window_is_as_it_is_written(policy, window, expected, words):
    cap = policy(lines(window))
    rule = CapRule(id="p", limit=2, window=expected, per=("recipient.id",), counts=TRUE, count_on="reserved")
    assert cap.caps == (rule,)
    assert cap.needs == (CapNeed(FACT, rule),)
    assert cap.reason.message == f"at most 2 {words}, for each recipient"


def test_the_key_names_fields(policy):
    per = "[recipient, channel, campaign, sponsor, topic, tag, content_class]"
    cap = policy(lines(per=per))
    assert cap.caps[0].per == (
        "recipient.id",
        "channel",
        "campaign.id",
        "sponsor.id",
        "content.topic",
        "content.tags",
        "content.class",
    )
    assert cap.reason.message == (
        "at most 2 in any 24h, for each recipient, channel, campaign, sponsor, topic, tag and content class"
    )


def test_a_cap_may_be_over_everything(policy):
    cap = policy(lines(per="[]"))
    assert cap.caps[0].per == ()
    assert cap.reason.message == "at most 2 in any 24h, in all"


def test_it_counts_what_it_applies_to_where_nothing_else_is_said(policy):
    cap = policy(lines(more="applies_to: {channel: push}\n"))
    assert cap.caps[0].counts == cap.applies_to == OneOf("channel", FactType.STRING, ("push",))


def test_what_counts_may_differ_from_what_it_applies_to(policy):
    cap = policy(lines(more="applies_to: {channel: push}\ncounts: {lane: monetized}\n"))
    assert cap.caps[0].counts == OneOf("lane", FactType.STRING, ("monetized",))


@pytest.mark.parametrize("count_on", ["reserved", "sent", "delivered"])
def test_the_author_says_when_a_send_begins_to_count(policy, count_on):
    assert policy(lines(more=f"count_on: {count_on}\n")).caps[0].count_on == count_on


def test_it_passes_on_advice_to_the_sender(policy):
    assert policy(lines()).retry is None
    assert policy(lines(more="retry: {every: 4h, attempts: 3}\n")).retry == Retry(14_400, 3)


@pytest.mark.parametrize("window", ["{rolling: 24h}", "{countdown: 24h}"])
def test_rolling_and_countdown_windows_count_to_a_thousand(policy, problems, window):
    assert policy(lines(window, limit=1000)).caps[0].limit == 1000
    assert problems(lines(window, limit=1001)) == [(2, "out-of-bounds")]


def test_calendar_windows_count_to_a_billion(policy, problems):
    window = "{calendar: day, timezone: project}"
    assert policy(lines(window, limit=10**9)).caps[0].limit == 10**9
    assert problems(lines(window, limit=10**9 + 1)) == [(2, "out-of-bounds")]


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ("{}", "missing-property"),
        ("{timezone: project}", "missing-property"),
        ("{rolling: 24h, countdown: 24h}", "conflicting-properties"),
        ("{calendar: day}", "missing-property"),
        ("{calendar: week, timezone: project}", "missing-property"),
        ("{calendar: day, timezone: recipient}", "missing-property"),
        ("{calendar: fortnight, timezone: project}", "unknown-value"),
        ("{calendar: day, timezone: Mars/Olympus_Mons}", "unknown-zone"),
        ("{calendar: day, timezone: recipient, fallback: strict}", "unknown-zone"),
        ("{rolling: 24h, timezone: project}", "missing-property"),
        ("{rolling: 24h, week_starts: mon}", "missing-property"),
        ("{rolling: 24}", "wrong-type"),
        ("{rolling: 0h}", "out-of-bounds"),
        ("{rolling: 24h, timezoen: project}", "unknown-property"),
        ("24h", "wrong-type"),
    ],
)
def test_nothing_about_a_window_is_implicit(problems, window, code):
    found = problems(lines(window))
    assert {line for line, _ in found} == {3}
    assert code in {each for _, each in found}


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", '"1"', "many"])
def test_a_limit_is_at_least_one(problems, limit):
    assert [line for line, _ in problems(lines(limit=limit))] == [2]


@pytest.mark.parametrize(
    ("per", "code"),
    [("[user]", "unknown-value"), ("[recipient, recipient]", "duplicate-item"), ("recipient", "wrong-type")],
)
def test_a_key_is_made_of_known_words(problems, per, code):
    assert problems(lines(per=per)) == [(4, code)]


LEFT = "cap.p.left"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({FACT: 0, LEFT: 2}, "satisfied"),
        ({FACT: 1, LEFT: 1}, "satisfied"),
        ({FACT: 1, LEFT: 0}, "cap.personal"),
        ({FACT: 1, LEFT: -1}, "cap.personal"),
        ({FACT: 2, LEFT: 0}, "cap.exceeded"),
        ({FACT: 2, LEFT: -2}, "cap.exceeded"),
        ({}, "undetermined"),
    ],
)
def test_a_personal_cap_says_which_limit_is_reached(policy, outcome, facts, expected):
    assert outcome(policy(lines(more="personal: true\n")), facts) == expected


def test_a_personal_cap_counts_as_any_and_asks_what_the_recipient_chose(policy):
    cap, plain = policy(lines(more="personal: true\n")), policy(lines(more="personal: false\n"))
    used = CapNeed(FACT, cap.caps[0])
    assert cap.needs == (used, PersonalNeed(LEFT, used))
    assert cap.reason.message == "at most 2 in any 24h, for each recipient, or fewer where the recipient chose so"
    assert plain == policy(lines())


@pytest.mark.parametrize("per", ["[]", "[channel, campaign]"])
def test_what_recipients_share_has_no_personal_limit(problems, per):
    assert problems(lines(per=per, more="personal: true\n")) == [(5, "contradiction")]
