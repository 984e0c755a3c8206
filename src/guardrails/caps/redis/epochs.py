"""Epochs: under which name the caps are complete in Redis, and on which servers. The database says so, not Redis.

    1. nothing, or epoch 4f2a90c1.2 on servers that are gone
    2. claimed: 4f2a90c1.3 is being built; the caps count as out of reach for everybody
    3. epoch 4f2a90c1.3 on the servers that it was built on

INVARIANT: no two builders ever use the same name, so that what one leaves behind is no part of another's epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec
from sqlalchemy import Connection, insert, select, update

from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.tables import cap_epochs

__all__ = ["CapEpoch", "SqlCapEpochs"]

_ONLY = 0


class CapEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the caps in Redis. `name` is empty where they were never complete.

    `building` names the epoch that is being built, for whoever builds it, until `building_until` at the earliest.
    """

    name: str = ""
    servers: frozenset[str] = frozenset()
    building: str | None = None
    building_until: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the caps are there for everybody."""
        return self.name != "" and self.building is None

    def next_name(self, new_id: Callable[[], str]) -> str:
        """A name that no epoch had before; the part before the dot is that of the database."""
        names = [name for name in (self.name, self.building) if name]
        if not names:
            return f"{new_id()[-8:]}.1"  # ids begin with the time, and end with chance
        lineage = lineage_of(names[0])
        return f"{lineage}.{max(map(number_of, names)) + 1}"


def lineage_of(name: str) -> str:
    """What all epochs of a database have in common."""
    return name.partition(".")[0]


def number_of(name: str) -> int:
    """How many epochs of the database there were before."""
    return int(name.partition(".")[2])


class SqlCapEpochs:
    """The table `cap_epochs`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> CapEpoch:
        """What is known."""
        row = self._connection.execute(select(cap_epochs)).one_or_none()
        if row is None:
            return CapEpoch()
        until = None if row.rebuilding_until is None else from_micros(row.rebuilding_until)
        servers = msgspec.json.decode(row.servers, type=frozenset[str])
        return CapEpoch(name=row.epoch, servers=servers, building=row.rebuilder, building_until=until)

    def claim(self, name: str, until: datetime) -> None:
        """Build `name`, and hold others off until then; the builder claims again to hold them off longer."""
        self._write({"rebuilder": name, "rebuilding_until": to_micros(until)})

    def finish(self, name: str, servers: frozenset[str]) -> None:
        """From now on the caps are complete under `name`, on `servers`."""
        known = msgspec.json.encode(sorted(servers)).decode()
        self._write({"epoch": name, "servers": known, "rebuilder": None, "rebuilding_until": None})

    def _write(self, values: dict[str, object]) -> None:
        changed = self._connection.execute(update(cap_epochs).values(values))
        if changed.rowcount == 0:
            first = {"only": _ONLY, "epoch": "", "servers": "[]"}
            self._connection.execute(insert(cap_epochs).values(first | values))
