"""The body of a request: a typed value, or a batch of them, decoded from at most so many bytes of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Generic, TypeVar, get_args

import msgspec

from guardrails.decoding import Decoder
from guardrails.errors import CandidateError
from guardrails.web.exchange import Exchange

__all__ = ["Batch", "Body"]

T = TypeVar("T")


class Body(Decoder[T]):
    """What a route takes: a type, and how many bytes of it at most."""

    def __init__(self, type_: type[T], *, limit: int) -> None:
        super().__init__(type_)
        self.limit = limit

    def read(self, exchange: Exchange) -> T:
        """The exchange's body as a value.

        Raises Refusal (413, 415, 400 where it is empty or cut short), MalformedError (400) or CandidateError (422).
        """
        return self.decode(exchange.read_body(limit=self.limit))


class Batch(Generic[T]):
    """What a route takes many of: what one of them does wrong is no fault of the others."""

    def __init__(self, whole: type[msgspec.Struct], item: type[T], *, limit: int) -> None:
        """`whole` has one field, a tuple of `item` with its bounds."""
        (field,) = msgspec.structs.fields(whole)
        _, bounds = get_args(field.type)
        raw = (field.name, Annotated[tuple[msgspec.Raw, ...], bounds])
        self._name = field.name
        self._limit = limit
        self._whole = msgspec.json.Decoder(whole)
        self._raws = Decoder(msgspec.defstruct("Raws", [raw], frozen=True, forbid_unknown_fields=True))
        self._item = Decoder(item)

    def read(self, exchange: Exchange) -> Sequence[T | CandidateError]:
        """The items, an error standing where one is wrong.

        Raises what `Body.read` does, where it is no batch at all.
        """
        body = exchange.read_body(limit=self._limit)
        try:  # all at once, where all are right
            items: Sequence[T] = getattr(self._whole.decode(body), self._name)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [self._item.try_decode(raw) for raw in getattr(self._raws.decode(body), self._name)]
        return items
