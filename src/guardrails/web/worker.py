"""What one worker process serves: the application, its HTTP app and its watcher, opened and closed together."""

from __future__ import annotations

import os

import structlog

from guardrails.bootstrap import open_application
from guardrails.settings import Settings
from guardrails.web.app import create_app
from guardrails.web.logs import configure_logs
from guardrails.web.metrics import Metrics, policy_gauges
from guardrails.web.watcher import PolicyWatcher

__all__ = ["Worker"]

_log = structlog.get_logger()


class Worker:
    """Everything that one process of the service holds."""

    def __init__(self, settings: Settings) -> None:
        """Open it all. Raises SettingsError, PolicyError or DependencyError where that can't be."""
        configure_logs(settings.log_level)
        self._application = open_application(settings)
        metrics = Metrics(policy_gauges(self._application.policies), shared=settings.workers > 1)
        self.app = create_app(self._application, settings, metrics)
        self._watcher = PolicyWatcher(self._application.policies, metrics)
        self._watcher.start()
        _log.info("worker.started", pid=os.getpid(), revision=self._application.policies.status.revision)

    def close(self) -> None:
        """Finish what was accepted, then let go of the stores."""
        self._watcher.stop()
        self._application.close()
        _log.info("worker.stopped", pid=os.getpid())
