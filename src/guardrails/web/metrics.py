"""What is counted for operators, in the Prometheus format: decisions, requests, disagreements, reloads, the spool.

A label's child is looked up once and kept, because `labels()` costs more than counting. Where several workers serve,
each counts into files in `PROMETHEUS_MULTIPROC_DIR`, and whichever is asked answers for all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from guardrails.attribution.values import Revenue
from guardrails.decide.decider import ENGINE_DISAGREEMENT

__all__ = ["CONTENT_TYPE", "ConversionMetrics", "Gauge", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SESSION_BUCKETS_SECONDS = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
STEP_BUCKETS = (1.0, 2.0, 3.0)
BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

disable_created_metrics()  # type: ignore[no-untyped-call]  # else each counter has a second series, of when it was made


class Gauge(NamedTuple):
    """A value that is read when it is asked for; where it has a `label`, one by each of the label's values."""

    name: str
    meaning: str
    read: Callable[[], float | Mapping[str, float]]
    label: str = ""


class Metrics:
    """The metrics of one app. `shared` says that several processes count together."""

    def __init__(self, gauges: Iterable[Gauge] = (), *, shared: bool = False) -> None:
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
        drained = Counter(
            "guardrails_spool_drained",
            "Spooled audit entries taken out of the spool, by result",
            ("result",),
            registry=self._registry,
        )
        outcomes = Counter("guardrails_outcomes", "Outcomes reported and taken", ("outcome",), registry=self._registry)
        expired = Counter("guardrails_leases_expired", "Allows whose lease ended", registry=self._registry)
        filled = Counter(
            "guardrails_caps_filled", "Times that the caps were filled from the decisions", registry=self._registry
        )
        earned = Counter(
            "guardrails_revenue_minor",
            "Revenue booked, in minor units of its currency; attributed or not; reported, or of a redemption",
            ("currency", "attributed", "source"),
            registry=self._registry,
        )
        taken_back = Counter(
            "guardrails_revenue_reversed_minor",
            "Revenue taken back, in minor units of its currency",
            ("currency", "attributed", "source"),
            registry=self._registry,
        )
        borne = Counter(
            "guardrails_revenue_shortfall_minor",
            "Shares that were taken back and nobody had any more, in minor units of their currency",
            ("currency",),
            registry=self._registry,
        )
        redemptions = Counter(
            "guardrails_redemptions",
            "Redemptions that entered a state, by payment method, within a conversion session or not",
            ("state", "method", "session"),
            registry=self._registry,
        )
        not_redeemed = Counter(
            "guardrails_redemption_refusals",
            "Tokens not redeemed, by stable code",
            ("reason",),
            registry=self._registry,
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
        self.conversions = ConversionMetrics(self._registry)
        self._decision = functools.cache(lambda effect, lane, degraded: decisions.labels(effect, lane, degraded).inc)
        self._reason = functools.cache(lambda code: reasons.labels(code).inc)
        self._disagreement = disagreements.inc
        self._reload = functools.cache(lambda result: reloads.labels(result).inc)
        self._drained = functools.cache(lambda result: drained.labels(result).inc)
        self._outcome = functools.cache(lambda outcome: outcomes.labels(outcome).inc)
        self.expired = expired.inc
        self.caps_filled = filled.inc
        self._earned = functools.cache(lambda *labels: earned.labels(*labels).inc)
        self._taken_back = functools.cache(lambda *labels: taken_back.labels(*labels).inc)
        self._borne = functools.cache(lambda currency: borne.labels(currency).inc)
        self._redemption = functools.cache(lambda *labels: redemptions.labels(*labels).inc)
        self._not_redeemed = functools.cache(lambda reason: not_redeemed.labels(reason).inc)
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

    def drained(self, *, into_log: int, rejected: int) -> None:
        """Count spooled entries that are in the log now, and those that were none and are put aside."""
        self._drained("log")(into_log)
        self._drained("rejected")(rejected)

    def outcome(self, outcome: str) -> None:
        """Count one report that was taken, be it for the first time or again."""
        self._outcome(outcome)()

    def revenue(self, revenue: Revenue, source: Literal["reported", "redemption"]) -> None:
        """Count one revenue that was booked or, where it is below zero, taken back; `source` says by whom."""
        count = self._earned if revenue.amount_minor > 0 else self._taken_back
        count(revenue.currency, "yes" if revenue.parts else "no", source)(abs(revenue.amount_minor))
        for shortfall in revenue.shortfalls:
            self._borne(revenue.currency)(shortfall.amount_minor)

    def redemption(self, state: str, method: str, *, in_session: bool) -> None:
        """Count one redemption that entered a state."""
        self._redemption(state, method, "yes" if in_session else "no")()

    def redemption_refused(self, code: str) -> None:
        """Count one token that could not be redeemed."""
        self._not_redeemed(code)()

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


class ConversionMetrics:
    """What is counted of conversion sessions: the promise of few steps, measured."""

    def __init__(self, registry: CollectorRegistry) -> None:
        opened = Counter("guardrails_conversions_opened", "Conversion sessions opened", registry=registry)
        steps = Histogram(
            "guardrails_conversion_steps",
            "Steps done in sessions that converted",
            buckets=STEP_BUCKETS,
            registry=registry,
        )
        seconds = Histogram(
            "guardrails_conversion_seconds",
            "Seconds from the opening of a session until it converted",
            buckets=SESSION_BUCKETS_SECONDS,
            registry=registry,
        )
        refusals = Counter(
            "guardrails_conversion_refusals",
            "Sessions and steps refused, by stable code",
            ("reason",),
            registry=registry,
        )
        self._steps, self._seconds = steps.observe, seconds.observe
        self._refusal = functools.cache(lambda code: refusals.labels(code).inc)
        self.opened = opened.inc

    def refused(self, code: str) -> None:
        """Count one session that was not opened, or one step that was not taken."""
        self._refusal(code)()

    def converted(self, steps: int, seconds: float) -> None:
        """Count one session that converted, in so many steps and seconds."""
        self._steps(steps)
        self._seconds(seconds)


class _Gauges(Collector):
    """Values that belong to somebody else and are read at the time of asking."""

    def __init__(self, gauges: tuple[Gauge, ...]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.meaning, labels=[gauge.label] if gauge.label else None)
            with suppress(OSError):  # what can't be read now is left out
                value = gauge.read()
                values = value if isinstance(value, Mapping) else {None: value}
                for label, number in values.items():
                    family.add_metric([] if label is None else [label], number)
            yield family
