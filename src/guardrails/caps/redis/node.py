"""One server: carries out calls in their time, and is left alone for a while where it does not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal, NamedTuple, cast

import msgspec
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from guardrails.caps.redis.keeps import APART
from guardrails.caps.redis.layout import Call
from guardrails.caps.redis.scripts import script
from guardrails.storage.instants import MICROS_PER_SECOND

__all__ = ["Ahead", "Node", "NodeLeftAloneError", "Pauses", "Reply", "Status", "Terms"]

Status = Literal["OK", "MOVED", "STALE", "LATE", "APART"]

PAUSE_SECONDS = 0.5
PAUSE_SHARE = 4
"""For how long nobody asks a server that did not answer: so long, and so many times as long as it was waited for."""

NO_ANSWER = (RedisConnectionError, RedisTimeoutError, OSError)

_APART = APART // timedelta(microseconds=1)


class NodeLeftAloneError(RedisConnectionError):
    """The server did not answer a moment ago, so it was not asked."""


class Terms(NamedTuple):
    """What holds for every call of a piece of work, as the prelude of the scripts explains it."""

    servers: frozenset[str]
    now: int | None
    grace: int | None


class Reply(NamedTuple):
    """What a script answered."""

    status: Status
    result: Any


class Pauses:
    """Which servers did not answer a moment ago, by address."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, str]] = {}

    def check(self, address: str) -> None:
        """Raises NodeLeftAloneError where it is too early to ask again."""
        until, cause = self._until.get(address, (0.0, ""))
        if time.monotonic() < until:
            raise NodeLeftAloneError(f"{address} did not answer a moment ago: {cause}")

    @contextmanager
    def asking(self, address: str) -> Iterator[None]:
        """While it is asked: where it does not answer, others are spared the wait."""
        self.check(address)
        began = time.monotonic()
        try:
            yield
        except NO_ANSWER as error:
            now = time.monotonic()
            self._until[address] = now + max(PAUSE_SECONDS, PAUSE_SHARE * (now - began)), str(error)
            raise


class Ahead:
    """By how many microseconds at least a server's clock is ahead of the monotonic one here.

    What the server's showed when it answered lies between what ours showed when it was asked and when the answer was
    there. INVARIANT: it is never more than the least that the last answer leaves room for, or an earlier one did that
    the last does not contradict. So no call that was given up takes effect later, unless the server's clock was just
    set back, by less than its last answer took; and a clock that was set forward costs one call, whose answer tells it.
    """

    def __init__(self) -> None:
        self.least: int | None = None

    def learn(self, server_time: int, *, asked_at: int, answered_at: int) -> int:
        """What follows from an answer; returns it."""
        least, most = server_time - answered_at, server_time - asked_at
        known = self.least
        self.least = least if known is None or known > most else max(known, least)
        return self.least


class Node:
    """One server, and what its clock shows. What it raises is redis-py's, or an OSError."""

    def __init__(self, client: Redis, address: str, *, timeout_seconds: float, pauses: Pauses) -> None:
        """`client` gives up after `timeout_seconds`."""
        self.client = client
        self.address = address
        self._timeout = round(timeout_seconds * MICROS_PER_SECOND)
        self._pauses = pauses
        self._ahead = Ahead()

    def check(self) -> None:
        """Raises NodeLeftAloneError where it is too early to ask again."""
        self._pauses.check(self.address)

    def info(self) -> Mapping[str, Any]:
        """What it says of itself."""
        with self._pauses.asking(self.address):
            return cast("Mapping[str, Any]", self.client.info())

    def run(self, calls: Sequence[Call], terms: Terms) -> list[Reply | RedisError]:
        """Carry out the calls in order, in one round trip; those that fail do so by themselves.

        A call that is given up here does not take effect there: by then it is too late (`not_after`).
        """
        with self._pauses.asking(self.address):
            replies = self._send(calls, terms)
            unknown = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:
                for name in dict.fromkeys(calls[place].script for place in unknown):
                    self.client.script_load(script(name).text)
                again = self._send([calls[place] for place in unknown], terms)
                for place, reply in zip(unknown, again, strict=True):
                    replies[place] = reply
            return replies

    def _send(self, calls: Sequence[Call], terms: Terms) -> list[Reply | RedisError]:
        ahead = self._clock_ahead()
        asked_at = _monotonic()
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            names, arguments = _told(call, terms, not_after=asked_at + ahead + self._timeout)
            sha = script(call.script).sha
            pipeline.execute_command("EVALSHA", sha, len(names), *names, *arguments)  # type: ignore[no-untyped-call]
        replies = pipeline.execute(raise_on_error=False)
        answered_at = _monotonic()
        for reply in replies:
            if not isinstance(reply, RedisError):
                self._ahead.learn(int(reply[1]), asked_at=asked_at, answered_at=answered_at)
        return [reply if isinstance(reply, RedisError) else _reply(*reply) for reply in replies]

    def _clock_ahead(self) -> int:
        """By how much the server's clock is ahead; it is asked where that is not known yet."""
        if self._ahead.least is not None:
            return self._ahead.least
        asked_at = _monotonic()
        seconds, micros = self.client.time()
        server_time = seconds * MICROS_PER_SECOND + micros
        return self._ahead.learn(server_time, asked_at=asked_at, answered_at=_monotonic())


def _told(call: Call, terms: Terms, *, not_after: int) -> tuple[list[str], list[bytes]]:
    """The keys and arguments of a script (see prelude.lua)."""
    markers = call.markers
    told = {
        "markers": len(markers),
        "servers": dict.fromkeys(terms.servers, True),
        "not_after": not_after,
        "now": terms.now is not None and terms.now,
        "grace": terms.grace is not None and terms.grace,
        "apart": _APART,
    }
    return [*markers, *call.keys], [msgspec.json.encode(told), msgspec.json.encode(call.items)]


def _reply(status: bytes, _server_time: bytes, result: object = None) -> Reply:
    return Reply(cast("Status", status.decode()), result)


def _monotonic() -> int:
    """Microseconds, of a clock that nobody sets."""
    return time.monotonic_ns() // 1000
