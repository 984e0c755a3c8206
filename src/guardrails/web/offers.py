"""The room of offers: register terms, read how an offer stands, withdraw it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from guardrails.offers.offer_view import OfferView, view
from guardrails.offers.service import Offers
from guardrails.offers.values import OfferId, OfferRequest
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.query import Query
from guardrails.web.route import Route, path_id

__all__ = ["OfferPage", "OfferRoom"]

OFFER_BYTES = 16 * 1024
PAGE = 100
PAGE_MOST = 500

_encoder = msgspec.json.Encoder()


class OfferPage(msgspec.Struct, frozen=True):
    """Offers by id. Where there are more, `next_after` is what to ask with for them."""

    offers: tuple[OfferView, ...]
    next_after: str | None


class OfferQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which page."""

    after: Annotated[OfferId | None, Meta(description="Only offers whose ids are greater: `next_after`.")] = None
    most: Annotated[
        Annotated[str, Meta(pattern="^([1-9][0-9]?|[1-4][0-9][0-9]|500)$")] | None,
        Meta(description=f"How many at most, 1 to {PAGE_MOST}; {PAGE} where it is left out."),
    ] = None


class OfferRoom:
    """The handlers."""

    def __init__(self, offers: Offers, clock: Callable[[], datetime]) -> None:
        self._offers = offers
        self._clock = clock
        self._body = Body(OfferRequest, limit=OFFER_BYTES)
        self._query = Query(OfferQuery)

    def register(self, exchange: Exchange) -> Reply:
        """`POST /v1/offers`."""
        standing, is_new = self._offers.register(self._body.read(exchange), now=exchange.now(self._clock))
        exchange.log["offer"] = standing.offer.id
        return Reply(201 if is_new else 200, _encoder.encode(view(standing)))

    def page(self, exchange: Exchange) -> Reply:
        """`GET /v1/offers`."""
        asked = self._query.read(exchange)
        most = int(asked.most or PAGE)
        found = self._offers.page(after=asked.after or "", most=most + 1)
        shown = tuple(map(view, found[:most]))
        return Reply(200, _encoder.encode(OfferPage(shown, shown[-1].id if len(found) > most else None)))

    def read(self, exchange: Exchange, offer_id: str) -> Reply:
        """`GET /v1/offers/{offer_id}`."""
        del exchange
        return Reply(200, _encoder.encode(view(self._offers.read(path_id(offer_id)))))

    def withdraw(self, exchange: Exchange, offer_id: str) -> Reply:
        """`POST /v1/offers/{offer_id}/withdraw`."""
        exchange.log["offer"] = path_id(offer_id)
        standing = self._offers.withdraw(path_id(offer_id), now=exchange.now(self._clock))
        return Reply(200, _encoder.encode(view(standing)))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/offers",
                handler=self.register,
                name="register_offer",
                tag="offers",
                summary="Register an offer: terms that never change",
                description="Amounts are in minor units of an ISO 4217 currency, shares in basis points (10,000 are "
                "all). The same terms again are answered with the offer that there is (200); other terms under its id "
                "are a conflict (`offer.other_terms`).",
                scope="offers:write",
                takes=OfferRequest,
                gives=OfferView,
                status=201,
                other_statuses=(200,),
                problems=("invalid", "conflict", "unavailable"),
                example=EXAMPLE,
            ),
            Route(
                method="GET",
                path="/v1/offers",
                handler=self.page,
                name="list_offers",
                tag="offers",
                summary="All offers, by id",
                scope="offers:read",
                query=OfferQuery,
                gives=OfferPage,
                problems=("invalid", "unavailable"),
            ),
            Route(
                method="GET",
                path="/v1/offers/{offer_id}",
                handler=self.read,
                name="read_offer",
                tag="offers",
                summary="An offer, and how it stands",
                scope="offers:read",
                gives=OfferView,
                problems=("unavailable",),
            ),
            Route(
                method="POST",
                path="/v1/offers/{offer_id}/withdraw",
                handler=self.withdraw,
                name="withdraw_offer",
                tag="offers",
                summary="Withdraw an offer for good",
                description="Nobody can redeem it any more, whatever token they have; payments that are under way are "
                "carried on. Withdrawn again it is as it was.",
                scope="offers:write",
                gives=OfferView,
                problems=("unavailable",),
            ),
        )


EXAMPLE: dict[str, Any] = {
    "id": "upgrade-sea-view",
    "title": "Sea view tonight",
    "amount_minor": 1900,
    "currency": "EUR",
    "sponsor": {"id": "hotel-meridian"},
    "payment": "wallet",
    "ends_at": "2030-12-24T18:00:00Z",
    "stock": 20,
    "steps": ["view", "confirm", "pay"],
    "commission_bps": 1500,
    "benefit": {"share_bps": 2000, "form": "credits", "text": "You get a fifth of what we earn with this."},
}
