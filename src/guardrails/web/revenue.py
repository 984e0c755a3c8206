"""The room of revenue: report what was earned, take it back, and read to which decisions it is owed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from guardrails.attribution.booking import Booked
from guardrails.attribution.service import RevenueService
from guardrails.attribution.values import Revenue, RevenueRequest, ReversalRequest
from guardrails.decoding import in_place
from guardrails.errors import CandidateError
from guardrails.web.body import Batch, Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.metrics import Metrics
from guardrails.web.route import ResultsOf, Route, path_id, results_reply

__all__ = ["RevenueRoom"]

REVENUE_BYTES = 16 * 1024
BATCH_BYTES = 8 * 1024 * 1024
BATCH_MOST = 1000

_encoder = msgspec.json.Encoder()


class RevenueRequests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Revenue to book in this order."""

    revenue: Annotated[tuple[RevenueRequest, ...], Meta(min_length=1, max_length=BATCH_MOST)]


class RevenueResult(Revenue, frozen=True, kw_only=True):
    """A record of a batch: `status` is 201 where it was booked now, 200 where it was before."""

    status: Literal[200, 201]


class RevenueRoom:
    """The handlers."""

    def __init__(self, revenue: RevenueService, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._revenue = revenue
        self._clock = clock
        self._metrics = metrics
        self._one = Body(RevenueRequest, limit=REVENUE_BYTES)
        self._many = Batch(RevenueRequests, RevenueRequest, limit=BATCH_BYTES)
        self._reversal = Body(ReversalRequest, limit=REVENUE_BYTES)

    def record(self, exchange: Exchange) -> Reply:
        """`POST /v1/revenue`."""
        request = self._one.read(exchange)
        exchange.log["revenue_id"] = request.id
        (result,) = self._record((request,), now=exchange.now(self._clock))
        if isinstance(result, CandidateError):
            raise result
        return _told(result)

    def record_many(self, exchange: Exchange) -> Reply:
        """`POST /v1/revenue/batch`."""
        requests = self._many.read(exchange)
        exchange.log["revenues"] = len(requests)
        now = exchange.now(self._clock)
        results = in_place(requests, partial(self._record, now=now))
        return results_reply((_in_batch(each) if isinstance(each, Booked) else each for each in results), exchange)

    def reverse(self, exchange: Exchange, revenue_id: str) -> Reply:
        """`POST /v1/revenue/{revenue_id}/reverse`."""
        id_, request = path_id(revenue_id), self._reversal.read(exchange)
        exchange.log["revenue_id"] = id_
        booked = self._revenue.reverse(id_, request, now=exchange.now(self._clock))
        self._count(booked)
        return _told(booked)

    def read(self, exchange: Exchange, revenue_id: str) -> Reply:
        """`GET /v1/revenue/{revenue_id}`."""
        del exchange
        return Reply(200, _encoder.encode(self._revenue.read(path_id(revenue_id))))

    def _record(self, requests: Sequence[RevenueRequest], *, now: datetime) -> list[Booked | CandidateError]:
        results = self._revenue.record(requests, now=now)
        for result in results:
            if isinstance(result, Booked):
                self._count(result)
        return results

    def _count(self, booked: Booked) -> None:
        if booked.is_new:
            self._metrics.revenue(booked.revenue, "reported")

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/revenue",
                handler=self.record,
                name="record_revenue",
                tag="revenue",
                summary="Book what was earned, and attribute it to the decisions that it is owed to",
                description="Durable before it is answered, with its postings in the ledger. Say what it is owed to by "
                "the token of the obligation `carry_attribution`, by the decision's id, or by the recipient and the "
                "sponsor (campaign, offer). What can be attributed to no decision is booked as such, and `why` says "
                "for which reason. A token that is none of ours is refused (`token.invalid`). Safe to repeat (200); "
                "the same id with another content is a conflict (`revenue.other_body`), and so is a second revenue of "
                "one conversion (`revenue.conversion_booked`).",
                scope="revenue:write",
                takes=RevenueRequest,
                gives=Revenue,
                status=201,
                other_statuses=(200,),
                problems=("invalid", "conflict", "unavailable"),
                example=EXAMPLE,
            ),
            Route(
                method="POST",
                path="/v1/revenue/batch",
                handler=self.record_many,
                name="record_revenues",
                tag="revenue",
                summary=f"Book up to {BATCH_MOST} revenues, in order",
                description="Each has its own result in the same place: the record, with the `status` that it would "
                "have had alone (201, or 200 where it was booked before), or the problem it alone has.",
                scope="revenue:write",
                takes=RevenueRequests,
                gives=ResultsOf(RevenueResult),
                problems=("invalid", "unavailable"),
                example={"revenue": [EXAMPLE]},
            ),
            Route(
                method="GET",
                path="/v1/revenue/{revenue_id}",
                handler=self.read,
                name="read_revenue",
                tag="revenue",
                summary="One revenue: the decisions it is attributed to, the shares, and what took it back",
                scope="revenue:read",
                gives=Revenue,
                problems=("unavailable",),
            ),
            Route(
                method="POST",
                path="/v1/revenue/{revenue_id}/reverse",
                handler=self.reverse,
                name="reverse_revenue",
                tag="revenue",
                summary="Take a revenue back, all that it caused",
                description="A record of its own, in the month it happens. What somebody no longer has is not taken "
                "from them: the platform bears it, and `shortfalls` says how much that is. Asked for again it is "
                "answered with the same reversal (200); another `id` or `reason` is a conflict (`revenue.reversed`).",
                scope="revenue:write",
                takes=ReversalRequest,
                gives=Revenue,
                status=201,
                other_statuses=(200,),
                problems=("invalid", "conflict", "unavailable"),
                example={"id": "back-1001", "reason": "the order was cancelled"},
            ),
        )


def _told(booked: Booked) -> Reply:
    return Reply(201 if booked.is_new else 200, _encoder.encode(booked.revenue))


def _in_batch(booked: Booked) -> RevenueResult:
    record = {name: getattr(booked.revenue, name) for name in Revenue.__struct_fields__}
    return RevenueResult(**record, status=201 if booked.is_new else 200)


EXAMPLE: dict[str, Any] = {
    "id": "order-1001",
    "amount_minor": 1250,
    "currency": "EUR",
    "recipient": "r-42",
    "sponsor": "acme-air",
    "conversion": "checkout-77",
}
