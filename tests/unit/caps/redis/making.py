"""Decisions, holdings and questions around an instant, for tests of caps in Redis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from guardrails.caps.redis.epochs import CapEpoch
from guardrails.core.needs import CapCheck, Take, Usage, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from guardrails.decide.ports import StoredDecision
from guardrails.errors import CapsMoved, DependencyError
from redis_stores import RedisStores, real_now
from servers import RedisServer
from stores import stored_decision

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)


class BrokenUnitError(Exception):
    """What makes a unit fail."""


@dataclass(frozen=True)
class Cap:
    """A cap of at most `limit` a window of a day, under one key, of a recipient's own or shared.

    With an `amount` it sums amounts, and each send takes so much.
    """

    id: str = "cap"
    key: str = '["u-1"]'
    owner: str | None = "u-1"
    limit: int = 3
    count_on: Any = "reserved"
    keep_seconds: int = 86_400
    amount: int | None = None

    @property
    def take(self) -> Take:
        take = Take(self.id, self.key, self.count_on, None, self.owner, self.keep_seconds)
        return take if self.amount is None else replace(take, is_tallied=True, amount_minor=self.amount)

    def query(self, at: datetime) -> UsageQuery:
        query = UsageQuery(self.id, self.key, at - DAY, 1000, owner=self.owner)
        return query if self.amount is None else replace(query, newest=0, split=at + DAY, sums=True)

    def check(self, at: datetime) -> CapCheck:
        return CapCheck(self.query(at), at - DAY, at + DAY, self.limit - (self.amount or 1) + 1)


OWN = Cap()
BUDGET = Cap("budget", "[]", None)


def holding(number: int, at: datetime, *caps: Cap, lease: timedelta | None = HOUR, **changes: Any) -> Holding:
    return Holding(
        decision_id=f"d-{number}",
        takes=tuple(cap.take for cap in caps),
        at=at,
        lease_until=None if lease is None else at + lease,
        **changes,
    )


def reservation(number: int, at: datetime, *caps: Cap, lease: timedelta = HOUR) -> Reservation:
    checks = tuple(cap.check(at) for cap in caps)
    return Reservation(holding=holding(number, at, *caps, lease=lease), checks=checks)


def decision(number: int, at: datetime, *caps: Cap, lease: timedelta = HOUR, **changes: Any) -> StoredDecision:
    """As it is stored where its reservation is."""
    fields = {
        "evaluated_at": at,
        "lease_until": at + lease,
        "due_at": at + lease,
        "takes": tuple(cap.take for cap in caps),
    }
    return stored_decision(number, **(fields | changes))


def used(stores: RedisStores, at: datetime, *caps: Cap) -> list[int]:
    """How many slots count under each cap's key."""
    queries = [cap.query(at) for cap in caps]
    answers: dict[UsageQuery, Usage] = stores.do(lambda session: session.caps.read(queries, at))
    return [answers[query].older + len(answers[query].times) for query in queries]


def reserve(stores: RedisStores, *reservations: Reservation) -> None:
    at = reservations[0].holding.at
    stores.do(lambda session: session.caps.reserve(reservations, at))


def refusal(stores: RedisStores, *reservations: Reservation) -> type[Exception] | None:
    """What a store that asks once would hear; the transactor asks several times."""

    def work(session):
        try:
            session.caps.reserve(reservations, reservations[0].holding.at)
        except CapsMoved as error:
            return type(error)
        return None

    return stores.do(work)


def insert(stores: RedisStores, *decisions: StoredDecision) -> None:
    stores.do(lambda session: session.decisions.insert(decisions))


def end(stores: RedisStores, before: Holding, after: Holding | None = None) -> None:
    """As an outcome that frees: the caps are told, and the row changes."""

    def work(session):
        session.caps.settle([Settlement(before=before, after=after)])
        row = session.decisions.by_id([before.decision_id])[before.decision_id]
        session.decisions.update([msgspec.structs.replace(row, state="failed")])

    stores.do(work)


def pending(stores: RedisStores) -> list[str]:
    return [row.decision_id for row in stores.do(lambda session: session.decisions.caps_pending(10_000))]


def keys_with_expiry(redis: RedisServer) -> dict[str, int]:
    """Milliseconds since 1970 until which each key is kept."""
    with redis.connect() as client:
        seconds, micros = client.time()
        now = seconds * 1000 + micros // 1000
        return {key.split(":", 3)[3]: now + client.pttl(key) for key in client.keys("*") if "marker" not in key}


def epoch(stores: RedisStores) -> CapEpoch:
    return stores.do(lambda session: session.caps.epochs.read())


def decide(stores: RedisStores, number: int, *caps: Cap) -> None:
    """One decision as the route makes it: with Redis, or where that is out of reach, marked for later."""
    at = real_now()

    def work(session):
        try:
            session.caps.read([cap.query(at) for cap in caps], at)
            session.caps.reserve([reservation(number, at, *caps)], at)
            is_pending = False
        except DependencyError:
            is_pending = True
        session.decisions.insert([decision(number, at, *caps, is_caps_pending=is_pending)])

    stores.do(work)


def report_failed(stores: RedisStores, number: int) -> None:
    """A report that the send failed."""

    def work(session):
        row = session.decisions.by_id([f"d-{number}"])[f"d-{number}"]
        if not row.is_caps_pending:
            session.caps.settle([Settlement(before=row.holding(), after=None)])
        session.decisions.update([msgspec.structs.replace(row, state="failed")])

    stores.do(work)


def take(number: int, *caps: Cap) -> Callable[[Any], None]:
    """A unit's work: to take slots under the caps."""
    at = real_now()
    return lambda session: session.caps.reserve([reservation(number, at, *caps)], at)
