"""An offer as it is told, by HTTP and on the command line: its terms, and how it stands."""

from __future__ import annotations

from typing import Literal

from guardrails.core.candidate import Instant
from guardrails.offers.service import OfferStanding
from guardrails.offers.values import OfferRequest

__all__ = ["OfferView", "view"]


class OfferView(OfferRequest, frozen=True, kw_only=True):
    """An offer: its terms, and how it stands.

    Of the stock `left` can still be had (null: without end), `held` is being paid for, and `settled` is paid. It is
    `sold_out` where none is left, and `withdrawn` since `withdrawn_at`; its times are not looked at.
    """

    status: Literal["live", "withdrawn", "sold_out"]
    left: int | None
    held: int
    settled: int
    recorded_at: Instant
    withdrawn_at: Instant | None


def view(standing: OfferStanding) -> OfferView:
    """How an offer is told."""
    offer = standing.offer
    terms = {name: getattr(offer.terms, name) for name in OfferRequest.__struct_fields__}
    return OfferView(
        **terms,
        status=offer.status,
        left=offer.left,
        held=offer.taken - standing.settled,
        settled=standing.settled,
        recorded_at=offer.recorded_at,
        withdrawn_at=offer.withdrawn_at,
    )
