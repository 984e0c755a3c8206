"""What one worker process serves: the application, its HTTP app and what it looks after, opened and closed together."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable

import structlog

from guardrails.bootstrap import Application, open_application, utc_now
from guardrails.settings import CAPS_IN_DATABASE, Settings
from guardrails.stores import take_caps_back
from guardrails.web.app import create_app
from guardrails.web.gauges import gauges_of
from guardrails.web.logs import configure_logs
from guardrails.web.metrics import Metrics
from guardrails.web.upkeep import CapsFill, ClockWatch, HouseKeeping, Periodic, PolicyReload, SpoolDrain, Steps

__all__ = ["Worker", "collect_seldom"]

POLICIES_SECONDS = 0.3
SPOOL_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 1.0
FORGET_SECONDS = 60.0
CAPS_SECONDS = 0.1
REDEMPTIONS_SECONDS = 1.0
CLOCK_SECONDS = 1.0
KEYS_SECONDS = 1.0
PARENT_GONE_SECONDS = 0.3
NEW_OBJECTS = 50_000
"""So many more containers are made than freed before Python looks for cycles among them; some megabytes at the most."""

_log = structlog.get_logger()


class Worker:
    """Everything that one process of the service holds."""

    def __init__(self, settings: Settings) -> None:
        """Open it all. Raises SettingsError, PolicyError or DependencyError where that can't be."""
        configure_logs(settings.log_level)
        self._application = open_application(settings)
        metrics = Metrics(gauges_of(self._application), shared=settings.workers > 1)
        self.app = create_app(self._application, settings, metrics)
        threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
        self._upkeep = _upkeep(self._application, settings, metrics)
        for upkeep in self._upkeep:
            upkeep.start()
        collect_seldom()
        _log.info("worker.started", pid=os.getpid(), revision=self._application.policies.status.revision)

    def close(self) -> None:
        """Finish what was accepted, then let go of the stores."""
        for upkeep in self._upkeep:  # all at once: each may wait for a store that hangs
            upkeep.end()
        for upkeep in self._upkeep:
            upkeep.stop()
        self._application.close()
        _log.info("worker.stopped", pid=os.getpid())


def collect_seldom() -> None:
    """Let Python look for garbage seldom, and never among what is loaded by now: a batch costs a tenth less.

    Decisions make few cycles, but so many containers that a batch of a hundred would be interrupted a dozen times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])


def _upkeep(application: Application, settings: Settings, metrics: Metrics) -> list[Periodic]:
    upkeep = [
        Periodic("policies", PolicyReload(application.policies, metrics), seconds=POLICIES_SECONDS),
        Periodic("spool", Steps(SpoolDrain(application.drain, metrics)), seconds=SPOOL_SECONDS),
        # Opened here and now: a key that is put in front later signs nothing until a worker is started anew.
        Periodic("signing_keys", application.signing_keys().refresh, seconds=KEYS_SECONDS),
    ]
    if application.caps_rebuild is not None:
        upkeep.append(Periodic("caps", Steps(CapsFill(application.caps_rebuild, metrics)), seconds=CAPS_SECONDS))
    if settings.caps_url == CAPS_IN_DATABASE:  # where the database was out of reach when the service started
        upkeep.append(Periodic("caps", _Once(lambda: take_caps_back(settings)), seconds=CAPS_SECONDS))
    if settings.replay_clock:  # time is what requests say it is, and nobody here knows it
        return upkeep
    keep_house = Steps(HouseKeeping(application.housekeeping, utc_now, metrics))
    return [
        *upkeep,
        Periodic("housekeeping", keep_house, seconds=HOUSEKEEPING_SECONDS),
        Periodic("conversions", Steps(lambda: application.conversions.forget(utc_now())), seconds=FORGET_SECONDS),
        Periodic("redemptions", Steps(lambda: application.redemptions.step(utc_now())), seconds=REDEMPTIONS_SECONDS),
        Periodic("payments", Steps(lambda: application.payment_events.step(utc_now())), seconds=FORGET_SECONDS),
        Periodic("clock", ClockWatch(utc_now), seconds=CLOCK_SECONDS),
    ]


class _Once:
    """Work that is tried until it is done, and then no more."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._is_done = False

    def __call__(self) -> None:
        if not self._is_done:
            self._work()
            self._is_done = True


def _end_with_parent() -> None:
    """Stop as SIGTERM does once the process that looks after the workers is gone, however it went.

    Nobody else would: an orphan would serve on, unwatched, and hold the port against the next start.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    while True:  # a signal that comes at the wrong moment is lost
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PARENT_GONE_SECONDS)
