"""Epochs: under which name the caps are complete in Redis, and on which servers. The database says so, not Redis.

    1. nothing, or epoch 4f2a90c1.2 on servers that are gone
    2. claimed: 4f2a90c1.3 is being built; the caps count as out of reach for everybody
    3. epoch 4f2a90c1.3 on the servers that it was built on

INVARIANT: no two builders ever use the same name, so that what one leaves behind is no part of another's epoch. A copy
of the database knows of no epoch, and begins with a name of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from guardrails.caps.redis.keeps import Keeps
from guardrails.storage.home import home_of
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.tables import cap_epochs

__all__ = ["CapEpoch", "SqlCapEpochs", "lineage_of", "number_of"]

_ONLY = 0
_ANY = select(cap_epochs.c.only)
_READ = select(cap_epochs).where(cap_epochs.c.home == bindparam("home"))


class CapEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the caps in Redis. `name` is empty where they were never complete.

    `building` names the epoch that is being built, for whoever builds it, until `building_until` at the earliest.
    `keeps` is that one's, or else that of the epoch `name`.
    """

    name: str = ""
    servers: frozenset[str] = frozenset()
    keeps: Keeps = {}
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
            return f"{new_id()[-8:]}.1"  # the end: ids that are made at one time begin alike
        lineage = lineage_of(names[0])
        return f"{lineage}.{max(map(number_of, names)) + 1}"


def lineage_of(name: str) -> str:
    """What all epochs of a database have in common."""
    return name.partition(".")[0]


def number_of(name: str) -> int:
    """How many epochs of the database there were before."""
    return int(name.partition(".")[2])


class SqlCapEpochs:
    """The table `cap_epochs` for one unit, which nobody else writes to meanwhile: it is read once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: CapEpoch | None = None

    def read(self) -> CapEpoch:
        """What is known."""
        if self._known is None:
            row = self._connection.execute(_READ, {"home": home_of(self._connection)}).one_or_none()
            self._known = CapEpoch() if row is None else _epoch(**row._asdict())
        return self._known

    def are_none(self) -> bool:
        """Whether nobody has begun any: the caps live in the database."""
        return self._connection.execute(_ANY).first() is None

    def claim(self, name: str, until: datetime) -> None:
        """Build `name`, and hold others off until then; the builder claims again to hold them off longer."""
        self._write(msgspec.structs.replace(self.read(), building=name, building_until=until))

    def keep(self, keeps: Keeps) -> None:
        """From now on the slots of caps are kept for so long."""
        self._write(msgspec.structs.replace(self.read(), keeps=keeps))

    def finish(self, name: str, servers: frozenset[str]) -> None:
        """From now on the caps are complete under `name`, on `servers`."""
        self._write(CapEpoch(name=name, servers=servers, keeps=self.read().keeps))

    def _write(self, epoch: CapEpoch) -> None:
        until = epoch.building_until
        values = {
            "home": home_of(self._connection),
            "epoch": epoch.name,
            "servers": msgspec.json.encode(sorted(epoch.servers)).decode(),
            "keeps": msgspec.json.encode(epoch.keeps).decode(),
            "rebuilder": epoch.building,
            "rebuilding_until": None if until is None else to_micros(until),
        }
        if self._connection.execute(update(cap_epochs).values(values)).rowcount == 0:
            self._connection.execute(insert(cap_epochs).values(only=_ONLY, **values))
        self._known = epoch


@lru_cache(maxsize=4)
def _epoch(
    *,
    epoch: str,
    servers: str,
    keeps: str,
    rebuilder: str | None,
    rebuilding_until: int | None,
    **_rest: object,
) -> CapEpoch:
    """A row, which is mostly the same as in the unit before."""
    return CapEpoch(
        name=epoch,
        servers=msgspec.json.decode(servers, type=frozenset[str]),
        keeps=msgspec.json.decode(keeps, type=dict[str, int]),
        building=rebuilder,
        building_until=None if rebuilding_until is None else from_micros(rebuilding_until),
    )
