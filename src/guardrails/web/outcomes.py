"""The room of outcomes: what became of an allowed decision, one at a time or many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Id, Instant
from guardrails.decide.outcomes import Outcome, OutcomeReport, OutcomeResult, Outcomes
from guardrails.errors import CandidateError
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.problems import problem_for
from guardrails.web.route import Route, path_id, results_of

__all__ = ["OutcomeRoom"]

REPORT_BYTES = 4 * 1024
BATCH_BYTES = 1024 * 1024
BATCH_MOST = 1000

_encoder = msgspec.json.Encoder()


class OutcomeOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a decision; `at` null means now."""

    outcome: Outcome
    at: Instant | None = None


class OutcomeOfOne(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of the decision named here; `at` null means now."""

    decision_id: Id
    outcome: Outcome
    at: Instant | None = None


class OutcomeReports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reports to apply in this order."""

    outcomes: Annotated[tuple[OutcomeOfOne, ...], Meta(min_length=1, max_length=BATCH_MOST)]


class OutcomeRoom:
    """The handlers."""

    def __init__(self, outcomes: Outcomes, clock: Callable[[], datetime]) -> None:
        self._outcomes = outcomes
        self._clock = clock
        self._one = Body(OutcomeOf, limit=REPORT_BYTES)
        self._many = Body(OutcomeReports, limit=BATCH_BYTES)

    def report(self, exchange: Exchange, decision_id: str) -> Reply:
        """`POST /v1/decisions/{decision_id}/outcome`."""
        exchange.log["decision_id"] = path_id(decision_id)
        told = self._one.read(exchange)
        now = exchange.replay_at or self._clock()
        (result,) = self._outcomes.report((OutcomeReport(decision_id, told.outcome, told.at or now),), now=now)
        if isinstance(result, CandidateError):
            raise result
        return Reply(200, _encoder.encode(result))

    def report_many(self, exchange: Exchange) -> Reply:
        """`POST /v1/outcomes`."""
        told = self._many.read(exchange).outcomes
        now = exchange.replay_at or self._clock()
        reports = [OutcomeReport(one.decision_id, one.outcome, one.at or now) for one in told]
        results = self._outcomes.report(reports, now=now)
        exchange.log["outcomes"] = len(results)
        return Reply(200, _encoder.encode({"results": [_said(result, exchange) for result in results]}))

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
                description="`sent` and `delivered` make its slots count for good, `failed` and `cancelled` free them. "
                "The same outcome again changes nothing; one that can't follow the state it is in is a conflict.",
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
                description="Each report has its own result in the same place: the state, or the problem it alone has.",
                scope="decide",
                takes=OutcomeReports,
                gives=results_of(OutcomeResult),
                problems=("invalid", "unavailable"),
                example={
                    "outcomes": [{"decision_id": "0197f3c2", "outcome": "delivered", "at": "2026-12-01T12:00:00Z"}]
                },
            ),
        )


def _said(result: OutcomeResult | CandidateError, exchange: Exchange) -> object:
    return problem_for(result, request_id=exchange.request_id) if isinstance(result, CandidateError) else result
