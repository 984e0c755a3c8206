"""Caps that count money: what a send takes of them, what is used, and how much is left."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from guardrails.core.amount_rule import LIMIT_MOST, AmountRule, LeftNeed, SpentNeed
from guardrails.core.candidate import Campaign, Candidate, Content, Offer, Recipient, Spend
from guardrails.core.cap_rule import CalendarWindow
from guardrails.core.facts import NUMBER_LIMIT
from guardrails.core.needs import CapCheck, Take, Usage, UsageQuery
from guardrails.core.timing import Zone

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MONTH, NEXT = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
KEEP = 32 * 86_400
CANDIDATE = Candidate(
    id="c",
    lane="monetized",
    channel="push",
    recipient=Recipient(id="r-1"),
    content=Content(class_="sponsored", tags=("a", "b")),
    campaign=Campaign(id="k"),
    spend=Spend(amount_minor=250, currency="EUR"),
    offer=Offer(id="o", amount_minor=1900, currency="EUR"),
)
RULE = AmountRule(
    id="x:EUR",
    limit=1000,
    window=CalendarWindow("month", Zone("UTC")),
    per=("campaign.id",),
    amount="spend",
    currency="EUR",
)
THEIRS = replace(RULE, per=("recipient.id",), amount="offer", limit=5000)
QUESTION = UsageQuery("x:EUR", '["k"]', MONTH, 0, split=NEXT, sums=True)
IN_DOLLARS = replace(CANDIDATE, spend=Spend(amount_minor=250, currency="USD"))
WITHOUT = replace(CANDIDATE, spend=None, offer=Offer(id="o", amount_minor=5))


def needs(rule: AmountRule = RULE) -> tuple[SpentNeed, LeftNeed]:
    spent = SpentNeed("cap.x.used_minor", (rule, replace(rule, id="x:JPY", currency="JPY", limit=70_000)))
    return spent, LeftNeed("cap.x.left_minor", spent)


def used(older: int, later: int = 0) -> tuple[Usage]:
    return (Usage(older=older, later=later, split=NEXT),)


def test_a_send_takes_what_it_costs():
    take = Take("x:EUR", '["k"]', keep_seconds=KEEP, is_tallied=True, amount_minor=250)
    assert RULE.takes(CANDIDATE) == (take,)


def test_of_a_recipients_own_key_it_takes_tallied_too():
    take = Take("x:EUR", '["r-1"]', "sent", owner="r-1", keep_seconds=KEEP, is_tallied=True, amount_minor=1900)
    assert replace(THEIRS, count_on="sent").takes(CANDIDATE) == (take,)


def test_it_takes_the_whole_amount_under_each_key():
    takes = replace(RULE, per=("content.tags",)).takes(CANDIDATE)
    assert [(take.key, take.amount) for take in takes] == [('["a"]', 250), ('["b"]', 250)]


@pytest.mark.parametrize(
    "candidate",
    [
        IN_DOLLARS,
        WITHOUT,
        replace(CANDIDATE, spend=Spend(amount_minor=0, currency="EUR")),
        replace(CANDIDATE, campaign=None),
    ],
    ids=["another currency", "no amount", "nothing", "no campaign"],
)
def test_it_takes_nothing_where_it_costs_nothing_in_this_currency(candidate):
    assert RULE.takes(candidate) == ()


def test_an_amount_without_its_currency_takes_nothing():
    assert replace(THEIRS, currency="EUR").takes(WITHOUT) == ()


def test_no_send_takes_more_than_just_beyond_every_limit():
    dear = replace(CANDIDATE, spend=Spend(amount_minor=2**53, currency="EUR"))
    assert [take.amount for take in RULE.takes(dear)] == [LIMIT_MOST + 1]
    _, left = needs(replace(RULE, limit=LIMIT_MOST))
    assert left.value(used(0), dear, NOON) == -1


def test_it_asks_for_the_sum_of_the_window():
    spent, left = needs()
    assert spent.queries(CANDIDATE, NOON) == (QUESTION,)
    assert left.queries(CANDIDATE, NOON) == ()
    assert left.shares == ("cap.x.used_minor",)


def test_a_recipients_own_sums_are_asked_for_as_theirs():
    spent, _ = needs(THEIRS)
    assert spent.queries(CANDIDATE, NOON) == (replace(QUESTION, key='["r-1"]', owner="r-1"),)


def test_the_question_is_for_the_currency_that_the_candidate_names():
    yen = replace(CANDIDATE, spend=Spend(amount_minor=250, currency="JPY"))
    spent, left = needs()
    assert spent.queries(yen, NOON) == (replace(QUESTION, cap="x:JPY"),)
    assert left.value(used(0), yen, NOON) == 70_000 - 250


def test_in_a_currency_without_a_rule_nothing_is_asked_and_nothing_known():
    spent, left = needs()
    assert spent.queries(IN_DOLLARS, NOON) == ()
    assert (spent.value((), IN_DOLLARS, NOON), left.value((), IN_DOLLARS, NOON)) == (None, None)
    assert (spent.next_change((), IN_DOLLARS, NOON), left.checks((), (), IN_DOLLARS, NOON)) == (None, ())


@pytest.mark.parametrize(
    "candidate", [WITHOUT, replace(CANDIDATE, campaign=None)], ids=["no amount", "a part of the key is missing"]
)
def test_what_is_missing_leaves_nothing_known(candidate):
    spent, left = needs()
    assert spent.queries(candidate, NOON) is None
    assert (spent.value((), candidate, NOON), left.value((), candidate, NOON)) == (None, None)


def test_without_the_recipients_zone_nothing_is_known():
    spent, left = needs(replace(THEIRS, window=CalendarWindow("month", Zone("recipient", "deny"))))
    assert spent.queries(CANDIDATE, NOON) is None
    assert spent.value(used(0), CANDIDATE, NOON) is None
    assert spent.fields == ("offer.amount_minor", "offer.currency", "recipient.id", "recipient.timezone")
    assert left.fields == spent.fields


def test_its_fields_are_the_amount_and_what_the_key_is_made_of():
    assert needs()[0].fields == ("spend.amount_minor", "spend.currency", "campaign.id")


@pytest.mark.parametrize(("before", "left"), [(0, 750), (750, 0), (751, -1), (1200, -450)])
def test_what_is_left_is_what_the_limit_leaves_of_what_is_used_and_of_this_send(before, left):
    spent, rest = needs()
    assert spent.value(used(before), CANDIDATE, NOON) == before
    assert rest.value(used(before), CANDIDATE, NOON) == left


def test_facts_stay_within_what_is_a_number_to_a_policy():
    spent, left = needs()
    assert spent.value(used(2**60), CANDIDATE, NOON) == NUMBER_LIMIT
    assert (
        left.value(used(2**60), replace(CANDIDATE, spend=Spend(amount_minor=2000, currency="EUR")), NOON)
        == -NUMBER_LIMIT
    )


def test_without_tags_nothing_is_used_of_one_counter_a_tag():
    spent, left = needs(replace(RULE, per=("content.tags",)))
    untagged = replace(CANDIDATE, content=Content(class_="sponsored", tags=()))
    assert (spent.value((), untagged, NOON), left.value((), untagged, NOON)) == (0, 750)


def test_it_changes_when_the_window_ends():
    spent, left = needs()
    assert spent.next_change(used(1), CANDIDATE, NOON) == left.next_change(used(0, 5), CANDIDATE, NOON) == NEXT
    assert left.next_change(used(0), CANDIDATE, NOON) is None


def test_an_allow_rests_on_room_for_its_amount():
    _, left = needs()
    assert left.checks((QUESTION,), used(0), CANDIDATE, NOON) == (CapCheck(QUESTION, MONTH, NEXT, 751),)
