"""The room for operators and machines: is it alive, is it ready, what does it count, what does it offer."""

from __future__ import annotations

from typing import Literal

import msgspec

from guardrails.core.candidate import Instant
from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.ports import PATIENCE_SECONDS
from guardrails.policyfile.problems import PolicyProblems
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.metrics import CONTENT_TYPE, Metrics
from guardrails.web.route import Route
from guardrails.web.stores import Stores

__all__ = ["PolicyCheck", "Readiness", "Service", "StoreCheck"]

_encoder = msgspec.json.Encoder()


class StoreCheck(msgspec.Struct, frozen=True):
    """Whether it answers and takes writes; null where that can't be told, since the database does not."""

    ok: bool | None


class PolicyCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which set decides. `pending_problems` counts what keeps the newest edit from replacing it; `problems` lists it.

    With keys configured the list is shown to a key with the scope `policy:read` only.
    """

    ok: bool
    revision: str
    loaded_at: Instant
    pending_problems: int = 0
    problems: tuple[str, ...] = ()


class Readiness(msgspec.Struct, frozen=True):
    """Whether requests can be answered as they should. A broken policy edit is told, and the last good set decides.

    `status` is `ready`, `degraded` (the caps' own store is out of reach, full or being filled: the transactional lane
    goes on, the monetized lane denies) or `unavailable` (the database does not answer, or takes no writes).
    """

    status: Literal["ready", "degraded", "unavailable"]
    store: StoreCheck
    caps: StoreCheck
    policies: PolicyCheck


class Service:
    """The handlers."""

    def __init__(self, stores: Stores, policies: ActivePolicies, metrics: Metrics) -> None:
        self._stores = stores
        self._policies = policies
        self._metrics = metrics

    def livez(self, _: Exchange) -> Reply:
        """`GET /livez`."""
        return Reply(200, b'{"status":"alive"}')

    def readyz(self, exchange: Exchange) -> Reply:
        """`GET /readyz`."""
        store, caps = self._stores.look(timeout_seconds=PATIENCE_SECONDS)
        status: Literal["ready", "degraded", "unavailable"] = "ready" if caps else "degraded"
        readiness = Readiness(
            status if store else "unavailable", StoreCheck(store), StoreCheck(caps), self._policy_check(exchange)
        )
        return Reply(200 if store else 503, _encoder.encode(readiness))

    def metrics(self, _: Exchange) -> Reply:
        """`GET /metrics`."""
        return Reply(200, self._metrics.render(), CONTENT_TYPE)

    def _policy_check(self, exchange: Exchange) -> PolicyCheck:
        status = self._policies.status
        problems = _problems_of(status.error)
        shown = problems if exchange.may("policy:read") else ()
        return PolicyCheck(
            ok=not problems,
            revision=status.revision,
            loaded_at=status.loaded_at,
            pending_problems=len(problems),
            problems=shown,
        )

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="GET",
                path="/livez",
                handler=self.livez,
                name="livez",
                tag="service",
                summary="The process answers",
                scope=None,
            ),
            Route(
                method="GET",
                path="/readyz",
                handler=self.readyz,
                name="readyz",
                tag="service",
                summary="The stores and the policies are there",
                description="503 with the same body where the database does not answer or takes no writes. Where only "
                "the caps' own store does not, it is 200 and `degraded`: the transactional lane goes on. A broken "
                "policy edit leaves the service ready on the last good set and shows under `policies`.",
                scope=None,
                gives=Readiness,
                other_statuses=(503,),
            ),
            Route(
                method="GET",
                path="/metrics",
                handler=self.metrics,
                name="metrics",
                tag="service",
                summary="Counters and latencies for Prometheus",
                scope=None,
                answers="text/plain",
            ),
        )


def _problems_of(error: Exception | None) -> tuple[str, ...]:
    if error is None:
        return ()
    if isinstance(error, PolicyProblems):
        return tuple(map(str, error.problems))
    return (str(error),)
