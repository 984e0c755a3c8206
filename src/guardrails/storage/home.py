"""Which database this is: what a copy of it does not share with it.

Of a SQLite file, its place on the disk (file system and inode); of PostgreSQL, the cluster's identifier and the
database's own. So a copied file and a restored dump are other databases. Not told apart are copies below all that: a
snapshot of a whole disk, or of a whole cluster.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Connection, text

__all__ = ["home_of"]

_FILE = text("SELECT file FROM pragma_database_list WHERE name = 'main'")
_CLUSTER = text(
    "SELECT (SELECT system_identifier FROM pg_control_system())"
    " || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def home_of(connection: Connection) -> str:
    """The database behind a connection, which is asked once."""
    known: str | None = connection.info.get(__name__)
    if known is None:
        known = connection.info[__name__] = _ask(connection)
    return known


def _ask(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        path = Path(connection.execute(_FILE).scalar_one())
        return f"{os.statvfs(path).f_fsid:x}/{path.stat().st_ino}"
    return str(connection.execute(_CLUSTER).scalar_one())
