"""One HTTP exchange: what a handler is given, and what it gives back. Nothing here knows Flask.

A handler is a function of an `Exchange` (and the path's parameters) that returns a `Reply` or raises. It reads the
request through the exchange only, so that a route costs what the handler costs: see `web.front`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from guardrails.web.problems import Refusal

__all__ = ["Exchange", "Reply"]

MAX_HEADER_ID = 128
_SANE_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}").fullmatch
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?").fullmatch
_NO_TRACE = "0" * 32


class Reply(msgspec.Struct, frozen=True):
    """What goes back: bytes as they are, never encoded again."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Exchange:
    """One request on its way through a handler.

    `scopes` are those of the caller's key, None where no keys are configured and everything is allowed. `route` is the
    path's pattern once it is known. `replay_at` is the instant that the replay clock sets for this request. `log` takes
    what the request's one log line shall say; never content, never an address.
    """

    __slots__ = ("environ", "log", "replay_at", "request_id", "route", "scopes", "trace_id")

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self.environ = environ
        self.request_id = _request_id(environ.get("HTTP_X_REQUEST_ID"))
        self.trace_id = _trace_id(environ.get("HTTP_TRACEPARENT"))
        self.route = "unmatched"
        self.replay_at: datetime | None = None
        self.scopes: frozenset[str] | None = frozenset()
        self.log: dict[str, object] = {}

    def may(self, scope: str) -> bool:
        """Whether the caller's key has `scope`."""
        return self.scopes is None or scope in self.scopes

    def now(self, clock: Callable[[], datetime]) -> datetime:
        """The instant of this request: the one that the replay clock sets, else the clock's."""
        return self.replay_at or clock()

    def read_body(self, *, limit: int) -> bytes:
        """The JSON body, at most `limit` bytes.

        Raises Refusal: 415 where it is not declared as JSON, 413 where it is larger, 400 where it is empty or
        cut short.
        """
        environ = self.environ
        declared = environ.get("CONTENT_TYPE", "")
        if declared != "application/json" and not _is_json(declared):
            raise Refusal("unsupported-media-type", _not_json(declared))
        length = _length(environ.get("CONTENT_LENGTH"))
        if length is not None and length > limit:
            raise Refusal("too-large", f"the body is {length} bytes; at most {limit} are taken")
        body: bytes = environ["wsgi.input"].read(limit + 1 if length is None else length)
        if len(body) > limit:
            raise Refusal("too-large", f"the body is larger than the {limit} bytes that are taken")
        if length is not None and len(body) < length:
            raise Refusal("malformed", f"the body ended after {len(body)} of {length} bytes")
        if not body or body.isspace():
            raise Refusal("malformed", "the body is empty")
        return body


def _request_id(given: str | None) -> str:
    """The caller's id where it is fit to be logged and sent back, else a new one."""
    if given is not None and _SANE_ID(given):
        return given
    return secrets.token_hex(8)


def _trace_id(traceparent: str | None) -> str | None:
    """The trace id of a W3C `traceparent`; an invalid one is ignored, as the standard says."""
    if traceparent is None or (match := _TRACEPARENT(traceparent)) is None or traceparent.startswith("ff"):
        return None
    trace_id = match[1]
    return None if trace_id == _NO_TRACE else trace_id


def _is_json(content_type: str) -> bool:
    media_type, _, parameters = content_type.partition(";")
    if media_type.strip().lower() != "application/json":
        return False
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters, re.IGNORECASE)
    return charset is None or charset[1].lower() in {"utf-8", "utf8", "us-ascii"}


def _not_json(content_type: str) -> str:
    said = f"`{content_type[:MAX_HEADER_ID]}`" if content_type else "nothing"
    return f"the body must be declared as `Content-Type: application/json`, in UTF-8; the request says {said}"


def _length(text: str | None) -> int | None:
    if text is None or not text.isdigit() or not text.isascii():
        return None
    return int(text[:20])
