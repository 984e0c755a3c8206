"""Whose decisions they are: a recipient may ask why they were sent something. Decisions made before name nobody."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("decisions", sa.Column("recipient", _WORDS))
    is_allow = sa.text("lease_until IS NOT NULL")
    op.create_index(
        "ix_decisions_recipient",
        "decisions",
        ["recipient", "evaluated_at"],
        sqlite_where=is_allow,
        postgresql_where=is_allow,
    )
