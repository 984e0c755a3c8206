"""Offers, conversions, redemptions, the ledger of wallets, revenue; caps that count money."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from guardrails.storage.append_only import append_only_statements

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WIDE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_FLAG = sa.Boolean().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("cap_tally_leases", sa.Column("sends", _WIDE, nullable=False, server_default=sa.text("1")))
    op.add_column("decisions", sa.Column("needed_until", _WIDE))
    _create_offers()
    _create_redemptions()
    _create_ledger()
    _create_revenues()
    for table in ("ledger_transactions", "ledger_postings", "revenues"):
        for statement in append_only_statements(table, op.get_context().dialect.name):
            op.execute(statement)


def _create_offers() -> None:
    op.create_table(
        "offers",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("terms", _WORDS, nullable=False),
        sa.Column("taken", _WIDE, nullable=False),
        sa.Column("withdrawn_at", _WIDE),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_offers"),
        sqlite_strict=True,
    )
    op.create_table(
        "conversions",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("decision_id", _WORDS, nullable=False),
        sa.Column("offer", _WORDS, nullable=False),
        sa.Column("recipient", _WORDS, nullable=False),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("declared", _WORDS, nullable=False),
        sa.Column("is_paid", _FLAG, nullable=False),
        sa.Column("done", _WORDS, nullable=False),
        sa.Column("opened_at", _WIDE, nullable=False),
        sa.Column("ends_at", _WIDE, nullable=False),
        sa.Column("converted_at", _WIDE),
        sa.PrimaryKeyConstraint("id", name="pk_conversions"),
        sqlite_strict=True,
    )
    for column in ("decision_id", "recipient", "ends_at"):
        op.create_index(f"ix_conversions_{column}", "conversions", [column])


def _create_redemptions() -> None:
    op.create_table(
        "redemptions",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("decision_id", _WORDS, nullable=False),
        sa.Column("held_decision", _WORDS),
        sa.Column("offer", _WORDS, nullable=False),
        sa.Column("recipient", _WORDS, nullable=False),
        sa.Column("conversion", _WORDS),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("method", _WORDS, nullable=False),
        sa.Column("amount_minor", _WIDE, nullable=False),
        sa.Column("currency", _WORDS, nullable=False),
        sa.Column("details", _WORDS, nullable=False),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.Column("settled_at", _WIDE),
        sa.Column("due_at", _WIDE),
        sa.PrimaryKeyConstraint("id", name="pk_redemptions"),
        sa.UniqueConstraint("held_decision", name="uq_redemptions_held_decision"),
        sqlite_strict=True,
    )
    op.create_index("ix_redemptions_due_at", "redemptions", ["due_at"])
    op.create_index("ix_redemptions_offer", "redemptions", ["offer", "recipient"])
    op.create_index("ix_redemptions_recipient", "redemptions", ["recipient"])
    op.create_table(
        "payment_events",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_payment_events"),
        sqlite_strict=True,
    )
    op.create_index("ix_payment_events_recorded_at", "payment_events", ["recorded_at"])


def _create_ledger() -> None:
    op.create_table(
        "ledger_accounts",
        sa.Column("account", _WORDS, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("unit", _WORDS, nullable=False),
        sa.Column("balance", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("account", name="pk_ledger_accounts"),
        sa.CheckConstraint("balance >= 0", name=op.f("ck_ledger_accounts_balance")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ledger_transactions",
        sa.Column("seq", _WIDE, autoincrement=False, nullable=False),
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("refers_to", _WORDS),
        sa.Column("reverses", _WORDS),
        sa.Column("memo", _WORDS, nullable=False),
        sa.Column("at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_ledger_transactions"),
        sa.UniqueConstraint("id", name="uq_ledger_transactions_id"),
        sa.UniqueConstraint("reverses", name="uq_ledger_transactions_reverses"),
        sqlite_strict=True,
    )
    op.create_index("ix_ledger_transactions_refers_to", "ledger_transactions", ["refers_to"])
    op.create_index("ix_ledger_transactions_at", "ledger_transactions", ["at", "seq"])
    op.create_table(
        "ledger_postings",
        sa.Column("account", _WORDS, nullable=False),
        sa.Column("seq", _WIDE, autoincrement=False, nullable=False),
        sa.Column("amount", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("account", "seq", name="pk_ledger_postings"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_ledger_postings_seq", "ledger_postings", ["seq"])


def _create_revenues() -> None:
    op.create_table(
        "revenues",
        sa.Column("id", _WORDS, nullable=False),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("amount_minor", _WIDE, nullable=False),
        sa.Column("currency", _WORDS, nullable=False),
        sa.Column("at", _WIDE, nullable=False),
        sa.Column("conversion", _WORDS),
        sa.Column("reverses", _WORDS),
        sa.Column("recipient", _WORDS),
        sa.Column("sponsor", _WORDS),
        sa.Column("booked", _WORDS, nullable=False),
        sa.Column("audit_index", _WIDE, nullable=False),
        sa.Column("recorded_at", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revenues"),
        sa.UniqueConstraint("reverses", name="uq_revenues_reverses"),
        sqlite_strict=True,
    )
    op.create_index("ix_revenues_conversion", "revenues", ["conversion"])
    op.create_index("ix_revenues_recorded_at", "revenues", ["recorded_at", "audit_index"])
    op.create_index("ix_revenues_recipient", "revenues", ["recipient"])
