"""What a worker looks after beside its requests: policy files that change, stores, and the clock.

A good edit is live within a second, a broken one leaves the last good set deciding. Work on the stores goes in small
steps with pauses between them, so that decisions never wait for more than one. A work that fails is tried again at its
next turn, and is told of when it begins to fail and when that is over, not at every turn of a long outage.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from guardrails.decide.active_policies import ActivePolicies, LoadFault
from guardrails.decide.drain import Drain
from guardrails.decide.housekeeping import Housekeeping
from guardrails.errors import DependencyError, SettingsError
from guardrails.web.metrics import Metrics

if TYPE_CHECKING:  # it needs an extra that may not be installed
    from guardrails.caps.redis import CapsRebuild

__all__ = ["CapsFill", "ClockWatch", "HouseKeeping", "Periodic", "PolicyReload", "SpoolDrain", "Steps"]

TURN_SECONDS = 1.0
STEPPED_BACK_SECONDS = 1.0

_log = structlog.get_logger()


class Periodic:
    """A thread that does `work` every `seconds`, whatever came of it the last time."""

    def __init__(self, name: str, work: Callable[[], object], *, seconds: float) -> None:
        self.name = name
        self._work = work
        self._seconds = seconds
        self._failing: tuple[type[Exception], str | None] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Begin no other turn."""
        self._stopped.set()

    def stop(self) -> None:
        """Stop, after the turn that is being done."""
        self.end()
        self._thread.join()

    def turn(self) -> None:
        """Do the work once, and tell of it where it began to fail, fails in another way, or no longer does."""
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - a thread that dies would leave its work undone, unseen
            self._tell_failing(error)
        else:
            if self._failing is not None:
                self._failing = None
                _log.info("upkeep.recovered", upkeep=self.name)

    def _tell_failing(self, error: Exception) -> None:
        dependency = error.dependency if isinstance(error, DependencyError) else None
        failing = (type(error), dependency)
        if failing == self._failing:
            return
        self._failing = failing
        is_known = isinstance(error, DependencyError | SettingsError)  # no fault of the code's
        trace = None if is_known else error
        _log.error("upkeep.failed", upkeep=self.name, error=str(error), exc_info=trace)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self.turn()


class PolicyReload:
    """One look at the policy files, which costs one `stat` a file, and the telling of what came of it."""

    def __init__(self, policies: ActivePolicies, metrics: Metrics) -> None:
        self._policies = policies
        self._metrics = metrics

    def __call__(self) -> None:
        """Make a good edit active; tell of a broken one."""
        if not self._policies.reload_if_changed():
            return
        status = self._policies.status
        self._metrics.reload(good=status.error is None)
        if status.error is None:
            _log.info("policies.reloaded", revision=status.revision)
        else:
            _log.error(
                "policies.broken_edit",
                active_revision=status.revision,
                problems=str(status.error).splitlines(),
                exc_info=status.error.__cause__ if isinstance(status.error, LoadFault) else None,
            )


class SpoolDrain:
    """A step of taking what was spooled into the log, and the telling of it."""

    def __init__(self, drain: Drain, metrics: Metrics) -> None:
        self._drain = drain
        self._metrics = metrics

    def __call__(self) -> int:
        """Take some entries; returns how many."""
        drained = self._drain.step()
        self._metrics.drained(into_log=drained.entries - drained.rejected, rejected=drained.rejected)
        if drained.entries:
            _log.info("spool.drained", entries=drained.entries)
        if drained.rejected:
            _log.error("spool.rejected", entries=drained.rejected)
        return drained.entries


class CapsFill:
    """A step of looking after caps in a store of their own, and the telling where that has filled them."""

    def __init__(self, rebuild: CapsRebuild, metrics: Metrics) -> None:
        self._rebuild = rebuild
        self._metrics = metrics

    def __call__(self) -> bool:
        """Do a little; returns whether more can be done at once."""
        has_more = self._rebuild.step()
        filled = self._rebuild.pop_filled()
        if filled is not None:
            self._metrics.caps_filled()
            _log.info("caps.filled", **filled._asdict())
        return has_more


class HouseKeeping:
    """A step of housekeeping, and the counting of leases that ended."""

    def __init__(self, housekeeping: Housekeeping, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._housekeeping = housekeeping
        self._clock = clock
        self._metrics = metrics

    def __call__(self) -> int:
        """Look after a few things that ended; returns how many."""
        before = self._housekeeping.expired
        done = self._housekeeping.step(self._clock())
        self._metrics.expired(self._housekeeping.expired - before)
        return done


class Steps:
    """A turn of work that is done in small steps: until nothing is left to do, or `turn_seconds` are over.

    After each step it pauses for as long as the step took: at least half of the stores' time stays with the decisions,
    and other processes get at a database that only one may write to.
    """

    def __init__(
        self,
        step: Callable[[], int],
        *,
        turn_seconds: float = TURN_SECONDS,
        elapsed: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """`step` returns how much it did, or whether there is more to do. `elapsed` and `pause` are in seconds."""
        self._step = step
        self._turn_seconds = turn_seconds
        self._elapsed = elapsed
        self._pause = pause

    def __call__(self) -> None:
        """Do steps."""
        turn_began = self._elapsed()
        while (step_began := self._elapsed()) - turn_began < self._turn_seconds:
            if not self._step():
                return
            self._pause(self._elapsed() - step_began)


class ClockWatch:
    """Tells where the clock was set back: leases and windows then end later than they should, never earlier."""

    def __init__(self, clock: Callable[[], datetime], *, elapsed: Callable[[], float] = time.monotonic) -> None:
        """`clock` is watched against `elapsed`, seconds that only ever grow."""
        self._clock = clock
        self._elapsed = elapsed
        self._lead = self._lead_seconds()

    def __call__(self) -> None:
        """Compare the clocks with how they stood the last time."""
        before, self._lead = self._lead, self._lead_seconds()
        if before - self._lead > STEPPED_BACK_SECONDS:
            _log.error("clock.stepped_back", seconds=round(before - self._lead, 3))

    def _lead_seconds(self) -> float:
        return self._clock().timestamp() - self._elapsed()
