"""Allowed sends and the slots they hold, over the rooms' stores, for tests of outcomes and housekeeping."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from guardrails.core.needs import Take, Usage, UsageQuery
from guardrails.decide.entry import OutcomeEntry, decode_entry
from guardrails.decide.holdings import Reservation, ReservationState
from guardrails.decide.housekeeping import Housekeeping
from guardrails.decide.outcomes import Outcome, OutcomeReport, Outcomes
from guardrails.decide.ports import StoredDecision, Transactor
from guardrails.errors import DependencyError
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session, run, stored_decision

KEEP = timedelta(days=7)
DAY_SECONDS = 86_400
TEN = instant(10)
LEASE = instant(10, 10)
NOON = instant(12)

TAKES = (
    Take("reserved", '["r"]', "reserved", None, "r", DAY_SECONDS),
    Take("sent", '["r"]', "sent", None, "r", DAY_SECONDS),
    Take("delivered", '["r"]', "delivered", None, "r", DAY_SECONDS),
    Take("countdown", '["r"]', "sent", 3600, "r"),
    Take("tallied", "[]", "reserved", None, None, 2 * DAY_SECONDS, is_tallied=True),
    Take("tallied-delivered", "[]", "delivered", None, None, 2 * DAY_SECONDS, is_tallied=True),
)
"""One slot of each sort, named by what it counts on."""


class Sends:
    """The stores, and what a sender and housekeeping do to them."""

    def __init__(self, transactor: Transactor) -> None:
        self.transactor = transactor
        self.now = TEN
        self.outcomes = Outcomes(transactor, clock=lambda: self.now, keep=KEEP)
        self.housekeeping = Housekeeping(transactor, keep=KEEP)

    def allow(self, number: int = 1, **changes: Any) -> StoredDecision:
        """Decision `d-<number>`, at ten, with a lease to ten past and a slot of each sort, as its row says it is."""
        given = {"evaluated_at": TEN, "lease_until": LEASE, "due_at": LEASE, "takes": TAKES, **changes}
        decision = stored_decision(number, **given)
        holding = decision.holding()

        def write(session: Any) -> None:
            session.decisions.insert([decision])
            if holding is not None:
                session.caps.reserve([Reservation(holding=holding)], TEN)

        run(self.transactor, write)
        return decision

    def report(
        self, outcome: Outcome, at: datetime | None = None, *, number: int = 1, now: datetime = NOON
    ) -> ReservationState | Exception:
        """The state that one report leads to, or why it is refused."""
        (result,) = self.outcomes.report([OutcomeReport(f"d-{number}", outcome, at)], now=now)
        return result if isinstance(result, Exception) else result.state

    def kept(self, number: int = 1) -> StoredDecision | None:
        """The decision as it is kept."""
        decision_id = f"d-{number}"
        return run(self.transactor, lambda session: session.decisions.by_id([decision_id])).get(decision_id)

    def used(self, now: datetime = NOON) -> dict[str, Usage]:
        """What counts, by the name of the cap; caps that count nothing are left out."""
        split = instant(10, 30)
        queries = {
            take.cap: UsageQuery(
                take.cap, take.key, instant(0), 100, "counted_at", take.owner, split if take.is_tallied else None
            )
            for take in TAKES
        }
        answers = run(self.transactor, lambda session: session.caps.read(list(queries.values()), now))
        usages = {cap: answers[query] for cap, query in queries.items()}
        return {cap: usage for cap, usage in usages.items() if usage.times or usage.older or usage.later}

    def counted(self, now: datetime = NOON) -> set[str]:
        """The caps that count anything."""
        return set(self.used(now))

    def entries(self) -> list[OutcomeEntry]:
        """The log."""
        read = run(self.transactor, lambda session: list(session.audit.read(0, 10**6)))
        return [entry for entry in (decode_entry(data) for _, data in read) if isinstance(entry, OutcomeEntry)]


class CapsApart:
    """Caps in a store of their own, which a test puts out of reach, and what was asked of it."""

    def __init__(self) -> None:
        self.is_out = False
        self.lost = "caps"
        self.calls: list[str] = []
        self._caps: Any = None

    def transactor(self) -> Transactor:
        """Stores in memory with these caps."""

        def session(journal: Any) -> Any:
            joined = memory_session(journal)
            self._caps = joined.caps
            return replace(joined, caps=self)

        return MemoryTransactor(session)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._caps, name)

        def call(*args: Any) -> Any:
            self.calls.append(name)
            if self.is_out:
                raise DependencyError("connection refused", dependency=self.lost)
            return method(*args)

        return call
