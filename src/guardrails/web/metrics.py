"""What is counted for operators, in the Prometheus format: decisions, requests, engine disagreements, policy reloads.

A label's child is looked up once and kept, because `labels()` costs more than counting. Where several workers serve,
each counts into files in `PROMETHEUS_MULTIPROC_DIR`, and whichever is asked answers for all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.decider import ENGINE_DISAGREEMENT

__all__ = ["CONTENT_TYPE", "Metrics", "policy_gauges"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

Sample = tuple[str, str, Callable[[], float]]
"""A gauge that is read when it is asked for: its name, what it says, its value."""


class Metrics:
    """The metrics of one app. `shared` says that several processes count together."""

    def __init__(self, gauges: Iterable[Sample] = (), *, shared: bool = False) -> None:
        self._registry = CollectorRegistry()
        self._shared = shared
        self._gauges = _Gauges(tuple(gauges))
        self._registry.register(self._gauges)
        decisions = Counter(
            "guardrails_decisions", "Decisions answered", ("effect", "lane", "degraded"), registry=self._registry
        )
        reasons = Counter(
            "guardrails_reasons", "Reasons given in denials, by stable code", ("code",), registry=self._registry
        )
        disagreements = Counter(
            "guardrails_engine_disagreements", "Denials because the engines disagree", registry=self._registry
        )
        reloads = Counter(
            "guardrails_policy_reloads", "Edits of the policy files, by result", ("result",), registry=self._registry
        )
        requests = Counter(
            "guardrails_requests", "HTTP requests answered", ("route", "status"), registry=self._registry
        )
        seconds = Histogram(
            "guardrails_request_seconds",
            "Seconds from reading a request to its answer",
            ("route",),
            buckets=BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._decision = functools.cache(lambda effect, lane, degraded: decisions.labels(effect, lane, degraded).inc)
        self._reason = functools.cache(lambda code: reasons.labels(code).inc)
        self._disagreement = disagreements.inc
        self._reload = functools.cache(lambda result: reloads.labels(result).inc)
        self._request = functools.cache(lambda route, status: requests.labels(route, status).inc)
        self._seconds = functools.cache(lambda route: seconds.labels(route).observe)

    def decision(self, effect: str, lane: str, codes: Iterable[str], *, degraded: bool) -> None:
        """Count one decision and the reasons it gives."""
        self._decision(effect, lane, "yes" if degraded else "no")()
        for code in codes:
            self._reason(code)()
            if code == ENGINE_DISAGREEMENT:
                self._disagreement()

    def reload(self, *, good: bool) -> None:
        """Count one edit of the policies that became active (`good`) or did not load."""
        self._reload("active" if good else "broken")()

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the path's pattern, so that ids make no labels."""
        self._request(route, status)()
        self._seconds(route)(seconds)

    def render(self) -> bytes:
        """Everything, in the text format."""
        if not self._shared:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(self._gauges)
        return generate_latest(registry)


def policy_gauges(policies: ActivePolicies) -> tuple[Sample, ...]:
    """What operators watch of the policies: how many decide, since when, and whether an edit waits to be mended."""
    return (
        (
            "guardrails_policies",
            "Policies in the active set",
            lambda: float(len(policies.snapshot.policy_set.policies)),
        ),
        (
            "guardrails_policies_loaded_timestamp_seconds",
            "When the active set was loaded",
            lambda: policies.status.loaded_at.timestamp(),  # noqa: PLW0108 - of whichever status holds then
        ),
        (
            "guardrails_policies_broken_edit",
            "1 while the newest edit does not load and an older set decides",
            lambda: float(policies.status.error is not None),
        ),
    )


class _Gauges(Collector):
    """Values that belong to somebody else and are read at the time of asking."""

    def __init__(self, gauges: tuple[Sample, ...]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        for name, meaning, read in self._gauges:
            yield GaugeMetricFamily(name, meaning, value=read())
