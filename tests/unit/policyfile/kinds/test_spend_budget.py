from __future__ import annotations

import pytest

from guardrails.core.amount_rule import AmountRule, LeftNeed, SpentNeed
from guardrails.core.cap_needs import CapNeed
from guardrails.core.cap_rule import CalendarWindow, CapRule
from guardrails.core.conditions import FactType, OneOf
from guardrails.core.policy import Retry
from guardrails.core.timing import Zone

USED, LEFT, SENDS = "cap.p.used_minor", "cap.p.left_minor", "cap.p.used"
WINDOW = "window: {calendar: month, timezone: project}\nper: [campaign]\n"
MONEY = f"kind: spend_budget\nmoney: {{amount_minor: 500000, currency: EUR}}\n{WINDOW}"
BOTH = f"{MONEY}sends: 3\n"
COSTS = {"spend.amount_minor": 250, "spend.currency": "EUR", USED: 0, LEFT: 499_750}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "satisfied"),
        ({LEFT: 0}, "satisfied"),
        ({LEFT: -1}, "budget.spent"),
        ({"spend.currency": "USD", LEFT: None, USED: None}, "budget.currency"),
        ({"spend.currency": None, LEFT: None, USED: None}, "undetermined"),
        ({"spend.amount_minor": None, LEFT: None}, "undetermined"),
        ({LEFT: None}, "undetermined"),
    ],
)
def test_a_send_must_fit_into_the_money_that_is_left(policy, outcome, changed, expected):
    facts = {field: value for field, value in (COSTS | changed).items() if value is not None}
    assert outcome(policy(MONEY), facts) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({SENDS: 2}, "satisfied"),
        ({SENDS: 3}, "budget.sends"),
        ({SENDS: 3, LEFT: -1}, "budget.spent"),
        ({SENDS: 3, "spend.currency": "USD"}, "budget.currency"),
        ({}, "undetermined"),
    ],
)
def test_money_and_sends_must_both_be_left(policy, outcome, changed, expected):
    assert outcome(policy(BOTH), COSTS | changed) == expected


@pytest.mark.parametrize(("used", "expected"), [(2, "satisfied"), (3, "budget.sends")])
def test_a_budget_may_be_of_sends_alone(policy, outcome, used, expected):
    lines = f"kind: spend_budget\nsends: 3\n{WINDOW}"
    assert outcome(policy(lines), {SENDS: used}) == expected


def test_each_of_its_limits_is_a_cap_of_its_own(policy):
    budget = policy(f"{BOTH}applies_to: {{channel: push}}\ncount_on: sent\n")
    most = {
        "window": CalendarWindow("month", Zone("Europe/Berlin")),
        "per": ("campaign.id",),
        "counts": OneOf("channel", FactType.STRING, ("push",)),
        "count_on": "sent",
    }
    money = AmountRule(id="p:EUR", limit=500_000, amount="spend", currency="EUR", **most)
    sends = CapRule(id="p", limit=3, **most)
    assert budget.caps == (money, sends)
    spent = SpentNeed(USED, (money,))
    assert budget.needs == (spent, LeftNeed(LEFT, spent), CapNeed(SENDS, sends))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (MONEY, "at most 5000.00 EUR in each calendar month in Europe/Berlin, for each campaign"),
        (BOTH, "at most 5000.00 EUR and 3 sends in each calendar month in Europe/Berlin, for each campaign"),
        (MONEY.replace("EUR", "JPY").replace("[campaign]", "[]"), "at most 500000 JPY in each calendar month"),
    ],
    ids=["money", "both", "yen"],
)
def test_its_words_tell_money_as_people_read_it(policy, lines, words):
    assert policy(lines).reason.message.startswith(words)


def test_it_passes_on_advice_to_the_sender(policy):
    assert policy(f"{MONEY}retry: {{every: 30m, attempts: 3}}\n").retry == Retry(1800, 3)


@pytest.mark.parametrize("window", ["rolling: 1d", "countdown: 16h"])
def test_money_is_counted_in_calendar_windows_only(problems, window):
    lines = f"kind: spend_budget\nmoney: {{amount_minor: 5, currency: EUR}}\nwindow: {{{window}}}\nper: []\n"
    assert problems(lines) == [(3, "bad-value")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("EUR", "EURO", [(2, "unknown-currency")]),
        ("EUR", "USX", [(2, "unknown-currency")]),
        ("500000", "0", [(2, "out-of-bounds")]),
        ("500000", str(10**14 + 1), [(2, "out-of-bounds")]),
        ("500000", "50.5", [(2, "wrong-type")]),
        ("per: [campaign]\n", "", [(0, "missing-property")]),
        ("money: {amount_minor: 500000, currency: EUR}\n", "", [(0, "missing-property")]),
    ],
)
def test_what_is_wrong_with_one_is_told_at_its_place(problems, old, new, expected):
    assert problems(MONEY.replace(old, new)) == expected
