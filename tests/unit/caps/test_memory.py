"""What memory must hold beyond the contract: that nothing is left of what is gone."""

from __future__ import annotations

from datetime import datetime, timedelta

from guardrails.caps import MemoryCaps
from guardrails.core.cap_rule import LISTED_TIMES
from guardrails.core.needs import Take, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from guardrails.storage.memory import Journal
from stores import instant

NOW = instant(12)
TAKES = (Take("cap", "k", owner="r-1"), Take("cap", "k"), Take("tallied", "k", is_tallied=True))


def holdings(count: int) -> list[Holding]:
    return [
        Holding(
            decision_id=f"d-{number}",
            takes=TAKES,
            at=instant(10) + timedelta(seconds=number),
            lease_until=instant(13),
        )
        for number in range(count)
    ]


def test_a_key_is_forgotten_with_the_last_that_it_holds():
    caps = MemoryCaps(Journal())
    held = holdings(3)
    caps.reserve([Reservation(holding=each) for each in held], NOW)
    caps.settle([Settlement(before=each, after=None) for each in held])
    caps.sweep(datetime.max.replace(tzinfo=NOW.tzinfo), 10)
    assert caps._slots == {}
    assert (caps._quarters, caps._leases) == ({}, {})


def test_a_recipient_who_was_forgotten_is_remembered_where_the_unit_fails():
    journal = Journal()
    caps = MemoryCaps(journal)
    (held,) = holdings(1)
    caps.reserve([Reservation(holding=held)], NOW)
    journal.keep()
    for before, after in [(held, None), (None, held), (held, None)]:
        caps.settle([Settlement(before=before, after=after)])
    assert caps._slots == {}
    journal.take_back()
    assert caps.keys_of("r-1") == [("cap", "k")]


def test_of_a_busy_shared_key_no_more_is_counted_than_any_limit_needs():
    caps = MemoryCaps(Journal())
    caps.reserve([Reservation(holding=each) for each in holdings(2 * LISTED_TIMES + 5)], NOW)
    shared, owned = (UsageQuery("cap", "k", instant(10), 2, owner=owner) for owner in (None, "r-1"))
    answers = caps.read([shared, owned], NOW)
    assert answers[shared].older == LISTED_TIMES
    assert answers[owned].older == 2 * LISTED_TIMES + 3
