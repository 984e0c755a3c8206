"""Writing to Redis within a unit of work: in calls of a bounded size, and taken back where the unit is not committed.

INVARIANT: nothing is placed of a cap that is to be kept for longer than its epoch keeps it (`keeps`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, event

from guardrails.caps.redis.epochs import CapEpoch, SqlCapEpochs
from guardrails.caps.redis.gateway import RedisGateway
from guardrails.caps.redis.keeps import longest
from guardrails.caps.redis.layout import Calls
from guardrails.caps.redis.plans import Placement, add_placement
from guardrails.core.needs import Take
from guardrails.errors import CapsMoved, DependencyError

__all__ = ["SLOTS_MOST", "Writing", "in_steps"]

SLOTS_MOST = 250
"""How many slots one call places, or questions it answers, so that it stays far from the time that a call may take,
and nobody else waits long for Redis; more only where one decision has more."""


class Writing:
    """What one unit writes."""

    def __init__(self, gateway: RedisGateway, connection: Connection, epochs: SqlCapEpochs) -> None:
        """The unit is the transaction that runs on `connection`."""
        self._gateway = gateway
        self._connection = connection
        self._epochs = epochs
        self._undo: list[tuple[CapEpoch, Sequence[Placement]]] = []

    def learn(self, epoch: CapEpoch, takes: Iterable[Take]) -> CapEpoch:
        """The epoch, keeping also the caps that are new to it. Raises OutgrownError where a known one needs more."""
        keeps, wanted = self._epochs.read().keeps, longest(takes)
        self._gateway.check_keeps(keeps, wanted)
        if not wanted.keys() <= keeps.keys():
            keeps = {**wanted, **keeps}
            self._epochs.keep(keeps)
        return msgspec.structs.replace(epoch, keeps=keeps)

    def take(self, epoch: CapEpoch, placements: Sequence[Placement], now: datetime) -> None:
        """Check and take everything: where one call refuses or fails, what the others took is taken back.

        Raises CapsMoved where a check does not hold, DependencyError.
        """
        epoch = self.learn(epoch, _takes(placements))
        taken: list[Placement] = []
        try:
            for some in in_steps(placements, SLOTS_MOST):
                undo = [placement.removed() for placement in some]
                taken += undo
                self.undo_on_rollback(epoch, undo)
                self._take_some(epoch, some, now)
        except (DependencyError, CapsMoved):
            self.place_as_far_as_can_be(epoch, taken)
            raise

    def place(self, epoch: CapEpoch, placements: Sequence[Placement]) -> None:
        """Bring Redis up to date with decisions, unchecked. Raises DependencyError; again from the start is fine."""
        epoch = self.learn(epoch, _takes(placements))
        for calls in self._calls(epoch, placements):
            self._gateway.run(calls, epoch.servers)

    def place_as_far_as_can_be(self, epoch: CapEpoch, placements: Iterable[Placement]) -> None:
        """Call by call: where one server does not answer, others may. What is missed is mended by upkeep."""
        for some in in_steps(placements, SLOTS_MOST):
            try:
                self._place_each(epoch, some)
            except DependencyError:
                self._gateway.remember_missed(epoch.name, some)

    def undo_on_rollback(self, epoch: CapEpoch, placements: Sequence[Placement]) -> None:
        """What to place where the unit is not committed."""
        if not self._undo:
            event.listen(self._connection, "rollback", self._on_rollback)
        self._undo.append((epoch, placements))

    def _on_rollback(self, _connection: Connection) -> None:
        """Nothing of the unit is kept. (After a commit that failed this is not called: it may be kept after all.)"""
        for epoch, placements in reversed(self._undo):
            self.place_as_far_as_can_be(epoch, placements[::-1])

    def _take_some(self, epoch: CapEpoch, placements: Sequence[Placement], now: datetime) -> None:
        """On one server in a single script, on a cluster in one for each shard."""
        (calls,) = self._calls(epoch, placements)
        replies = self._gateway.run(calls, epoch.servers, now=now)
        if any(reply.status == "MOVED" for reply in replies.values()):
            raise CapsMoved("a cap has moved since it was read")

    def _place_each(self, epoch: CapEpoch, placements: Sequence[Placement]) -> None:
        failures: list[DependencyError] = []
        for calls in self._calls(epoch, placements):
            for call in calls:
                try:
                    self._gateway.run([call], epoch.servers)
                except DependencyError as error:
                    failures.append(error)
        if failures:
            raise failures[0]

    def _calls(self, epoch: CapEpoch, placements: Iterable[Placement]) -> Iterator[Calls]:
        for some in in_steps(placements, SLOTS_MOST):
            calls = self._gateway.calls("place", epoch.name)
            for placement in some:
                add_placement(calls, placement, epoch.keeps)
            yield calls


def _takes(placements: Iterable[Placement]) -> Iterator[Take]:
    return (take for placement in placements for take, _ in placement.slots)


def in_steps(placements: Iterable[Placement], most: int) -> Iterator[list[Placement]]:
    """So many that together they have `most` slots, or just one."""
    some: list[Placement] = []
    slots = 0
    for placement in placements:
        if some and slots + len(placement.slots) > most:
            yield some
            some, slots = [], 0
        some.append(placement)
        slots += len(placement.slots)
    if some:
        yield some
