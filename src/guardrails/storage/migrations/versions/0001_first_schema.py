"""The first schema: consents, preferences, cap slots, decisions, audit entries, policy sets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from guardrails.storage.append_only import append_only_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_WIDE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_FLAG = sa.Boolean().with_variant(sa.Integer, "sqlite")
_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "consent_events",
        sa.Column("seq", _WIDE, autoincrement=True, nullable=False),
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("recipient", _WORDS, nullable=False),
        sa.Column("purpose", _WORDS, nullable=False),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("at", _WIDE, nullable=False),
        sa.Column("method", _WORDS, nullable=False),
        sa.Column("notice_version", _WORDS),
        sa.Column("language", _WORDS),
        sa.Column("evidence", _WORDS, nullable=False),
        sa.Column("captured_by", _WORDS),
        sa.Column("expires_at", _WIDE),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_consent_events"),
        sa.UniqueConstraint("id", name="uq_consent_events_id"),
        sqlite_strict=True,
    )
    op.create_index("ix_consent_events_newest", "consent_events", ["recipient", "purpose", "at", "seq"])
    op.create_table(
        "preference_events",
        sa.Column("seq", _WIDE, autoincrement=True, nullable=False),
        sa.Column("recipient", _WORDS, nullable=False),
        sa.Column("toggle", _WORDS, nullable=False),
        sa.Column("is_on", _FLAG, nullable=False),
        sa.Column("at", _WIDE, nullable=False),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_preference_events"),
        sqlite_strict=True,
    )
    op.create_index("ix_preference_events_newest", "preference_events", ["recipient", "toggle", "at", "seq", "is_on"])
    op.create_table(
        "cap_slots",
        sa.Column("seq", _WIDE, autoincrement=True, nullable=False),
        sa.Column("cap", _WORDS, nullable=False),
        sa.Column("key", _WORDS, nullable=False),
        sa.Column("decision_id", _WORDS, nullable=False),
        sa.Column("count_on", _WORDS, nullable=False),
        sa.Column("countdown_seconds", _WIDE),
        sa.Column("counted_at", _WIDE),
        sa.Column("until", _WIDE),
        sa.Column("lease_until", _WIDE),
        sa.PrimaryKeyConstraint("seq", name="pk_cap_slots"),
        sqlite_strict=True,
    )
    op.create_index("ix_cap_slots_counted_at", "cap_slots", ["cap", "key", "counted_at", "lease_until"])
    op.create_index("ix_cap_slots_decision_id", "cap_slots", ["decision_id"])
    op.create_index(
        "ix_cap_slots_until",
        "cap_slots",
        ["cap", "key", "until", "lease_until"],
        sqlite_where=sa.text("until IS NOT NULL"),
        postgresql_where=sa.text("until IS NOT NULL"),
    )
    op.create_table(
        "decisions",
        sa.Column("decision_id", _WORDS, nullable=False),
        sa.Column("candidate_id", _WORDS, nullable=False),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("evaluated_at", _WIDE, nullable=False),
        sa.Column("audit_index", _WIDE, nullable=False),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("lease_until", _WIDE),
        sa.PrimaryKeyConstraint("decision_id", name="pk_decisions"),
        sa.UniqueConstraint("candidate_id", name="uq_decisions_candidate_id"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_decisions_lease_until",
        "decisions",
        ["lease_until"],
        sqlite_where=sa.text("state = 'reserved'"),
        postgresql_where=sa.text("state = 'reserved'"),
    )
    op.create_table(
        "audit_entries",
        sa.Column("index", _WIDE, autoincrement=False, nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("index", name="pk_audit_entries"),
        sqlite_strict=True,
    )
    op.create_table(
        "policy_sets",
        sa.Column("revision", _WORDS, nullable=False),
        sa.Column("files", _WORDS, nullable=False),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_policy_sets"),
        sqlite_strict=True,
    )
    for table in ("consent_events", "preference_events", "audit_entries", "policy_sets"):
        for statement in append_only_statements(table, op.get_context().dialect.name):
            op.execute(statement)
