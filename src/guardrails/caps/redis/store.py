"""Caps in Redis: the `CapStore` of one unit of work, next to the database that the unit is a transaction of.

Redis is no part of the transaction, so what is written there may only ever err to the full side:

- slots are taken or kept before the unit is committed, and put back where it is not; what is missed in that ends with
  its lease
- slots are freed or moved, or taken without a lease, after the unit is committed: its decisions are marked
  `is_caps_pending` in the same commit, and whoever asks next, or upkeep, brings Redis up to date with them before
  anything is answered

So is everything that Redis could not be told because it was out of reach. INVARIANT: whatever a committed decision
holds is in Redis whenever the caps are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, event

from guardrails.caps.redis.epochs import CapEpoch, SqlCapEpochs
from guardrails.caps.redis.gateway import RedisGateway
from guardrails.caps.redis.layout import Calls, parts_of, shard_of
from guardrails.caps.redis.plans import Placement, add_placement, add_question
from guardrails.caps.slot import instant_micros, most_older
from guardrails.core.needs import Usage, UsageQuery
from guardrails.decide.holdings import Holding, Reservation, Settlement
from guardrails.decide.ports import DecisionStore
from guardrails.errors import CapsMoved, DependencyError
from guardrails.storage.instants import from_micros

__all__ = ["RedisCaps"]

PENDING_MOST = 500
CATCH_UP_SLOTS = 1_000
CATCH_UP_ROUNDS = 2
"""What a unit brings over to Redis before it answers: so many decisions, with so many slots or just one, so many times.

What is more, units of their own bring over (see `rebuild`), so that nobody's deadline is spent on it.
"""

SLOTS_MOST = 250
"""How many slots one call places, or questions it answers, so that it stays far from the time that a call may take,
and nobody else waits long for Redis; more only where one decision has more."""

_EVER = datetime.min.replace(tzinfo=UTC)


class RedisCaps:
    """The `CapStore` in Redis, for one unit."""

    def __init__(self, gateway: RedisGateway, connection: Connection, *, decisions: DecisionStore) -> None:
        """`decisions` are those of the same unit: the transaction that runs on `connection`."""
        self.gateway = gateway
        self.epochs = SqlCapEpochs(connection)
        self._connection = connection
        self._decisions = decisions
        self._undo: dict[CapEpoch, list[Placement]] = {}
        self._behind: dict[str, Placement] = {}
        self._rounds_left = CATCH_UP_ROUNDS

    def read(self, queries: Sequence[UsageQuery], now: datetime, /) -> Mapping[UsageQuery, Usage]:
        """The usage for each question, once Redis is up to date."""
        return self._read(self._current(), queries, now) if queries else {}

    def reserve(self, reservations: Sequence[Reservation], now: datetime, /) -> None:
        """Check and take everything, in calls of a bounded size: where one refuses, the others are taken back."""
        placements = [Placement.of_reservation(each) for each in reservations if each.checks or each.holding.takes]
        if not placements:
            return
        epoch = self._current()
        undo: list[Placement] = []
        try:
            for some in _in_steps(placements, SLOTS_MOST):
                taken_back = [placement.removed() for placement in some]
                undo += taken_back
                self._undo_on_rollback(epoch, taken_back)
                self._reserve(epoch, some, now)
        except (DependencyError, CapsMoved):
            self._place_as_far_as_can_be(epoch, undo)
            raise

    def settle(self, settlements: Sequence[Settlement], /) -> None:
        """Place what keeps a lease's slots; all else is left to whoever reads once the unit is committed.

        Never raises DependencyError for Redis: what it can't be told now, it is told then.
        """
        at_once: list[_Move] = []
        for move in _moves(settlements):
            if move.waits_for_commit or move.placement.decision_id in self._behind:
                self._leave_behind(move.placement)
            else:
                at_once.append(move)
        if not self._try_place([move.placement for move in at_once], undo=[move.undo for move in at_once]):
            for move in at_once:
                self._leave_behind(move.placement)

    def keys_of(self, owner: str, /) -> Sequence[tuple[str, str]]:
        """Cap and key of everything that is kept for a recipient and counts."""
        epoch = self._current()
        call = self.gateway.calls("names", epoch.name).at(shard_of("", "", owner))
        call.index_place(owner)
        names: list[bytes] = self.gateway.run([call], epoch.servers)[call].result
        keys = sorted(parts_of(name.decode()) for name in names)
        queries = [UsageQuery(cap, key, _EVER, 0, owner=owner) for cap, key in keys]
        usages = self._read(epoch, queries, None)
        return [(query.cap, query.key) for query in queries if usages[query].older]

    def sweep(self, _now: datetime, most: int, /) -> int:
        """Remove what is left of former epochs; of the present one, Redis forgets by itself what is needed no more."""
        epoch = self.epochs.read()
        return self.gateway.remove_leftovers(epoch.name, most) if epoch.is_complete else 0

    def catch_up(self, epoch: CapEpoch) -> bool:
        """Bring Redis up to date with some decisions that wait for it; False where more of them may wait."""
        waiting = self._decisions.caps_pending(PENDING_MOST)
        if not waiting:
            return True
        self.gateway.is_behind = True  # before it is tried: what this unit does not get done is upkeep's
        if self._rounds_left == 0:
            return False
        self._rounds_left -= 1
        placements = next(_in_steps(map(Placement.of_decision, waiting), CATCH_UP_SLOTS))
        self.place(epoch, placements)
        rows = waiting[: len(placements)]
        self._decisions.update([msgspec.structs.replace(row, is_caps_pending=False) for row in rows])
        return len(rows) == len(waiting) < PENDING_MOST

    def mend_missed(self, epoch: CapEpoch) -> bool:
        """Bring some decisions that Redis could not be told of back to what their rows say; False where more wait."""
        missed = self.gateway.missed(epoch.name)
        if not missed:
            return True
        some = next(_in_steps(missed, CATCH_UP_SLOTS))[:PENDING_MOST]
        rows = self._decisions.by_id([placement.decision_id for placement in some])
        self.place(epoch, [placement.as_stored(rows.get(placement.decision_id)) for placement in some])
        self.gateway.forget_missed(some)
        return len(some) == len(missed)

    def place(self, epoch: CapEpoch, placements: Iterable[Placement]) -> None:
        """Bring Redis up to date with decisions, unchecked. Raises DependencyError; again from the start is fine."""
        for calls in self._place_calls(epoch, placements):
            self.gateway.run(calls, epoch.servers)

    def _reserve(self, epoch: CapEpoch, placements: Sequence[Placement], now: datetime) -> None:
        """On one server in a single script, on a cluster in one for each shard."""
        calls = self.gateway.calls("place", epoch.name)
        for placement in placements:
            add_placement(calls, placement)
        replies = self.gateway.run(calls, epoch.servers, now=now)
        if any(reply.status == "MOVED" for reply in replies.values()):
            raise CapsMoved("a cap has moved since it was read")

    def _place_calls(self, epoch: CapEpoch, placements: Iterable[Placement]) -> Iterator[Calls]:
        for some in _in_steps(placements, SLOTS_MOST):
            calls = self.gateway.calls("place", epoch.name)
            for placement in some:
                add_placement(calls, placement)
            yield calls

    def _current(self) -> CapEpoch:
        """The epoch, complete and up to date."""
        epoch = self._complete()
        while not self.catch_up(epoch):
            if self._rounds_left == 0:
                raise DependencyError(f"the caps at `{self.gateway.address}` are catching up", dependency="caps")
        return epoch

    def _complete(self) -> CapEpoch:
        epoch = self.epochs.read()
        if not epoch.is_complete:
            self.gateway.needs_care = True
            rebuilding = f"the caps at `{self.gateway.address}` are being rebuilt"
            raise DependencyError(self.gateway.trouble or rebuilding, dependency="caps")
        return epoch

    def _read(self, epoch: CapEpoch, queries: Sequence[UsageQuery], now: datetime | None) -> dict[UsageQuery, Usage]:
        usages: dict[UsageQuery, Usage] = {}
        asked = list(dict.fromkeys(queries))
        for first in range(0, len(asked), SLOTS_MOST):
            calls = self.gateway.calls("read", epoch.name)
            places = [(query, *add_question(calls, query)) for query in asked[first : first + SLOTS_MOST]]
            replies = self.gateway.run(calls, epoch.servers, now=now)
            usages.update((query, _usage(query, replies[call].result[place])) for query, call, place in places)
        return usages

    def _try_place(self, placements: Sequence[Placement], *, undo: Sequence[Placement] = ()) -> bool:
        """False: Redis is out of reach, or not complete."""
        if not placements:
            return True
        try:
            epoch = self._complete()
            self._undo_on_rollback(epoch, undo)
            self.place(epoch, placements)
        except DependencyError:  # of Redis: what the database does not do is none yet within its unit
            return False
        return True

    def _leave_behind(self, placement: Placement) -> None:
        if not self._behind:
            event.listen(self._connection, "commit", self._on_commit)
        self._behind[placement.decision_id] = placement

    def _on_commit(self, _connection: Connection) -> None:
        """Just before it: mark what is left behind. What has no row any more is told now, for nobody will later."""
        rows = self._decisions.by_id(tuple(self._behind))
        marked = [msgspec.structs.replace(row, is_caps_pending=True) for row in rows.values()]
        if marked:
            self._decisions.update(marked)
            self.gateway.is_behind = True
        gone = [placement for placement in self._behind.values() if placement.decision_id not in rows]
        epoch = self.epochs.read()
        if gone and epoch.is_complete:
            self._place_as_far_as_can_be(epoch, gone)

    def _undo_on_rollback(self, epoch: CapEpoch, placements: Iterable[Placement]) -> None:
        if not self._undo:
            event.listen(self._connection, "rollback", self._on_rollback)
        self._undo.setdefault(epoch, []).extend(placements)

    def _on_rollback(self, _connection: Connection) -> None:
        """Nothing of the unit is kept. (After a commit that failed this is not called: it may be kept after all.)"""
        for epoch, placements in self._undo.items():
            self._place_as_far_as_can_be(epoch, placements[::-1])

    def _place_as_far_as_can_be(self, epoch: CapEpoch, placements: Iterable[Placement]) -> None:
        """Call by call: where one server does not answer, others may. What is missed is mended by upkeep."""
        for some in _in_steps(placements, SLOTS_MOST):
            try:
                self._place_each(epoch, some)
            except DependencyError:
                self.gateway.remember_missed(epoch.name, some)

    def _place_each(self, epoch: CapEpoch, placements: Sequence[Placement]) -> None:
        failures: list[DependencyError] = []
        for calls in self._place_calls(epoch, placements):
            for call in calls:
                try:
                    self.gateway.run([call], epoch.servers)
                except DependencyError as error:
                    failures.append(error)
        if failures:
            raise failures[0]


class _Move(NamedTuple):
    """What settlements of one decision come to, and how to take it back.

    It waits for the commit where it frees a slot or moves one, and where without one it would leave a slot that no
    lease ends: if this process dies before the commit, nobody takes it back.
    """

    placement: Placement
    undo: Placement
    waits_for_commit: bool


def _moves(settlements: Iterable[Settlement]) -> Iterator[_Move]:
    """One for each decision."""
    by_decision: dict[str, list[Settlement]] = {}
    for settlement in settlements:
        either = settlement.before or settlement.after
        if either is not None:
            by_decision.setdefault(either.decision_id, []).append(settlement)
    for steps in by_decision.values():
        held = [holding for step in steps for holding in (step.before, step.after) if holding is not None]
        before, after = steps[0].before, steps[-1].after
        slots = set() if after is None else _slots(after)
        is_freeing = any(slot not in slots for holding in held for slot in _slots(holding))
        has_end = after is None or after.lease_until is not None
        had_end = before is not None and before.lease_until is not None
        waits = is_freeing or not (has_end or had_end)
        yield _Move(Placement.in_place_of(held, after), Placement.in_place_of(held, before), waits)


def _slots(holding: Holding) -> set[tuple[str | None, str, str, int]]:
    instants = ((take, instant_micros(take, holding)) for take in holding.takes)
    return {(take.owner, take.cap, take.key, instant) for take, instant in instants if instant is not None}


def _in_steps(placements: Iterable[Placement], most: int) -> Iterator[list[Placement]]:
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


def _usage(query: UsageQuery, line: bytes) -> Usage:
    """What a line of `read.lua` says."""
    older, later, *instants = line.split()
    times = tuple([from_micros(int(float(instant))) for instant in reversed(instants)])
    return Usage(min(int(older), most_older(query)), times, int(later), query.split)
