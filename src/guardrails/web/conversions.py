"""The room of conversion sessions: open one, report its steps, read it. What is refused is counted by its code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import msgspec

from guardrails.errors import CandidateError
from guardrails.offers.conversion_service import Conversions
from guardrails.offers.conversions import ConversionRequest, ConversionSession, StepReport
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.metrics import Metrics
from guardrails.web.route import Route, path_id

__all__ = ["ConversionRoom"]

BODY_BYTES = 8 * 1024

_encoder = msgspec.json.Encoder()


class ConversionRoom:
    """The handlers."""

    def __init__(self, conversions: Conversions, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._conversions = conversions
        self._clock = clock
        self._metrics = metrics.conversions
        self._openings = Body(ConversionRequest, limit=BODY_BYTES)
        self._steps = Body(StepReport, limit=BODY_BYTES)

    def open(self, exchange: Exchange) -> Reply:
        """`POST /v1/conversions`."""
        request = self._openings.read(exchange)
        with self._counting_refusals(exchange):
            opened = self._conversions.open(request, now=exchange.now(self._clock))
        if opened.is_new:
            self._metrics.opened()
        exchange.log["conversion"] = opened.conversion.id
        exchange.log["decision_id"] = opened.conversion.decision_id
        return Reply(201 if opened.is_new else 200, _encoder.encode(opened.conversion))

    def step(self, exchange: Exchange, conversion_id: str) -> Reply:
        """`POST /v1/conversions/{conversion_id}/steps`."""
        exchange.log["conversion"] = path_id(conversion_id)
        report = self._steps.read(exchange)
        with self._counting_refusals(exchange):
            changed = self._conversions.step(conversion_id, report, now=exchange.now(self._clock))
        exchange.log["decision_id"] = changed.conversion.decision_id
        return Reply(200, _encoder.encode(changed.conversion))

    def find(self, exchange: Exchange, conversion_id: str) -> Reply:
        """`GET /v1/conversions/{conversion_id}`."""
        found = self._conversions.find(path_id(conversion_id), now=exchange.now(self._clock))
        return Reply(200, _encoder.encode(found))

    @contextmanager
    def _counting_refusals(self, exchange: Exchange) -> Iterator[None]:
        try:
            yield
        except CandidateError as error:
            if error.code is not None:
                self._metrics.refused(error.code)
                exchange.log["refused"] = error.code
            raise

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/conversions",
                handler=self.open,
                name="open_conversion",
                tag="conversions",
                summary="Open a conversion session with an offer token",
                description="The steps and the time are the offer's; it ends with the token at the latest. Give it an "
                "`id`, and the same request sent again is answered with the same session (200). A token has one "
                "open session: a second one is a conflict with the code `conversion.second_tab`; one that converted "
                "has no other: `conversion.done`.",
                scope="conversions:write",
                takes=ConversionRequest,
                gives=ConversionSession,
                status=201,
                other_statuses=(200,),
                problems=("invalid", "conflict", "gone", "unavailable"),
                example={"id": "s-77", "token": "eyJhbGciOiJFZERTQSIsImtpZCI6...", "recipient": "r-42"},
            ),
            Route(
                method="POST",
                path="/v1/conversions/{conversion_id}/steps",
                handler=self.step,
                name="report_step",
                tag="conversions",
                summary="Say that the recipient did a step",
                description="Only the next of the declared steps is taken. The step just done, reported again, is "
                "answered with the session as it stands, and so is any earlier one where `number` says which. All else "
                "is refused and counted, with a code: `conversion.too_many_steps`, `conversion.out_of_order`, "
                "`conversion.unknown_step`, `conversion.done`, and, where its time is over, `conversion.late` (410).",
                scope="conversions:write",
                takes=StepReport,
                gives=ConversionSession,
                problems=("invalid", "conflict", "gone", "unavailable"),
                example={"step": "confirm", "number": 2},
            ),
            Route(
                method="GET",
                path="/v1/conversions/{conversion_id}",
                handler=self.find,
                name="read_conversion",
                tag="conversions",
                summary="A conversion session as it stands",
                scope="conversions:write",
                gives=ConversionSession,
                problems=("unavailable",),
            ),
        )
