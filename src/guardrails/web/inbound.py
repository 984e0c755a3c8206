"""What recipients write back: a reply with a keyword such as STOP withdraws, any other changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from guardrails.consent import Inbound, InboundRequest, Withdrawals
from guardrails.consent.keywords import KEYWORDS
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.route import Route

__all__ = ["InboundRoom"]

INBOUND_BYTES = 64 * 1024

_encoder = msgspec.json.Encoder()


class InboundRoom:
    """The handler."""

    def __init__(self, withdrawals: Withdrawals, clock: Callable[[], datetime]) -> None:
        self._withdrawals = withdrawals
        self._clock = clock
        self._body = Body(InboundRequest, limit=INBOUND_BYTES)

    def receive(self, exchange: Exchange) -> Reply:
        """`POST /v1/inbound`."""
        request = self._body.read(exchange)
        done = self._withdrawals.by_reply(request, now=exchange.now(self._clock))
        exchange.log["recognised"] = done.recognised
        exchange.log["withdrawn"] = len(done.withdrawn)
        return Reply(200, _encoder.encode(done))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/inbound",
                handler=self.receive,
                name="receive_inbound",
                tag="consents",
                summary="Hand on what a recipient wrote back",
                description=f"A reply that consists of one of {', '.join(KEYWORDS)}, in any case and with any "
                "punctuation, withdraws every purpose on its channel, from the next decision on; any other changes "
                "nothing, and its text is not kept. With the `id` of the message it is safe to repeat.",
                scope="consent:write",
                takes=InboundRequest,
                gives=Inbound,
                problems=("invalid", "conflict", "unavailable"),
                example=EXAMPLE,
            ),
        )


EXAMPLE: dict[str, Any] = {"id": "sms-7", "recipient": "r-42", "channel": "sms", "text": "Stop!"}
