"""What operators watch that is not counted but read: the policies, the stores, and what waits in the spool."""

from __future__ import annotations

from collections.abc import Mapping

from guardrails.bootstrap import Application
from guardrails.web.metrics import Gauge
from guardrails.web.stores import Stores

__all__ = ["gauges_of"]

LOOK_SECONDS = 1.0
"""How long a scrape waits for stores that don't answer."""


def gauges_of(application: Application) -> tuple[Gauge, ...]:
    """Everything to be read of a running application."""
    policies, spool = application.policies, application.spool
    stores = Stores(application.transactor)

    def stores_up() -> Mapping[str, float]:
        database, caps = stores.look(timeout_seconds=LOOK_SECONDS)
        up = {"database": database} if caps is None else {"database": database, "caps": caps}
        return {store: float(answers) for store, answers in up.items()}

    return (
        Gauge(
            "guardrails_policies",
            "Policies in the active set",
            lambda: float(len(policies.snapshot.policy_set.policies)),
        ),
        Gauge(
            "guardrails_policies_loaded_timestamp_seconds",
            "When the active set was loaded",
            lambda: policies.status.loaded_at.timestamp(),  # noqa: PLW0108 - of whichever status holds then
        ),
        Gauge(
            "guardrails_policies_broken_edit",
            "1 while the newest edit does not load and an older set decides",
            lambda: float(policies.status.error is not None),
        ),
        Gauge(
            "guardrails_store_up",
            "1 where the store takes writes; the caps may live in the database",
            stores_up,
            "store",
        ),
        Gauge(
            "guardrails_spool_entries",
            "Audit entries that wait for the log on this machine",
            lambda: float(spool.backlog().entries),
        ),
        Gauge("guardrails_spool_bytes", "The size of the file they wait in", lambda: float(spool.backlog().size_bytes)),
    )
