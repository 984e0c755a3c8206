"""What the route needs from the rooms, as protocols named by behaviour.

INVARIANT: all that one `Session` reads and writes is one atomic, serializable, durable unit: no interleaving of
sessions lets one more send through a cap, and nothing of a unit that failed is kept.

A *handler* is a function of a session and a list of items; `Transactor.call` runs it for one item, together with
whatever others arrived for the same handler, and returns that item's result once the unit is durable. A handler may
be run more than once for the same items (after a conflict or a failed neighbour), so it must touch nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from guardrails.core.facts import Facts
from guardrails.core.index import Selection
from guardrails.core.needs import (
    ConsentQuery,
    ConsentState,
    PreferenceQuery,
    Preferences,
    Take,
    Usage,
    UsageQuery,
)
from guardrails.core.policy import Verdict
from guardrails.core.policy_set import PolicySet

__all__ = [
    "AuditLog",
    "CapStore",
    "ConsentReader",
    "DecisionStore",
    "Engine",
    "EngineFactory",
    "Handler",
    "PolicyArchive",
    "PreferenceReader",
    "Reservation",
    "ReservationState",
    "Session",
    "StoredDecision",
    "Transactor",
]

Item = TypeVar("Item")
Result = TypeVar("Result")

ReservationState = Literal["none", "reserved", "sent", "delivered", "failed", "cancelled", "expired"]
"""`none`: the decision was a deny and holds nothing. A reservation past its lease is `expired`."""


class StoredDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A decision as it was answered, byte for byte, with what its later life needs."""

    decision_id: str
    candidate_id: str
    body_hash: bytes
    answer: bytes
    evaluated_at: datetime
    audit_index: int
    state: ReservationState
    lease_until: datetime | None = None


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """The slots that one allowed decision takes, all or none, from `at` (the planned send) until the lease ends."""

    decision_id: str
    takes: tuple[Take, ...]
    at: datetime
    lease_until: datetime


class ConsentReader(Protocol):
    """Answers consent questions, in one round trip for all."""

    def read(self, queries: Sequence[ConsentQuery], /) -> Mapping[ConsentQuery, ConsentState]:
        """The newest record for each question; every question is answered. Raises DependencyError."""


class PreferenceReader(Protocol):
    """Answers preference questions, in one round trip for all."""

    def read(self, queries: Sequence[PreferenceQuery], /) -> Mapping[PreferenceQuery, Preferences]:
        """The recipient's toggles for each question; every question is answered. Raises DependencyError."""


class CapStore(Protocol):
    """Counts sends under keys, exactly."""

    def read(self, queries: Sequence[UsageQuery], now: datetime, /) -> Mapping[UsageQuery, Usage]:
        """The usage for each question; a slot whose lease ended at or before `now` does not count."""

    def reserve(self, reservations: Sequence[Reservation], /) -> None:
        """Take all slots of all reservations."""

    def commit(self, decision_id: str, outcome: Literal["sent", "delivered"], at: datetime, /) -> None:
        """The send took place: slots that count on this outcome count from `at` on, and no lease ends any."""

    def release(self, decision_id: str, /) -> None:
        """The send will not take place: its slots are free again."""


class DecisionStore(Protocol):
    """Decisions as answered: for idempotency, outcomes and reading back."""

    def by_candidate(self, candidate_ids: Sequence[str], /) -> Mapping[str, StoredDecision]:
        """The stored decision for each candidate id that has one."""

    def by_id(self, decision_id: str, /) -> StoredDecision | None:
        """The stored decision, or None."""

    def insert(self, decisions: Sequence[StoredDecision], /) -> None:
        """Keep new decisions."""

    def move(self, decision_id: str, state: ReservationState, /) -> None:
        """Record the state that the decision's reservation is in now."""


class AuditLog(Protocol):
    """The append-only log: index 0, 1, 2 ... without a gap."""

    def next_index(self) -> int:
        """The index that the next entry will get."""

    def append(self, entries: Sequence[bytes], /) -> None:
        """Add entries (JSON, UTF-8) at `next_index()` and on, in order."""

    def read(self, start: int, stop: int, /) -> Iterable[tuple[int, bytes]]:
        """Index and entry of `start <= index < stop`, in order, as many as there are."""


class PolicyArchive(Protocol):
    """The text of every policy set that ever decided, by revision."""

    def keep(self, revision: str, files: Mapping[str, str], at: datetime, /) -> None:
        """Keep the files of a revision; nothing happens where it is kept already."""

    def read(self, revision: str, /) -> Mapping[str, str] | None:
        """The files of a revision, or None where it never decided."""


class Session(Protocol):
    """One atomic unit of work over all rooms."""

    consents: ConsentReader
    preferences: PreferenceReader
    caps: CapStore
    decisions: DecisionStore
    audit: AuditLog
    policies: PolicyArchive


Handler = Callable[[Any, list[Item]], list[Result]]
"""(session, items) -> one result an item, in order; a result that is an exception is raised at its caller."""


class Transactor(Protocol):
    """Runs handlers inside sessions."""

    def call(self, handler: Handler[Item, Result], item: Item) -> Result:
        """Run `handler` for `item` in a session and return its result after the session is durable.

        Raises DependencyError where the stores can't be reached, and whatever the handler returned as exception.
        """

    def close(self) -> None:
        """Finish what was accepted, then stop."""


class Engine(Protocol):
    """One compiled policy set that gives verdicts. Safe to call from several threads."""

    def evaluate(self, selection: Selection, facts: Facts) -> Sequence[Verdict]:
        """One verdict for each of `selection.places`, in that order. Raises EngineFault where it has fewer."""


class EngineFactory(Protocol):
    """Compiles a policy set into an engine; everything that can be done ahead of a decision is done here."""

    def __call__(self, policy_set: PolicySet, /) -> Engine:
        """The engine for `policy_set`. Raises PolicyError where the set is beyond what the engine can hold."""
