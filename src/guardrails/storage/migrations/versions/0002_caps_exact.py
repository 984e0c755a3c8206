"""Caps that are exact on every store: new tables of slots and tallies; decisions carry what they hold, and come due.

The slots begin anew: what a decision of the first schema took was never written down with it, so it counts no more.
Its answer, its state and its place in the log stay, and its candidate is still answered the same.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_WIDE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_FLAG = sa.Boolean().with_variant(sa.Integer, "sqlite")
_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_KEPT_MICROS = 7 * 24 * 3600 * 1_000_000


def upgrade() -> None:
    op.drop_table("cap_slots")
    _create_caps()
    _replace_decisions()


def _create_caps() -> None:
    op.create_table(
        "cap_slots",
        sa.Column("owner", _WORDS, nullable=False),
        sa.Column("cap", _WORDS, nullable=False),
        sa.Column("key", _WORDS, nullable=False),
        sa.Column("instant", _WIDE, autoincrement=False, nullable=False),
        sa.Column("decision_id", _WORDS, nullable=False),
        sa.Column("lease_until", _WIDE),
        sa.PrimaryKeyConstraint("owner", "cap", "key", "instant", "decision_id", name="pk_cap_slots"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cap_tallies",
        sa.Column("cap", _WORDS, nullable=False),
        sa.Column("key", _WORDS, nullable=False),
        sa.Column("quarter", _WIDE, autoincrement=False, nullable=False),
        sa.Column("sends", _WIDE, nullable=False),
        sa.Column("keep_until", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("cap", "key", "quarter", name="pk_cap_tallies"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("ix_cap_tallies_keep_until", "cap_tallies", ["keep_until"])
    op.create_table(
        "cap_tally_leases",
        sa.Column("cap", _WORDS, nullable=False),
        sa.Column("key", _WORDS, nullable=False),
        sa.Column("lease_until", _WIDE, autoincrement=False, nullable=False),
        sa.Column("decision_id", _WORDS, nullable=False),
        sa.Column("instant", _WIDE, nullable=False),
        sa.PrimaryKeyConstraint("cap", "key", "lease_until", "decision_id", name="pk_cap_tally_leases"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "cap_epochs",
        sa.Column("only", _WIDE, autoincrement=False, nullable=False),
        sa.Column("home", _WORDS, nullable=False),
        sa.Column("epoch", _WORDS, nullable=False),
        sa.Column("servers", _WORDS, nullable=False),
        sa.Column("keeps", _WORDS, nullable=False),
        sa.Column("rebuilder", _WORDS),
        sa.Column("rebuilding_until", _WIDE),
        sa.PrimaryKeyConstraint("only", name="pk_cap_epochs"),
        sqlite_strict=True,
    )


def _replace_decisions() -> None:
    op.drop_index("ix_decisions_lease_until", table_name="decisions")
    if (
        op.get_context().dialect.name == "postgresql"
    ):  # where the names of constraints are the schema's, not the table's
        op.drop_constraint("pk_decisions", "decisions")
        op.drop_constraint("uq_decisions_candidate_id", "decisions")
    op.rename_table("decisions", "decisions_0001")
    op.create_table(
        "decisions",
        sa.Column("decision_id", _WORDS, nullable=False),
        sa.Column("candidate_id", _WORDS, nullable=False),
        sa.Column("owned_candidate", _WORDS),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("evaluated_at", _WIDE, nullable=False),
        sa.Column("audit_index", _WIDE, nullable=False),
        sa.Column("state", _WORDS, nullable=False),
        sa.Column("due_at", _WIDE, nullable=False),
        sa.Column("lease_until", _WIDE),
        sa.Column("sent_at", _WIDE),
        sa.Column("delivered_at", _WIDE),
        sa.Column("takes", sa.LargeBinary, nullable=False),
        sa.Column("is_caps_pending", _FLAG, nullable=False),
        sa.PrimaryKeyConstraint("decision_id", name="pk_decisions"),
        sa.UniqueConstraint("owned_candidate", name="uq_decisions_owned_candidate"),
        sqlite_strict=True,
    )
    _carry_over()
    op.drop_table("decisions_0001")
    op.create_index("ix_decisions_due_at", "decisions", ["due_at"])
    op.create_index(
        "ix_decisions_is_caps_pending",
        "decisions",
        ["decision_id"],
        sqlite_where=sa.text("is_caps_pending = 1"),
        postgresql_where=sa.text("is_caps_pending = true"),
    )


def _carry_over() -> None:
    """Every decision owns its candidate, holds nothing, and is due once its lease ends or its keeping does."""
    old = sa.table(
        "decisions_0001",
        sa.column("decision_id", _WORDS),
        sa.column("candidate_id", _WORDS),
        sa.column("body_hash", sa.LargeBinary),
        sa.column("answer", sa.LargeBinary),
        sa.column("evaluated_at", _WIDE),
        sa.column("audit_index", _WIDE),
        sa.column("state", _WORDS),
        sa.column("lease_until", _WIDE),
    )
    lease_ends = sa.case((old.c.state == "reserved", old.c.lease_until))
    carried = {
        "decision_id": old.c.decision_id,
        "candidate_id": old.c.candidate_id,
        "owned_candidate": old.c.candidate_id,
        "body_hash": old.c.body_hash,
        "answer": old.c.answer,
        "evaluated_at": old.c.evaluated_at,
        "audit_index": old.c.audit_index,
        "state": old.c.state,
        "due_at": sa.func.coalesce(lease_ends, old.c.evaluated_at + _KEPT_MICROS),
        "lease_until": old.c.lease_until,
        "takes": sa.literal(b"[]", sa.LargeBinary),
        "is_caps_pending": sa.false(),
    }
    new = sa.table("decisions", *(sa.column(name) for name in carried))
    op.execute(new.insert().from_select(list(carried), sa.select(*carried.values())))
