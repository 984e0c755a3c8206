"""The room of outcomes: what became of an allowed decision, one at a time or many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Id, Instant
from guardrails.decide.outcomes import Outcome, OutcomeReport, OutcomeResult, Outcomes
from guardrails.decoding import in_place
from guardrails.errors import CandidateError
from guardrails.web.body import Batch, Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.metrics import Metrics
from guardrails.web.route import ResultsOf, Route, path_id, results_reply

__all__ = ["OutcomeRoom"]

REPORT_BYTES = 4 * 1024
BATCH_BYTES = 1024 * 1024
BATCH_MOST = 1000

_encoder = msgspec.json.Encoder()


class OutcomeOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a decision; `at` is when, null where the sender does not know: then it is now."""

    outcome: Outcome
    at: Instant | None = None


class OutcomeOfOne(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of the decision named here, as in `OutcomeOf`."""

    decision_id: Id
    outcome: Outcome
    at: Instant | None = None


class OutcomeReports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reports to apply in this order."""

    outcomes: Annotated[tuple[OutcomeOfOne, ...], Meta(min_length=1, max_length=BATCH_MOST)]


class OutcomeRoom:
    """The handlers."""

    def __init__(self, outcomes: Outcomes, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._outcomes = outcomes
        self._clock = clock
        self._metrics = metrics
        self._alone = Body(OutcomeOf, limit=REPORT_BYTES)
        self._batch = Batch(OutcomeReports, OutcomeOfOne, limit=BATCH_BYTES)

    def report(self, exchange: Exchange, decision_id: str) -> Reply:
        """`POST /v1/decisions/{decision_id}/outcome`."""
        exchange.log["decision_id"] = path_id(decision_id)
        told = self._alone.read(exchange)
        (result,) = self._report([OutcomeReport(decision_id, told.outcome, told.at)], exchange)
        if isinstance(result, CandidateError):
            raise result
        return Reply(200, _encoder.encode(result))

    def report_many(self, exchange: Exchange) -> Reply:
        """`POST /v1/outcomes`."""
        told = self._batch.read(exchange)
        exchange.log["outcomes"] = len(told)

        def report(some: Sequence[OutcomeOfOne]) -> list[OutcomeResult | CandidateError]:
            return self._report([OutcomeReport(one.decision_id, one.outcome, one.at) for one in some], exchange)

        return results_reply(in_place(told, report), exchange)

    def _report(self, reports: Sequence[OutcomeReport], exchange: Exchange) -> list[OutcomeResult | CandidateError]:
        results = self._outcomes.report(reports, now=exchange.now(self._clock))
        for report, result in zip(reports, results, strict=True):
            if not isinstance(result, CandidateError):
                self._metrics.outcome(report.outcome)
        return results

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/decisions/{decision_id}/outcome",
                handler=self.report,
                name="report_outcome",
                tag="outcomes",
                summary="Say what became of an allowed decision",
                description=_MEANING,
                scope="decide",
                takes=OutcomeOf,
                gives=OutcomeResult,
                problems=("invalid", "conflict", "unavailable"),
                example={"outcome": "sent", "at": None},
            ),
            Route(
                method="POST",
                path="/v1/outcomes",
                handler=self.report_many,
                name="report_outcomes",
                tag="outcomes",
                summary=f"Say what became of up to {BATCH_MOST} decisions, in order",
                description="Each report sees those before it, and has its own result in the same place: the state, or "
                "the problem that this report alone has.",
                scope="decide",
                takes=OutcomeReports,
                gives=ResultsOf(OutcomeResult),
                problems=("invalid", "unavailable"),
                example={
                    "outcomes": [{"decision_id": "0197f3c2", "outcome": "delivered", "at": "2026-12-01T12:00:00Z"}]
                },
            ),
        )


_MEANING = (
    "`sent`, `delivered` and `complained` make its slots count for good; `failed`, `bounced` and `cancelled` free "
    "them. Reports arrive in any order, and more than once: what may have come before the state that the decision is "
    "in changes no state, what may come after it moves it, and anything else is a conflict that names both states. "
    "`sent` comes before all but `cancelled`, `delivered` before `complained` and `bounced`. What is reported after "
    "the lease ended counts all the same."
)
