"""Builds the caps in Redis anew from the decisions, wherever Redis lost them, and brings over what waits for it.

    bring    where all is well, bring over what waits: outcomes that freed or moved slots
    look     are the caps complete, on servers that still hold them, and kept for as long as is wanted? If not, claim a
             new epoch, unless somebody has
    plant    set the epoch's markers, so that from here on the loss of a server is seen
    copy     place what the decisions hold that have not changed since, page by page; from the first one on, where a
             cap is to be kept for longer than the pages before knew
    finish   bring over what has changed meanwhile, make sure that nothing was lost, and say that the caps are complete

Each step is small and a unit of work of its own, so decisions go on; only the last ones grow, until no more can change
between two of them than one brings over. While it runs the caps count as out of reach, so every decision that changes
is marked `is_caps_pending`. It may be broken off anywhere: the claim runs out by itself, and whoever comes next begins
a new epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec

from guardrails.caps.moving import Filled, slots_of
from guardrails.caps.redis.epochs import CapEpoch
from guardrails.caps.redis.gateway import EpochLostError, RedisGateway
from guardrails.caps.redis.keeps import SLACK, Keeps, OutgrownError, keep_seconds, outgrown, together
from guardrails.caps.redis.plans import Placement
from guardrails.caps.redis.store import RedisCaps
from guardrails.caps.slot import instant_micros
from guardrails.decide.ports import Session, StoredDecision, Transactor
from guardrails.errors import DependencyError
from guardrails.storage.instants import MICROS_PER_SECOND, to_micros

__all__ = ["CapsRebuild"]

Subject = TypeVar("Subject")
Argument = TypeVar("Argument")

CLAIM = timedelta(seconds=5)
"""How long others hold off after each step of one that builds."""

PAGE_DECISIONS = 500

ROUNDS_MOST = 16
"""How often a step brings over what waits at most, which takes about half a second; the first does it once, and each
that follows twice as often as the one before."""


_NO_NEEDS: Keeps = {}


class _Build(msgspec.Struct, frozen=True, kw_only=True):
    """How far one is that builds an epoch.

    `after` is the decision that was copied last, None once all are; `rounds` is how often what waits is brought over.
    It began at `began` (monotonic), and has copied so many `decisions` and `slots`.
    """

    epoch: CapEpoch
    is_planted: bool = False
    after: str | None = ""
    rounds: int = 1
    began: float
    decisions: int = 0
    slots: int = 0


class _Task(msgspec.Struct, frozen=True):
    """The item of a unit."""

    build: _Build
    now: datetime


_Result = _Build | Literal["complete", "more", "later"]
"""What a step ends with: how far a build is, or that nothing is left to do, at once or at present."""


class CapsRebuild:
    """Looks after the caps in Redis, step by step. Every process may have one: one at a time builds."""

    def __init__(
        self,
        transactor: Transactor,
        gateway: RedisGateway,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        needs: Callable[[], Keeps] = lambda: _NO_NEEDS,
    ) -> None:
        """The transactor's sessions have `RedisCaps` over this gateway.

        `needs` says for how long the policies that are active want their caps to be kept: the same object while that
        does not change.
        """
        self._transactor = transactor
        self._gateway = gateway
        self._clock = clock
        self._new_id = new_id
        self._needs = needs
        self._needed: Keeps | None = None
        self._build: _Build | None = None
        self._claimed = ""
        self._filled: Filled | None = None

    def step(self) -> bool:
        """Do a little, where there is something to do; True where more can be done at once.

        Raises DependencyError where the database or Redis is out of reach: the next step goes on from there.
        """
        gateway = self._gateway
        needed = self._needs()
        if needed is not self._needed:  # a window may have grown: nobody has to ask before it is filled for
            self._needed = needed
            gateway.needs_care = True
        if not gateway.needs_care and not gateway.is_behind:
            return False
        needs_care = gateway.needs_care
        gateway.needs_care = gateway.is_behind = False  # whoever finds something wanting from here on says so again
        result: _Result = "later"
        try:
            result = self._next() if needs_care else self._transactor.call(self._bring_over, None)
        except EpochLostError:
            result = "more"  # what was built is lost: begin anew
        except DependencyError as error:
            if error.dependency == "caps":
                gateway.trouble = str(error)
            raise
        finally:
            if result != "complete":
                self._gateway.needs_care = True
        gateway.trouble = None
        build, self._build = self._build, None
        if result == "complete" and build is not None:
            self._filled = Filled("redis", build.decisions, build.slots, round(time.monotonic() - build.began, 3))
        if isinstance(result, _Build):
            self._build, self._claimed = result, result.epoch.name
        return result not in ("complete", "later")

    def pop_filled(self) -> Filled | None:
        """With what the caps were filled since this was last asked, if they were."""
        filled, self._filled = self._filled, None
        return filled

    def _next(self) -> _Result:
        build = self._build
        if build is None:
            looked: _Result = self._transactor.call(self._look, self._clock())
            return looked
        handler = self._plant if not build.is_planted else self._copy if build.after is not None else self._finish
        result: _Result = self._transactor.call(handler, _Task(build, self._clock()))
        return result

    # The handlers, which run in the units' own thread. What goes wrong with Redis is their result, so that nobody
    # else's work in the unit is lost by it.

    def _look(self, session: Session, instants: list[datetime]) -> list[Any]:
        return [_or_error(self._look_at, _caps_of(session), now) for now in instants]

    def _look_at(self, caps: RedisCaps, now: datetime) -> _Result:
        epoch = caps.epochs.read()
        wanted = together(self._gateway.wanted, self._gateway.outgrown(epoch.keeps, self._needed or {}))
        if epoch.building != self._claimed and epoch.building_until is not None and now < epoch.building_until:
            return "later"
        if epoch.is_complete and not outgrown(epoch.keeps, wanted):
            self._gateway.wanted = {}
            with suppress(EpochLostError):
                self._gateway.verify(epoch.name, epoch.servers)
                return "complete" if caps.behind.mend_missed(epoch) and caps.behind.bring_over(epoch) else "more"
        claimed = CapEpoch(name=epoch.next_name(self._new_id), servers=self._gateway.survey())
        caps.epochs.claim(claimed.name, now + CLAIM)
        caps.epochs.keep(wanted)
        return _Build(epoch=claimed, began=time.monotonic())

    def _bring_over(self, session: Session, items: list[None]) -> list[Any]:
        return [_or_error(self._bring_some_over, _caps_of(session), item) for item in items]

    def _bring_some_over(self, caps: RedisCaps, _item: None) -> _Result:
        epoch = caps.epochs.read()
        if not epoch.is_complete:
            return "later"
        return "complete" if caps.behind.bring_over(epoch) else "more"

    def _plant(self, session: Session, tasks: list[_Task]) -> list[Any]:
        return [_or_error(self._plant_markers, _caps_of(session), task) for task in tasks]

    def _plant_markers(self, caps: RedisCaps, task: _Task) -> _Result:
        build = task.build
        if not _is_still_ours(caps, task):
            return "more"
        self._gateway.plant(build.epoch.name, build.epoch.servers)
        return msgspec.structs.replace(build, is_planted=True)

    def _copy(self, session: Session, tasks: list[_Task]) -> list[Any]:
        return [_or_error(self._copy_page, session, task) for task in tasks]

    def _copy_page(self, session: Session, task: _Task) -> _Result:
        caps, build = _caps_of(session), task.build
        if not _is_still_ours(caps, task):
            return "more"
        rows = session.decisions.holding(build.after or "", PAGE_DECISIONS)
        try:
            keeps = caps.writing.learn(build.epoch, (take for row in rows for take in row.takes)).keeps
        except OutgrownError:
            return self._again(caps, build)
        needed = [row for row in rows if _is_needed(row, keeps, task.now)]
        caps.writing.place(build.epoch, list(map(Placement.of_decision, needed)))
        return msgspec.structs.replace(
            build,
            after=rows[-1].decision_id if len(rows) == PAGE_DECISIONS else None,
            decisions=build.decisions + len(needed),
            slots=build.slots + sum(map(slots_of, needed)),
        )

    def _finish(self, session: Session, tasks: list[_Task]) -> list[Any]:
        return [_or_error(self._finish_build, _caps_of(session), task) for task in tasks]

    def _finish_build(self, caps: RedisCaps, task: _Task) -> _Result:
        build, epoch = task.build, task.build.epoch
        if not _is_still_ours(caps, task):
            return "more"
        try:
            is_done = any(caps.behind.bring_over(epoch) for _ in range(build.rounds))
        except OutgrownError:
            return self._again(caps, build)
        if not is_done:
            return msgspec.structs.replace(build, rounds=min(2 * build.rounds, ROUNDS_MOST))
        # INVARIANT: nothing changes between here and the commit, because units are serial.
        self._gateway.verify(epoch.name, epoch.servers)
        caps.epochs.finish(epoch.name, epoch.servers)
        return "complete"

    def _again(self, caps: RedisCaps, build: _Build) -> _Build:
        """Copy from the start: what was passed over by the shorter time is needed."""
        caps.epochs.keep(together(caps.epochs.read().keeps, self._gateway.wanted))
        return msgspec.structs.replace(build, after="", rounds=1, decisions=0, slots=0)


def _or_error(
    work: Callable[[Subject, Argument], _Result], subject: Subject, argument: Argument
) -> _Result | DependencyError:
    """What `work` gives, or what it raised where Redis is at fault. (What the database raises is another error yet.)"""
    try:
        return work(subject, argument)
    except DependencyError as error:
        return error


def _caps_of(session: Session) -> RedisCaps:
    if not isinstance(session.caps, RedisCaps):
        raise TypeError(f"{session.caps!r} are no caps in Redis")
    return session.caps


def _is_still_ours(caps: RedisCaps, task: _Task) -> bool:
    """Whether nobody has taken the build over; if so, the claim is made anew."""
    name = task.build.epoch.name
    if caps.epochs.read().building != name:
        return False
    caps.epochs.claim(name, task.now + CLAIM)
    return True


def _is_needed(row: StoredDecision, keeps: Keeps, now: datetime) -> bool:
    """Whether it holds anything that a question may still ask for, by whatever clock.

    A lease that has ended here may not have ended by Redis's clock, so that is left to Redis.
    """
    holding = row.holding()
    return holding is not None and any(
        instant + keep_seconds(take, keeps) * MICROS_PER_SECOND > to_micros(now - SLACK)
        for take in holding.takes
        if (instant := instant_micros(take, holding)) is not None
    )
