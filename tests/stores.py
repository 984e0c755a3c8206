"""The rooms' stores joined into sessions, as `bootstrap` joins them, for tests of the rooms and of storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from guardrails.attribution import MemoryRevenues, SqlRevenues
from guardrails.audit import (
    MemoryAuditLog,
    MemoryDecisions,
    MemoryPolicyArchive,
    SqlAuditLog,
    SqlDecisions,
    SqlPolicyArchive,
)
from guardrails.caps import MemoryCaps, SqlCaps
from guardrails.consent import MemoryConsents, MemoryNotices, SqlConsents, SqlNotices
from guardrails.decide.ports import StoredDecision, Transactor
from guardrails.ledger import MemoryLedger, SqlLedger
from guardrails.offers import (
    MemoryConversions,
    MemoryOffers,
    MemoryRedemptions,
    SqlConversions,
    SqlOffers,
    SqlRedemptions,
)
from guardrails.payments.event_store import MemoryPaymentEvents, SqlPaymentEvents
from guardrails.preferences import MemoryPreferences, SqlPreferences
from guardrails.storage.memory import Journal
from guardrails.storage.transactors import open_transactor


@dataclass(frozen=True)
class Session:
    consents: Any
    notices: Any
    preferences: Any
    caps: Any
    decisions: Any
    audit: Any
    policies: Any
    offers: Any
    ledger: Any
    conversions: Any
    redemptions: Any
    payment_events: Any
    revenues: Any


def sql_session(connection: Connection) -> Session:
    return Session(
        SqlConsents(connection),
        SqlNotices(connection),
        SqlPreferences(connection),
        SqlCaps(connection),
        SqlDecisions(connection),
        SqlAuditLog(connection),
        SqlPolicyArchive(connection),
        SqlOffers(connection),
        SqlLedger(connection),
        SqlConversions(connection),
        SqlRedemptions(connection),
        SqlPaymentEvents(connection),
        SqlRevenues(connection),
    )


def memory_session(journal: Journal) -> Session:
    return Session(
        MemoryConsents(journal),
        MemoryNotices(journal),
        MemoryPreferences(journal),
        MemoryCaps(journal),
        MemoryDecisions(journal),
        MemoryAuditLog(journal),
        MemoryPolicyArchive(journal),
        MemoryOffers(journal),
        MemoryLedger(journal),
        MemoryConversions(journal),
        MemoryRedemptions(journal),
        MemoryPaymentEvents(journal),
        MemoryRevenues(journal),
    )


def open_stores(url: str, **options: float) -> Transactor:
    return open_transactor(url, sql_session=sql_session, memory_session=memory_session, **options)


def make_database(url: str) -> None:
    """The database with an empty schema."""
    transactor = open_stores(url)
    run(transactor, lambda _: None)
    transactor.close()


def sqlite_url(path: Path) -> str:
    return f"sqlite:///{path}"


def run(transactor: Transactor, work: Callable[[Session], Any]) -> Any:
    """What `work` gives for a session of its own."""
    return transactor.call(lambda session, items: [work(session) for _ in items], None)


def instant(hour: int, minute: int = 0, second: int = 0, microsecond: int = 0) -> datetime:
    """A time of day on 1 December 2026, UTC."""
    return datetime(2026, 12, 1, hour, minute, second, microsecond, tzinfo=UTC)


def stored_decision(number: int, **changes: Any) -> StoredDecision:
    fields = {
        "decision_id": f"d-{number}",
        "candidate_id": f"c-{number}",
        "body_hash": bytes([number % 256]) * 32,
        "answer": b'{"effect":"allow"}',
        "evaluated_at": instant(10, microsecond=number % 1_000_000),
        "audit_index": number,
        "state": "reserved",
        "due_at": instant(10, 10),
        "lease_until": instant(10, 10),
    }
    return StoredDecision(**(fields | changes))
