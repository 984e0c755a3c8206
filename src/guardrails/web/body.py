"""The body of a request: a typed value, decoded from at most so many bytes of JSON."""

from __future__ import annotations

from typing import TypeVar

from guardrails.decoding import Decoder
from guardrails.web.exchange import Exchange

__all__ = ["Body"]

T = TypeVar("T")


class Body(Decoder[T]):
    """What a route takes: a type, and how many bytes of it at most."""

    def __init__(self, type_: type[T], *, limit: int) -> None:
        super().__init__(type_)
        self.limit = limit

    def read(self, exchange: Exchange) -> T:
        """The exchange's body as a value.

        Raises Refusal (413, 415, 400 where it is cut short), MalformedError (400) or CandidateError (422).
        """
        return self.decode(exchange.read_body(limit=self.limit))
