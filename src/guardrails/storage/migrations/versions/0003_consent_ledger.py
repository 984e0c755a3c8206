"""The consent ledger: channels, notices, jurisdictions, confirmations; preferences become more than toggles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from guardrails.storage.append_only import append_only_statements

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WIDE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_FLAG = sa.Boolean().with_variant(sa.Integer, "sqlite")
_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


_CONSENT = (
    "seq",
    "id",
    "recipient",
    "purpose",
    "state",
    "at",
    "method",
    "notice_version",
    "language",
    "evidence",
    "captured_by",
    "expires_at",
    "recorded_at",
)


def upgrade() -> None:
    _replace_consents()
    op.create_table(
        "notices",
        sa.Column("hash", _WORDS, nullable=False),
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("version", _WORDS, nullable=False),
        sa.Column("language", _WORDS, nullable=False),
        sa.Column("body", _WORDS, nullable=False),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_notices"),
        sa.UniqueConstraint("id", "version", "language", name="uq_notices_id"),
        sqlite_strict=True,
    )
    _replace_preferences()
    for table in ("consent_events", "notices", "preference_events"):
        for statement in append_only_statements(table, op.get_context().dialect.name):
            op.execute(statement)


def _put_aside(table: str, *constraints: str) -> str:
    """Rename the table, with all that has a name of its own in the schema, and return its new name."""
    aside = f"{table}_0002"
    op.drop_index(f"ix_{table}_newest", table_name=table)
    if op.get_context().dialect.name == "postgresql":  # where names belong to the schema, not to the table
        for constraint in constraints:
            op.drop_constraint(constraint, table)
        op.execute(f"ALTER SEQUENCE {table}_seq_seq RENAME TO {aside}_seq_seq")
    op.rename_table(table, aside)
    return aside


def _replace_consents() -> None:
    aside = _put_aside("consent_events", "pk_consent_events", "uq_consent_events_id")
    op.create_table(
        "consent_events",
        sa.Column("seq", _WIDE, autoincrement=True, nullable=False),
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("recipient", _WORDS, nullable=False),
        sa.Column("purpose", _WORDS, nullable=False),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("at", _WIDE, nullable=False),
        sa.Column("method", _WORDS, nullable=False),
        sa.Column("channels", _WORDS),
        sa.Column("notice_id", _WORDS),
        sa.Column("notice_version", _WORDS),
        sa.Column("notice_hash", _WORDS),
        sa.Column("language", _WORDS),
        sa.Column("evidence", _WORDS, nullable=False),
        sa.Column("jurisdiction", _WORDS),
        sa.Column("captured_by", _WORDS),
        sa.Column("confirms", _WORDS),
        sa.Column("expires_at", _WIDE),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_consent_events"),
        sa.UniqueConstraint("id", name="uq_consent_events_id"),
        sqlite_strict=True,
    )
    op.create_index("ix_consent_events_newest", "consent_events", ["recipient", "purpose", "at", "seq"])
    op.create_index("ix_consent_events_confirms", "consent_events", ["confirms"], unique=True)
    names = _CONSENT[1:]  # the new table numbers them anew, in the old order
    old = sa.table(aside, *(sa.column(name) for name in _CONSENT))
    new = sa.table("consent_events", *(sa.column(name) for name in names))
    carried = sa.select(*(old.c[name] for name in names)).order_by(old.c.seq)
    op.execute(new.insert().from_select(list(names), carried))
    op.drop_table(aside)


def _replace_preferences() -> None:
    aside = _put_aside("preference_events", "pk_preference_events")
    op.create_table(
        "preference_events",
        sa.Column("seq", _WIDE, autoincrement=True, nullable=False),
        sa.Column("recipient", _WORDS, nullable=False),
        sa.Column("name", _WORDS, nullable=False),
        sa.Column("value", _WORDS, nullable=False),
        sa.Column("at", _WIDE, nullable=False),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_preference_events"),
        sqlite_strict=True,
    )
    op.create_index("ix_preference_events_newest", "preference_events", ["recipient", "name", "at", "seq"])
    old = sa.table(
        aside,
        sa.column("seq", _WIDE),
        sa.column("recipient", _WORDS),
        sa.column("toggle", _WORDS),
        sa.column("is_on", _FLAG),
        sa.column("at", _WIDE),
        sa.column("recorded_at", _WIDE),
    )
    new = sa.table(
        "preference_events", *(sa.column(name) for name in ("recipient", "name", "value", "at", "recorded_at"))
    )
    is_on = sa.case((old.c.is_on == sa.true(), sa.literal("true")), else_=sa.literal("false"))
    toggle = sa.literal("toggle:", _WORDS).concat(old.c.toggle)
    carried = sa.select(old.c.recipient, toggle, is_on, old.c.at, old.c.recorded_at).order_by(old.c.seq)
    op.execute(new.insert().from_select(["recipient", "name", "value", "at", "recorded_at"], carried))
    op.drop_table(aside)
