"""The room of redemptions: redeem an offer token, read what became of it, take it back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec

from guardrails.attribution.commissions import revenue_of, reversal_of
from guardrails.attribution.service import RevenueService
from guardrails.errors import CandidateError, DependencyError, NotFoundError
from guardrails.offers.conversion_service import Conversions
from guardrails.offers.redemption_service import Redemptions
from guardrails.offers.redemptions import TAKEN_BACK, Redemption, RedemptionRequest, RedemptionView, RefundRequest
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.metrics import Metrics
from guardrails.web.route import Route, path_id

__all__ = ["RedemptionCount", "RedemptionRoom"]

BODY_BYTES = 4 * 1024

_encoder = msgspec.json.Encoder()


class RedemptionRoom:
    """The handlers."""

    def __init__(self, redemptions: Redemptions, clock: Callable[[], datetime], metrics: Metrics) -> None:
        self._redemptions = redemptions
        self._clock = clock
        self._metrics = metrics
        self._asked = Body(RedemptionRequest, limit=BODY_BYTES)
        self._refund = Body(RefundRequest, limit=BODY_BYTES)

    def redeem(self, exchange: Exchange, token: str) -> Reply:
        """`POST /v1/offers/{token}/redeem`."""
        asked = self._asked.read(exchange)
        try:
            redeemed = self._redemptions.redeem(token, asked, now=exchange.now(self._clock))
        except CandidateError as error:
            if error.code is not None:
                self._metrics.redemption_refused(error.code)
            raise
        _note(exchange, redeemed.redemption)
        return Reply(201 if redeemed.is_new else 200, _encoder.encode(redeemed.redemption.view))

    def read(self, exchange: Exchange, redemption_id: str) -> Reply:
        """`GET /v1/redemptions/{redemption_id}`."""
        del exchange
        return Reply(200, _encoder.encode(self._redemptions.read(path_id(redemption_id)).view))

    def refund(self, exchange: Exchange, redemption_id: str) -> Reply:
        """`POST /v1/redemptions/{redemption_id}/refund`."""
        asked = self._refund.read(exchange)
        redemption = self._redemptions.refund(path_id(redemption_id), asked, now=exchange.now(self._clock))
        _note(exchange, redemption)
        return Reply(200, _encoder.encode(redemption.view))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/offers/{token}/redeem",
                handler=self.redeem,
                name="redeem_offer",
                tag="redemptions",
                summary="Redeem an offer token, exactly once",
                description="The stock and the token are held, the offer's payment method is asked, and what is paid "
                "settles. The same `id` again, or the same request without one, is answered with the same redemption "
                "(200). `reserved` and `authorised` are under way: read it again. `declined` holds nothing, and the "
                "token may be tried again. Without a `conversion` only an offer is redeemed whose `session` is "
                "`optional`. `code` says why a token can't be redeemed.",
                scope="conversions:write",
                takes=RedemptionRequest,
                gives=RedemptionView,
                status=201,
                other_statuses=(200,),
                problems=("invalid", "conflict", "gone", "unavailable"),
                example=EXAMPLE,
            ),
            Route(
                method="GET",
                path="/v1/redemptions/{redemption_id}",
                handler=self.read,
                name="read_redemption",
                tag="redemptions",
                summary="What became of a redemption",
                scope="offers:read",
                gives=RedemptionView,
                problems=("unavailable",),
            ),
            Route(
                method="POST",
                path="/v1/redemptions/{redemption_id}/refund",
                handler=self.refund,
                name="refund_redemption",
                tag="redemptions",
                summary="Take a settled redemption back",
                description="A `refund` gives the money back by the way it came; a `chargeback` books that the bank or "
                "the payment service took it. The stock and what was earned go back with it; the token stays "
                "redeemed. Again, it is as it was.",
                scope="offers:write",
                takes=RefundRequest,
                gives=RedemptionView,
                problems=("invalid", "conflict", "unavailable"),
                example={"kind": "refund", "reason": "the room was taken"},
            ),
        )


class RedemptionCount:
    """Counts the states that redemptions enter, what they earn, and the conversions that their payments are."""

    def __init__(
        self, metrics: Metrics, conversions: Conversions, revenue: RevenueService, *, clock: Callable[[], datetime]
    ) -> None:
        self._metrics = metrics
        self._conversions = conversions
        self._revenue = revenue
        self._clock = clock

    def __call__(self, redemption: Redemption) -> None:
        """Count one."""
        self._metrics.redemption(redemption.state, redemption.method, in_session=redemption.conversion is not None)
        if redemption.state == "settled" and redemption.conversion is not None:
            self._count_conversion(redemption.conversion)
        if redemption.state in {"settled", *TAKEN_BACK}:
            self._count_revenue(redemption)

    def _count_revenue(self, redemption: Redemption) -> None:
        is_settled = redemption.state == "settled"
        id_ = revenue_of(redemption.id) if is_settled else reversal_of(redemption.id, redemption.state)
        with suppress(NotFoundError, DependencyError):  # it earned nothing, or can't be read now
            self._metrics.revenue(self._revenue.read(id_), "redemption")

    def _count_conversion(self, id_: str) -> None:
        with suppress(NotFoundError, DependencyError):  # what can't be read now goes uncounted
            conversion = self._conversions.find(id_, now=self._clock())
            if conversion.state == "converted":
                self._metrics.conversions.converted(len(conversion.done), conversion.seconds)


def _note(exchange: Exchange, redemption: Redemption) -> None:
    exchange.log["decision_id"] = redemption.decision_id
    exchange.log["redemption"] = redemption.id
    exchange.log["state"] = redemption.state


EXAMPLE: dict[str, Any] = {"id": "order-4711", "recipient": "r-42", "conversion": "s-77"}
