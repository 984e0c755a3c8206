"""Watches the policy files: a good edit is live within a second, a broken one leaves the last good set deciding."""

from __future__ import annotations

import threading

import structlog

from guardrails.decide.active_policies import ActivePolicies
from guardrails.web.metrics import Metrics

__all__ = ["PolicyWatcher"]

PERIOD_SECONDS = 0.3

_log = structlog.get_logger()


class PolicyWatcher:
    """A thread that looks at the files every `PERIOD_SECONDS`; looking costs one `stat` a file."""

    def __init__(self, policies: ActivePolicies, metrics: Metrics, *, period_seconds: float = PERIOD_SECONDS) -> None:
        self._policies = policies
        self._metrics = metrics
        self._period_seconds = period_seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="policy-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, after the look that is being taken."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._period_seconds):
            try:
                if self._policies.reload_if_changed():
                    self._tell()
            except Exception as error:  # noqa: BLE001 - a watcher that dies would leave policies stale, unseen
                _log.error("policies.watch_failed", error=str(error), exc_info=error)

    def _tell(self) -> None:
        status = self._policies.status
        self._metrics.reload(good=status.error is None)
        if status.error is None:
            _log.info("policies.reloaded", revision=status.revision)
        else:
            _log.error("policies.broken_edit", active_revision=status.revision, problems=str(status.error).splitlines())
