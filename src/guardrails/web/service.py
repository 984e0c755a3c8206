"""The room for operators and machines: is it alive, is it ready, what does it count, what does it offer."""

from __future__ import annotations

import msgspec

from guardrails.core.candidate import Instant
from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.ports import Session, Transactor
from guardrails.errors import DependencyError
from guardrails.policyfile.problems import PolicyProblems
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.metrics import CONTENT_TYPE, Metrics
from guardrails.web.route import Route

__all__ = ["PolicyCheck", "Readiness", "Service", "StoreCheck"]

_encoder = msgspec.json.Encoder()


class StoreCheck(msgspec.Struct, frozen=True):
    """Whether the store answers."""

    ok: bool


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
    """Whether requests can be answered as they should. A broken policy edit is told, and the last good set decides."""

    status: str
    store: StoreCheck
    policies: PolicyCheck


class Service:
    """The handlers."""

    def __init__(self, *, transactor: Transactor, policies: ActivePolicies, metrics: Metrics) -> None:
        self._transactor = transactor
        self._policies = policies
        self._metrics = metrics

    def livez(self, _: Exchange) -> Reply:
        """`GET /livez`."""
        return Reply(200, b'{"status":"alive"}')

    def readyz(self, exchange: Exchange) -> Reply:
        """`GET /readyz`."""
        store = self._store()
        readiness = Readiness("ready" if store.ok else "unavailable", store, self._policy_check(exchange))
        return Reply(200 if store.ok else 503, _encoder.encode(readiness))

    def metrics(self, _: Exchange) -> Reply:
        """`GET /metrics`."""
        return Reply(200, self._metrics.render(), CONTENT_TYPE)

    def _store(self) -> StoreCheck:
        try:
            self._transactor.call(_look, None)
        except DependencyError:
            return StoreCheck(ok=False)
        return StoreCheck(ok=True)

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
                summary="The store and the policies are there",
                description="503 with the same body where the store does not answer. A broken policy edit leaves the "
                "service ready on the last good set and shows under `policies`.",
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


def _look(session: Session, looks: list[None]) -> list[int]:
    """Have the store answer something that depends on its tables."""
    return [session.audit.next_index()] * len(looks)


def _problems_of(error: Exception | None) -> tuple[str, ...]:
    if error is None:
        return ()
    if isinstance(error, PolicyProblems):
        return tuple(map(str, error.problems))
    return (str(error),)
