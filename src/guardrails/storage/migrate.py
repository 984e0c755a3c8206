"""Bring a database's schema to the newest migration, within the transaction of the connection it is given.

Two processes that start at once are safe: the second waits for the first one's transaction and finds nothing to do.
"""

from __future__ import annotations

import threading

from sqlalchemy import Connection, inspect, text

from guardrails.errors import SettingsError
from guardrails.storage.tables import SCHEMA_REVISION

__all__ = ["is_current", "migrate", "refuse_to_migrate"]

_one_at_a_time = threading.Lock()  # Alembic keeps the migration that runs in a global


def is_current(connection: Connection) -> bool:
    """Whether no migration is missing. Raises SettingsError where the schema is newer than this release."""
    current = _current_revision(connection)
    if current is not None and current > SCHEMA_REVISION:
        raise SettingsError(
            f"the database's schema is at revision `{current}`, newer than this release's `{SCHEMA_REVISION}`; "
            "start a newer release"
        )
    return current == SCHEMA_REVISION


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing."""
    # Imported here: a start that finds the schema as it must be, which is nearly every one, doesn't wait for it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "guardrails.storage:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, "head")


def refuse_to_migrate(connection: Connection) -> None:
    """In place of `migrate`, for whoever only reads. Raises SettingsError, which names the command that migrates."""
    revision = _current_revision(connection)
    found = "holds no schema" if revision is None else f"has the schema of an older release (revision `{revision}`)"
    raise SettingsError(f"the database {found}, and is only read here; `guardrails serve` brings it up to date")


def _current_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision
