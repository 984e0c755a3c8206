"""The servers behind a URL: one Redis or Valkey, or the masters of a cluster. Which of the two, they say themselves.

    redis://user:password@host:6379/0      rediss:// with TLS; valkey:// and valkeys:// mean the same
    unix:///run/redis/redis.sock?db=0
    redis://host-1:6379,host-2:6379        several addresses: the first that answers tells where the others are

redis-py's own client of clusters is not used: it tries again by itself, for longer than a decision may wait, and its
pipelines take no scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.crc import key_slot
from redis.exceptions import ClusterError, RedisError
from redis.retry import Retry

from guardrails.caps.redis.layout import SHARDS, tag
from guardrails.caps.redis.node import Node, NodeLeftAloneError, Pauses
from guardrails.errors import SettingsError

__all__ = ["Servers"]

_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}
_FORMS = "use `redis://host:port`, `rediss://host:port` or `unix:///path`"


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
        self._pauses = Pauses()
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

    def shard_of_each(self) -> tuple[int, ...]:
        """One shard of every server that has any."""
        by_shard = self._find().by_shard
        return (0,) if by_shard is None else tuple({node: shard for shard, node in enumerate(by_shard)}.values())

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
        """The first address that answers for the others, too. Raises what one of them did where none does."""
        failures: list[Exception] = []
        for options in (*self._options, *self._heard_of):
            node = self._node(options)
            try:
                with self._pauses.asking(node.address):
                    if cast("Mapping[str, Any]", node.client.info("cluster"))["cluster_enabled"]:
                        return self._cluster(options, node)
                    return _Found((node,), None)
            except (RedisError, OSError) as error:
                node.client.close()
                failures.append(error)
        raise next((error for error in failures if not isinstance(error, NodeLeftAloneError)), failures[0])

    def _cluster(self, options: Mapping[str, Any], node: Node) -> _Found:
        """The masters of the cluster that `node` belongs to."""
        if "path" in options:
            raise ClusterError("the nodes of a cluster are not reached by a socket")
        masters: dict[tuple[str, int], dict[str, Any]] = {}
        nodes: dict[tuple[str, int], Node] = {}
        by_slot: list[tuple[int, int, Node]] = []
        # As two words, so that redis-py leaves the answer as it is.
        ranges: list[Any] = node.client.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
        for first, last, (host, port, *_), *_ in ranges:
            address = (host.decode() if host else options["host"], port)  # no host: the one that was asked
            if address not in nodes:
                masters[address] = {**options, "host": address[0], "port": address[1]}
                nodes[address] = self._node(masters[address])
            by_slot.append((first, last, nodes[address]))
        node.client.close()
        slots = [key_slot(f"{{{tag(shard)}}}".encode()) for shard in range(SHARDS)]
        found = [[node for first, last, node in by_slot if first <= slot <= last] for slot in slots]
        if not all(found):
            raise ClusterError("the cluster does not serve all of its slots")
        self._heard_of = tuple(masters.values())  # to be asked where the addresses in the URL don't answer any more
        return _Found(tuple(nodes.values()), tuple(each[0] for each in found))

    def _node(self, options: Mapping[str, Any]) -> Node:
        client = Redis.from_pool(self._pool(options))  # whose connections `close` closes
        return Node(client, _address(options), timeout_seconds=self._timeout_seconds, pauses=self._pauses)

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
