"""What a worker looks after beside its requests: policy files that change, and leases that run out.

A good edit is live within a second, a broken one leaves the last good set deciding. A lease that ran out has freed its
slots by itself already; here the decision is marked, so that its state says so to whoever reads the store.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from guardrails.decide.active_policies import ActivePolicies
from guardrails.web.metrics import Metrics

__all__ = ["LEASES_SECONDS", "POLICIES_SECONDS", "Periodic", "PolicyReload"]

POLICIES_SECONDS = 0.3
LEASES_SECONDS = 30.0

_log = structlog.get_logger()


class Periodic:
    """A thread that does `work` every `seconds`, whatever came of it the last time."""

    def __init__(self, name: str, work: Callable[[], object], *, seconds: float) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, after the work that is being done."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 - a thread that dies would leave its work undone, unseen
                _log.error("upkeep.failed", upkeep=self._name, error=str(error), exc_info=error)


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
            _log.error("policies.broken_edit", active_revision=status.revision, problems=str(status.error).splitlines())
