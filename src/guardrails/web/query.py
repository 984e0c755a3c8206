"""The query of a request: a typed value, decoded from the parameters after the `?`.

    GET /v1/recipients/r-42/usage?timezone=Europe/Berlin

Every parameter is a text and may be left out; one that is empty is as good as left out. Those that are not known, or
given twice, are refused: what is silently ignored is what somebody relies on.
"""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qsl

from guardrails.decoding import Decoder
from guardrails.errors import CandidateError
from guardrails.web.exchange import Exchange
from guardrails.web.problems import Refusal

__all__ = ["Query"]

T = TypeVar("T")

MOST_PARAMETERS = 100


class Query(Decoder[T]):
    """What a route may be asked with: a type whose fields are optional texts."""

    def read(self, exchange: Exchange) -> T:
        """The exchange's query as a value.

        Raises Refusal (400) where it can't be read, CandidateError (422) with every parameter that is wrong.
        """
        given: dict[str, str | None] = {}
        for name, text in _parameters(exchange.environ.get("QUERY_STRING", "")):
            if name in given:
                raise CandidateError(f"`{name}` is given twice", problems=((f"/{name}", "is given twice"),))
            given[name] = text or None
        return self.convert(given)


def _parameters(query: str) -> list[tuple[str, str]]:
    if not query:
        return []
    # A plus sign is one (RFC 3986), as in `Etc/GMT+1`; only in forms does it stand for a space.
    literal = query.replace("+", "%2B")
    try:
        return parse_qsl(
            literal, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise Refusal("malformed", "the query is not `name=value&name=value`, percent-encoded as UTF-8") from None
