"""A session converts with its redemption, be anything paid or not: whether it costs something is kept no more.

What cost nothing was converted by its last step before. Where nothing was redeemed in the session since, it is not
converted yet, and can be, as long as its time lasts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        sa.text(
            "UPDATE conversions SET converted_at = NULL WHERE NOT is_paid AND id NOT IN"
            " (SELECT conversion FROM redemptions WHERE conversion IS NOT NULL AND settled_at IS NOT NULL)"
        )
    )
    op.drop_column("conversions", "is_paid")
