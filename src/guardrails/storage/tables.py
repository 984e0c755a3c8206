"""The schema, all of it. Every change here comes with a migration; a test holds the two together.

Instants are integer microseconds (`instants`), JSON is text, and what was answered or recorded stays as it was:
`APPEND_ONLY` tables refuse UPDATE and DELETE in the database itself.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

__all__ = [
    "APPEND_ONLY",
    "METADATA",
    "SCHEMA_REVISION",
    "audit_entries",
    "cap_slots",
    "consent_events",
    "decisions",
    "policy_sets",
    "preference_events",
]

SCHEMA_REVISION = "0001"
"""The newest migration; a database that is at it needs none."""

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(column_0_label)s",
    }
)

WideInteger = BigInteger().with_variant(Integer, "sqlite")
Flag = Boolean().with_variant(Integer, "sqlite")

consent_events = Table(
    "consent_events",
    METADATA,
    Column("seq", WideInteger, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("recipient", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at", WideInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("notice_version", Text),
    Column("language", Text),
    Column("evidence", Text, nullable=False),
    Column("captured_by", Text),
    Column("expires_at", WideInteger),
    Column("recorded_at", WideInteger, nullable=False),
    Index("ix_consent_events_newest", "recipient", "purpose", "at", "seq"),
    sqlite_strict=True,
)

preference_events = Table(
    "preference_events",
    METADATA,
    Column("seq", WideInteger, primary_key=True, autoincrement=True),
    Column("recipient", Text, nullable=False),
    Column("toggle", Text, nullable=False),
    Column("is_on", Flag, nullable=False),
    Column("at", WideInteger, nullable=False),
    Column("recorded_at", WideInteger, nullable=False),
    Index("ix_preference_events_newest", "recipient", "toggle", "at", "seq", "is_on"),
    sqlite_strict=True,
)

cap_slots = Table(
    "cap_slots",
    METADATA,
    Column("seq", WideInteger, primary_key=True, autoincrement=True),
    Column("cap", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("decision_id", Text, nullable=False),
    Column("count_on", Text, nullable=False),
    Column("countdown_seconds", WideInteger),
    Column("counted_at", WideInteger),  # null until the outcome that it counts on
    Column("until", WideInteger),  # when its countdown ends; null without one, or while it does not count
    Column("lease_until", WideInteger),  # null once the send took place
    # Reads stay within these two, however many recipients there are.
    Index("ix_cap_slots_counted_at", "cap", "key", "counted_at", "lease_until"),
    Index("ix_cap_slots_decision_id", "decision_id"),
    sqlite_strict=True,
)
# Few caps count down: the others' slots don't pay for it.
Index(
    "ix_cap_slots_until",
    cap_slots.c.cap,
    cap_slots.c.key,
    cap_slots.c.until,
    cap_slots.c.lease_until,
    sqlite_where=cap_slots.c.until.is_not(None),
    postgresql_where=cap_slots.c.until.is_not(None),
)

decisions = Table(
    "decisions",
    METADATA,
    Column("decision_id", Text, primary_key=True),
    Column("candidate_id", Text, nullable=False, unique=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("evaluated_at", WideInteger, nullable=False),
    Column("audit_index", WideInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("lease_until", WideInteger),
    sqlite_strict=True,
)
# Only leases that still run are looked for when they end.
Index(
    "ix_decisions_lease_until",
    decisions.c.lease_until,
    sqlite_where=decisions.c.state == "reserved",
    postgresql_where=decisions.c.state == "reserved",
)

audit_entries = Table(
    "audit_entries",
    METADATA,
    Column("index", WideInteger, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),
    sqlite_strict=True,
)

policy_sets = Table(
    "policy_sets",
    METADATA,
    Column("revision", Text, primary_key=True),
    Column("files", Text, nullable=False),
    Column("recorded_at", WideInteger, nullable=False),
    sqlite_strict=True,
)

APPEND_ONLY = (consent_events, preference_events, audit_entries, policy_sets)
