"""The servers behind a URL: one Redis or Valkey, or the masters of a cluster. Which of the two, they say themselves.

    redis://user:password@host:6379/0      rediss:// with TLS; valkey:// and valkeys:// mean the same
    unix:///run/redis/redis.sock?db=0
    redis://host-1:6379,host-2:6379        several addresses: the first that answers tells where the others are

redis-py's own client of clusters is not used: it tries again by itself, for longer than a decision may wait, and its
pipelines take no scripts.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from guardrails.caps.redis.layout import SHARDS, Call, tag
from guardrails.caps.redis.scripts import script
from guardrails.errors import SettingsError
from guardrails.storage.instants import MICROS_PER_SECOND

__all__ = ["Node", "Reply", "Servers", "Status", "Terms"]

Status = Literal["OK", "MOVED", "STALE", "LATE"]

_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}
_FORMS = "use `redis://host:port`, `rediss://host:port` or `unix:///path`"


class Terms(NamedTuple):
    """What holds for every call of a piece of work, as the prelude of the scripts explains it."""

    servers: frozenset[str]
    now: int | None
    grace: int | None


class Reply(NamedTuple):
    """What a script answered."""

    status: Status
    result: Any


class Node:
    """One server, and what its clock shows."""

    def __init__(self, client: Redis, *, timeout_seconds: float) -> None:
        self.client = client
        self._timeout = round(timeout_seconds * MICROS_PER_SECOND)
        self._ahead: int | None = None

    def run(self, calls: Sequence[Call], terms: Terms) -> list[Reply | RedisError]:
        """Carry out the calls in order, in one round trip; those that fail do so by themselves.

        A call that is given up here does not take effect there: by then it is too late (`not_after`).
        """
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
        sent_at = _monotonic()
        not_after = sent_at + self._clock_ahead() + self._timeout
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            markers = call.markers
            told = {
                "markers": len(markers),
                "servers": dict.fromkeys(terms.servers, True),
                "not_after": not_after,
                "now": terms.now is not None and terms.now,
                "grace": terms.grace is not None and terms.grace,
            }
            names = [*markers, *call.keys]
            arguments = [msgspec.json.encode(told), msgspec.json.encode(call.items)]
            name = script(call.script).sha
            pipeline.execute_command("EVALSHA", name, len(names), *names, *arguments)  # type: ignore[no-untyped-call]
        replies = pipeline.execute(raise_on_error=False)
        return [self._reply(reply, sent_at) for reply in replies]

    def _reply(self, reply: Any, sent_at: int) -> Reply | RedisError:  # noqa: ANN401 - whatever the script gave
        if isinstance(reply, RedisError):
            return reply
        status, server_time, *results = reply
        # Rather too far ahead, by the time the call waited there: a call may take effect that much too late.
        self._ahead = int(server_time) - sent_at
        return Reply(cast("Status", status.decode()), results[0] if results else None)

    def _clock_ahead(self) -> int:
        """By how much the server's clock is ahead of the monotonic one here."""
        if self._ahead is None:
            asked_at = _monotonic()
            seconds, micros = self.client.time()
            self._ahead = seconds * MICROS_PER_SECOND + micros - asked_at
        return self._ahead


class _Found(NamedTuple):
    """Who was found: the masters and, where they are a cluster's, whose each shard is."""

    nodes: tuple[Node, ...]
    by_shard: tuple[Node, ...] | None


class Servers:
    """Finds the servers behind a URL when they are first needed, and again after `forget`."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        """Nothing is connected yet. Raises SettingsError where `url` names no server."""
        self._options = _options(url)
        self._heard_of: tuple[dict[str, Any], ...] = ()
        self._timeout_seconds = timeout_seconds
        self._found: _Found | None = None
        self.address = ",".join(map(_address, self._options))
        try:
            for options in self._options:
                pool = self._pool(options)
                pool.connection_class(**pool.connection_kwargs)
        except (TypeError, ValueError, RedisError) as error:
            raise SettingsError(f"the URL of the caps at `{self.address}` can't be used: {error}") from None

    @property
    def is_cluster(self) -> bool:
        """Whether keys of two shards may be on two servers."""
        return self._find().by_shard is not None

    def nodes(self) -> tuple[Node, ...]:
        """Every server that holds caps."""
        return self._find().nodes

    def node_of(self, shard: int) -> Node:
        """The server that holds a shard."""
        found = self._find()
        return found.nodes[0] if found.by_shard is None else found.by_shard[shard]

    def forget(self) -> None:
        """Let go of all connections; who the servers are is found out anew."""
        found, self._found = self._found, None
        for node in () if found is None else found.nodes:
            node.client.close()

    def _find(self) -> _Found:
        found = self._found
        if found is None:
            found = self._found = self._ask_around()
        return found

    def _ask_around(self) -> _Found:
        """The first address that answers for the others, too. Raises what the last one does where none does."""
        failed: Exception = RedisConnectionError("no address answers")
        for options in (*self._options, *self._heard_of):
            node = self._connect(options)
            try:
                if cast("Mapping[str, Any]", node.client.info("cluster"))["cluster_enabled"]:
                    return self._cluster(options, node)
            except (RedisError, OSError) as error:
                failed = error
                node.client.close()
            else:
                return _Found((node,), None)
        raise failed

    def _cluster(self, options: Mapping[str, Any], node: Node) -> _Found:
        """The masters of the cluster that `node` belongs to."""
        if "path" in options:
            raise RedisConnectionError("the nodes of a cluster are not reached by a socket")
        masters: dict[tuple[str, int], dict[str, Any]] = {}
        nodes: dict[tuple[str, int], Node] = {}
        by_slot: list[tuple[int, int, Node]] = []
        # As two words, so that redis-py leaves the answer as it is.
        ranges: list[Any] = node.client.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
        for first, last, (host, port, *_), *_ in ranges:
            address = (host.decode() if host else options["host"], port)  # no host: the one that was asked
            if address not in nodes:
                masters[address] = {**options, "host": address[0], "port": address[1]}
                nodes[address] = self._connect(masters[address])
            by_slot.append((first, last, nodes[address]))
        node.client.close()
        slots = [key_slot(f"{{{tag(shard)}}}".encode()) for shard in range(SHARDS)]
        found = [[node for first, last, node in by_slot if first <= slot <= last] for slot in slots]
        if not all(found):
            raise RedisConnectionError("the cluster does not serve all of its slots")
        self._heard_of = tuple(masters.values())  # to be asked where the addresses in the URL don't answer any more
        return _Found(tuple(nodes.values()), tuple(each[0] for each in found))

    def _connect(self, options: Mapping[str, Any]) -> Node:
        return Node(Redis(connection_pool=self._pool(options)), timeout_seconds=self._timeout_seconds)

    def _pool(self, options: Mapping[str, Any]) -> ConnectionPool:
        ours: dict[str, Any] = {
            "socket_timeout": self._timeout_seconds,
            "socket_connect_timeout": self._timeout_seconds,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "decode_responses": False,
        }
        return ConnectionPool(**{**options, **ours})


def _options(url: str) -> tuple[dict[str, Any], ...]:
    """What redis-py calls the parts of the URL, for each address in it."""
    try:
        parsed = urlsplit(url)
        scheme = _SCHEMES[parsed.scheme]
        user, at, hosts = parsed.netloc.rpartition("@")
        each = (f"{scheme}://{user}{at}{host}{parsed.path}?{parsed.query}" for host in hosts.split(","))
        addresses = [parse_url(address) for address in each]  # type: ignore[no-untyped-call]
    except (KeyError, ValueError):  # which may hold the password
        raise SettingsError(f"the URL of the caps is none of a Redis or Valkey; {_FORMS}") from None
    if scheme == "unix" and not all("path" in options for options in addresses):
        raise SettingsError(f"the URL of the caps names no socket; {_FORMS}")
    if scheme == "unix":
        return tuple(addresses)
    return tuple({"host": "localhost", "port": 6379, **options} for options in addresses)


def _address(options: Mapping[str, Any]) -> str:
    """The address as people may read it: without user and password."""
    return str(options.get("path") or f"{options['host']}:{options['port']}")


def _monotonic() -> int:
    """Microseconds, of a clock that nobody sets."""
    return time.monotonic_ns() // 1000
