"""The application that is timed, over whatever store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.state.workload import POLICIES
from guardrails.bootstrap import Application, open_application
from guardrails.settings import Settings

__all__ = ["application"]

LEASE_SECONDS = 86_400
"""Nobody reports outcomes here, and a lease of minutes would have run out before the recipient's next candidate."""

DEADLINE_MS = 60_000
"""Nothing is given up, so that a slow moment shows as one."""


@contextmanager
def application(
    directory: Path, database_url: str, *, caps_url: str | None = None, policies: Path = POLICIES
) -> Iterator[Application]:
    """The application over these stores; requests tell it the time."""
    opened = open_application(
        Settings(
            policies=policies,
            database_url=database_url,
            caps_url=caps_url,
            state_directory=directory,
            lease_seconds=LEASE_SECONDS,
            deadline_ms=DEADLINE_MS,
            replay_clock=True,
        )
    )
    try:
        opened.make_ready()
        opened.fill_caps()
        yield opened
    finally:
        opened.close()
