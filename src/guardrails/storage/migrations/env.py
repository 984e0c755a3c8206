"""Run by Alembic for every command: migrates over the connection that it is handed, within that one's transaction."""

from __future__ import annotations

from alembic import context

from guardrails.storage.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
