"""What decisions hold of the caps, and what is asked of it, in the words of the tests of the cap stores."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from guardrails.core.needs import Take, Usage, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from stores import instant

NOW = instant(12)
LEASE = instant(13)
LONG_AGO = instant(0)
TEN = instant(10)
TICK = timedelta(microseconds=1)
EVENING = instant(20)
LAST = datetime.max.replace(tzinfo=TEN.tzinfo)
MINUTE, DAY = 60, 86_400

RESERVED = Take("cap", "k", owner="r-1")
SENT = Take("cap", "k", "sent", owner="r-1")
DELIVERED = Take("cap", "k", "delivered", owner="r-1")
COUNTDOWN = Take("cap", "k", "reserved", 60 * MINUTE, owner="r-1")
TALLIED = Take("cap", "k", keep_seconds=DAY, is_tallied=True)
TALLIED_SENT = Take("cap", "k", "sent", keep_seconds=DAY, is_tallied=True)


def holding(number: int, *takes: Take, at=TEN, lease_until=LEASE) -> Holding:
    return Holding(decision_id=f"d-{number}", takes=takes, at=at, lease_until=lease_until)


def crowd(count: int, *takes: Take) -> list[Holding]:
    return [holding(number, *takes, at=TEN + number * TICK) for number in range(count)]


def reserve(do, *holdings: Holding, now=TEN) -> None:
    do(lambda session: session.caps.reserve([Reservation(holding=each) for each in holdings], now))


def settle(do, *moves: tuple[Holding | None, Holding | None]) -> None:
    do(lambda session: session.caps.settle([Settlement(before=before, after=after) for before, after in moves]))


def sent(held: Holding, at=TEN) -> Holding:
    return replace(held, lease_until=None, sent_at=at)


def delivered(held: Holding, at=TEN) -> Holding:
    return replace(held, lease_until=None, sent_at=held.sent_at or at, delivered_at=at)


def ask(do, query: UsageQuery, now=NOW) -> Usage:
    return do(lambda session: session.caps.read([query], now))[query]


def usage(do, *, cap="cap", key="k", since=LONG_AGO, newest=10, by="counted_at", owner="r-1", now=NOW) -> Usage:
    return ask(do, UsageQuery(cap, key, since, newest, by, owner), now)


def tally(do, *, cap="cap", key="k", since=LONG_AGO, split=EVENING, now=NOW) -> tuple[int, int]:
    answer = ask(do, UsageQuery(cap, key, since, 0, split=split), now)
    assert answer == Usage(older=answer.older, later=answer.later, split=split)
    return answer.older, answer.later


def spent(amount: int, **changes: Any) -> Take:
    return replace(TALLIED, cap="spent", amount_minor=amount, **changes)


def total(do, *, key="k", since=LONG_AGO, split=EVENING, owner=None, now=NOW) -> tuple[int, int]:
    query = UsageQuery("spent", key, since, 0, owner=owner, split=split, sums=True)
    answer = ask(do, query, now)
    assert answer == Usage(older=answer.older, later=answer.later, split=split)
    return answer.older, answer.later


def as_key(*values: str) -> str:
    return msgspec.json.encode(values).decode()
