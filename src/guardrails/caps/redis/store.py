"""Caps in Redis: the `CapStore` of one unit of work, next to the database that the unit is a transaction of.

Redis is no part of the transaction, so what is written there may only ever err to the full side:

- slots are taken or kept before the unit is committed, and put back where it is not; what is missed in that ends with
  its lease (`writing`)
- slots are freed or moved, or taken without a lease, once the unit is committed (`moves`, `behind`)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from guardrails.caps.asking import asked_once
from guardrails.caps.moving import let_go
from guardrails.caps.redis.behind import Behind
from guardrails.caps.redis.epochs import CapEpoch, SqlCapEpochs
from guardrails.caps.redis.gateway import RedisGateway
from guardrails.caps.redis.keeps import LATE, reach
from guardrails.caps.redis.layout import parts_of, shard_of
from guardrails.caps.redis.moves import moves_of
from guardrails.caps.redis.plans import Placement, add_question
from guardrails.caps.redis.writing import SLOTS_MOST, Writing
from guardrails.caps.slot import most_older
from guardrails.core.needs import Usage, UsageQuery
from guardrails.decide.holdings import Reservation, Settlement
from guardrails.decide.ports import DecisionStore
from guardrails.errors import DependencyError
from guardrails.storage.instants import from_micros

__all__ = ["RedisCaps"]

_EVER = datetime.min.replace(tzinfo=UTC)


class RedisCaps:
    """The `CapStore` in Redis, for one unit."""

    is_serial = False

    def __init__(self, gateway: RedisGateway, connection: Connection, *, decisions: DecisionStore) -> None:
        """`decisions` are those of the same unit: the transaction that runs on `connection`."""
        self._connection = connection
        self.gateway = gateway
        self.epochs = SqlCapEpochs(connection)
        self.writing = Writing(gateway, connection, self.epochs)
        self.behind = Behind(gateway, connection, epochs=self.epochs, writing=self.writing, decisions=decisions)

    def read(self, queries: Sequence[UsageQuery], now: datetime, /) -> Mapping[UsageQuery, Usage]:
        """The usage for each question, once Redis is up to date."""
        if not queries:
            return {}
        epoch = self._current()
        self.gateway.check_keeps(epoch.keeps, reach(queries, now), late=LATE)
        return asked_once(queries, partial(self._read, epoch, now))

    def reserve(self, reservations: Sequence[Reservation], now: datetime, /) -> None:
        """Check and take everything, in calls of a bounded size: where one refuses, the others are taken back."""
        placements = [Placement.of_reservation(each) for each in reservations if each.checks or each.holding.takes]
        if placements:
            self.writing.take(self._current(), placements, now)

    def settle(self, settlements: Sequence[Settlement], /) -> None:
        """Place what keeps a lease's slots; all else is left to whoever reads once the unit is committed.

        Never raises DependencyError for Redis: what it can't be told now, it is told then.
        """
        at_once = []
        for move in moves_of(settlements):
            if move.waits_for_commit or move.placement.decision_id in self.behind:
                self.behind.leave(move.placement)
            else:
                at_once.append(move)
        if not self._try_place([move.placement for move in at_once], undo=[move.undo for move in at_once]):
            for move in at_once:
                self.behind.leave(move.placement)

    def keys_of(self, owner: str, _tallied: Collection[str] = (), /) -> Sequence[tuple[str, str]]:
        """Cap and key of everything that is kept for a recipient and counts, tallied or not."""
        epoch = self._current()
        call = self.gateway.calls("names", epoch.name).at(shard_of("", "", owner))
        call.index_place(owner)
        names: list[bytes] = self.gateway.run([call], epoch.servers)[call].result
        keys = sorted(parts_of(name.decode()) for name in names)
        queries = [UsageQuery(each.cap, each.key, _EVER, 0, owner=owner, sums=each.sums) for each in keys]
        usages = self._read(epoch, None, queries)
        return [(query.cap, query.key) for query in queries if usages[query].older]

    def probe(self) -> None:
        """Bring every server up to date, and write to it."""
        epoch = self._current()
        self.gateway.probe(epoch.name, epoch.servers)

    def sweep(self, _now: datetime, most: int, /) -> int:
        """Remove what is left of former epochs, and of the time when the caps lived in the database.

        Of the present epoch, Redis forgets by itself what is needed no more.
        """
        epoch = self.epochs.read()
        if not epoch.is_complete:
            return 0
        return self.gateway.remove_leftovers(epoch.name, most) or let_go(self._connection, most)

    def _current(self) -> CapEpoch:
        """The epoch, complete and up to date."""
        self.behind.catch_up(self._complete())
        return self.epochs.read()  # which may keep caps that are new to it

    def _complete(self) -> CapEpoch:
        epoch = self.epochs.read()
        if not epoch.is_complete:
            self.gateway.needs_care = True
            raise DependencyError(self.gateway.trouble or self._whereabouts(), dependency="caps")
        self.gateway.has_held = True
        return epoch

    def _whereabouts(self) -> str:
        """Where the caps are, if they are not complete in Redis."""
        if not self.epochs.are_none():
            return f"the caps at `{self.gateway.address}` are being rebuilt"
        if self.gateway.has_held:
            return "another process took the caps into the database"
        return "the caps of this database live in the database; leave out --caps (GUARDRAILS_CAPS_URL)"

    def _read(self, epoch: CapEpoch, now: datetime | None, queries: Sequence[UsageQuery]) -> dict[UsageQuery, Usage]:
        usages: dict[UsageQuery, Usage] = {}
        for first in range(0, len(queries), SLOTS_MOST):
            calls = self.gateway.calls("read", epoch.name)
            places = [(query, *add_question(calls, query)) for query in queries[first : first + SLOTS_MOST]]
            replies = self.gateway.run(calls, epoch.servers, now=now)
            usages.update((query, _usage(query, replies[call].result[place])) for query, call, place in places)
        return usages

    def _try_place(self, placements: Sequence[Placement], *, undo: Sequence[Placement]) -> bool:
        """False: Redis is out of reach, or not complete."""
        if not placements:
            return True
        try:
            epoch = self._complete()
            self.writing.undo_on_rollback(epoch, undo)
            self.writing.place(epoch, placements)
        except DependencyError:  # of Redis: what the database does not do is none yet within its unit
            return False
        return True


def _usage(query: UsageQuery, line: bytes) -> Usage:
    """What a line of `read.lua` says."""
    older, later, *instants = line.split()
    times = tuple([from_micros(int(float(instant))) for instant in reversed(instants)])
    return Usage(min(int(older), most_older(query)), times, int(later), query.split)
