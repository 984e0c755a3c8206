from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from guardrails.core.amount_rule import AmountRule, LeftNeed, SpentNeed
from guardrails.core.candidate import Candidate, Content, Offer, Recipient
from guardrails.core.cap_rule import CalendarWindow
from guardrails.core.conditions import TRUE, FactType, OneOf
from guardrails.core.timing import Zone
from guardrails.policyfile.kinds.offer_limit import ValidityNeed

AMOUNT, CURRENCY, ENDS = "offer.amount_minor", "offer.currency", "offer.expires_at"
TOO_LONG, USED, LEFT = "validity.p.too_long", "cap.p.used_minor", "cap.p.left_minor"
AMOUNTS = "kind: offer_limit\namounts: {EUR: 5000, JPY: 7000}\n"
VALIDITY = "kind: offer_limit\nvalidity: 14d\n"
MONTH = "kind: offer_limit\nper_month: {amounts: {EUR: 10000}, timezone: recipient, fallback: strictest}\n"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAYS, TICK = timedelta(days=14), timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({AMOUNT: 5000, CURRENCY: "EUR"}, "satisfied"),
        ({AMOUNT: 5001, CURRENCY: "EUR"}, "offer.too_much"),
        ({AMOUNT: 7000, CURRENCY: "JPY"}, "satisfied"),
        ({AMOUNT: 7001, CURRENCY: "JPY"}, "offer.too_much"),
        ({AMOUNT: 1, CURRENCY: "USD"}, "offer.currency_not_allowed"),
        ({CURRENCY: "USD"}, "offer.currency_not_allowed"),
        ({AMOUNT: 5000}, "undetermined"),
        ({CURRENCY: "EUR"}, "undetermined"),
        ({}, "undetermined"),
    ],
)
def test_an_offer_costs_no_more_than_is_allowed_in_its_currency(policy, outcome, facts, expected):
    assert outcome(policy(AMOUNTS), facts) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({ENDS: NOON, TOO_LONG: False}, "satisfied"),
        ({ENDS: NOON, TOO_LONG: True}, "offer.too_long"),
        ({}, "undetermined"),
    ],
)
def test_an_offer_is_not_valid_for_longer_than_is_allowed(policy, outcome, facts, expected):
    assert outcome(policy(VALIDITY), facts) == expected


def candidate(**offer):
    return Candidate(
        id="c",
        lane="monetized",
        channel="push",
        recipient=Recipient(id="r-1"),
        content=Content(class_="sponsored"),
        offer=Offer(id="o", **offer) if offer else None,
    )


@pytest.mark.parametrize(
    ("ends", "value", "change"),
    [
        (DAYS + TICK, True, TICK),
        (DAYS, False, None),
        (timedelta(days=20), True, timedelta(days=6)),
        (timedelta(0), False, None),
        (-DAYS, False, None),
    ],
)
def test_it_holds_from_the_first_instant_at_which_the_offer_ends_soon_enough(policy, ends, value, change):
    (need,) = policy(VALIDITY).needs
    assert need == ValidityNeed(TOO_LONG, 14 * 86_400)
    asked = candidate(expires_at=NOON + ends)
    assert need.queries(asked, NOON) == ()
    assert need.value((), asked, NOON) is value
    assert need.next_change((), asked, NOON) == (None if change is None else NOON + change)
    if change is not None:
        assert need.value((), asked, NOON + change) is False
        assert need.value((), asked, NOON + change - TICK) is True


@pytest.mark.parametrize("asked", [candidate(), candidate(amount_minor=5)], ids=["no offer", "without an end"])
def test_an_offer_that_names_no_end_leaves_its_validity_unknown(policy, asked):
    (need,) = policy(VALIDITY).needs
    assert (need.queries(asked, NOON), need.value((), asked, NOON), need.next_change((), asked, NOON)) == (None,) * 3


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "satisfied"),
        ({LEFT: -1}, "offer.month_spent"),
        ({CURRENCY: "USD", LEFT: None, USED: None}, "offer.currency_not_allowed"),
        ({CURRENCY: None, LEFT: None, USED: None}, "undetermined"),
    ],
)
def test_a_recipient_is_offered_no_more_in_a_month_than_is_allowed(policy, outcome, changed, expected):
    facts = {AMOUNT: 1900, CURRENCY: "EUR", USED: 0, LEFT: 0} | changed
    known = {field: value for field, value in facts.items() if value is not None}
    assert outcome(policy(MONTH), known) == expected


def test_what_is_offered_is_counted_by_currency_for_each_recipient(policy):
    limit = policy(MONTH.replace("{EUR: 10000}", "{EUR: 10000, JPY: 20000}"))
    most = {
        "window": CalendarWindow("month", Zone("recipient", "strictest")),
        "per": ("recipient.id",),
        "amount": "offer",
        "counts": TRUE,
    }
    rules = (
        AmountRule(id="p:EUR", limit=10_000, currency="EUR", **most),
        AmountRule(id="p:JPY", limit=20_000, currency="JPY", **most),
    )
    assert limit.caps == rules
    spent = SpentNeed(USED, rules)
    assert limit.needs == (spent, LeftNeed(LEFT, spent))


def test_what_counts_may_be_more_than_what_it_applies_to(policy):
    counts = "applies_to: {channel: push}\ncounts: {channel: [push, sms]}\n"
    month = MONTH.replace("strictest", "strictest, count_on: sent")
    (cap,) = policy(f"{month}{counts}").caps
    assert (cap.counts, cap.count_on) == (OneOf("channel", FactType.STRING, ("push", "sms")), "sent")
    (cap,) = policy(f"{MONTH}applies_to: {{channel: push}}\n").caps
    assert cap.counts == OneOf("channel", FactType.STRING, ("push",))


def test_all_limits_hold_together_and_the_first_that_does_not_names_the_reason(policy, outcome):
    every = policy(f"{AMOUNTS}validity: 14d\n{MONTH.removeprefix('kind: offer_limit').replace('}, t', ', JPY: 9}, t')}")
    facts = {AMOUNT: 1900, CURRENCY: "EUR", ENDS: NOON, TOO_LONG: False, USED: 0, LEFT: 0}
    assert outcome(every, facts) == "satisfied"
    assert outcome(every, facts | {LEFT: -1}) == "offer.month_spent"
    assert outcome(every, facts | {LEFT: -1, TOO_LONG: True}) == "offer.too_long"
    assert outcome(every, facts | {LEFT: -1, TOO_LONG: True, AMOUNT: 5001}) == "offer.too_much"
    assert outcome(every, {CURRENCY: "USD"}) == "offer.currency_not_allowed"


def test_its_words_say_what_is_demanded(policy):
    assert policy(AMOUNTS).reason.message == "an offer is of at most 50.00 EUR or 7000 JPY"
    assert policy(VALIDITY).reason.message == "an offer is valid for at most 14d"
    month = "an offer is one of at most 100.00 EUR for a recipient in a calendar month in "
    assert policy(MONTH).reason.message == f"{month}the recipient's zone"
    in_utc = MONTH.replace("recipient, fallback: strictest", "UTC")
    assert policy(in_utc).reason.message == f"{month}UTC"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("kind: offer_limit\n", [(0, "missing-property")]),
        (AMOUNTS.replace("JPY", "USX"), [(2, "unknown-currency")]),
        (AMOUNTS.replace("7000", "0"), [(2, "out-of-bounds")]),
        ("kind: offer_limit\namounts: {}\n", [(2, "out-of-bounds")]),
        (MONTH.replace("EUR", "eur"), [(2, "unknown-currency")]),
        (MONTH.replace(", fallback: strictest", ""), [(2, "missing-property")]),
        (f"{AMOUNTS}{MONTH.removeprefix('kind: offer_limit')}", [(4, "contradiction")]),
    ],
)
def test_what_is_wrong_with_one_is_told_at_its_place(problems, lines, expected):
    assert problems(lines) == expected


def test_a_longer_validity_lets_an_offer_through_sooner():
    asked = candidate(expires_at=NOON + timedelta(days=20))
    need = ValidityNeed(TOO_LONG, 86_400)
    assert need.next_change((), asked, NOON) == NOON + timedelta(days=19)
    assert replace(need, seconds=19 * 86_400).next_change((), asked, NOON) == NOON + timedelta(days=1)
