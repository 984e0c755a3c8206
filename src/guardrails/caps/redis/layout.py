"""Where the caps lie in Redis: shards, the names of keys, and the calls of scripts with the keys that they touch.

    guardrails:{g17}:4f2a90c1.3:slots:3:u-1:9:one-a-day:["u-1"]
    guardrails:{g17}:4f2a90c1.3:leases:3:u-1:9:one-a-day:["u-1"]
    guardrails:{g17}:4f2a90c1.3:index:u-1
    guardrails:{g17}:4f2a90c1.3:marker

Every key of a recipient is in one shard, and so is every key that recipients share. A cluster keeps a shard together by
its hash tag, `{g17}`, so that a call which stays within one shard never touches two of the cluster's slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from zlib import crc32

from guardrails.caps.redis.scripts import ScriptName

__all__ = [
    "SHARDS",
    "Call",
    "Calls",
    "epoch_of",
    "epoch_pattern",
    "index_name_of",
    "name_of",
    "parts_of",
    "shard_of",
    "tag",
]

SHARDS = 256
"""How many parts the keys are dealt out to: many more than a cluster has nodes, and few enough to ask each."""

_PREFIX = "guardrails"
_MARKER = "marker"
_SUMS = "$"


class Call:
    """One call of a script: the shards and keys that it touches, and item by item what it is to do there."""

    def __init__(self, script: ScriptName, epoch: str) -> None:
        self.script = script
        self.items: list[Any] = []
        self.keys: list[str] = []
        """What it touches, in places from 1 on."""
        self._epoch = epoch
        self._prefixes: dict[int, str] = {}
        self._places: dict[tuple[str, ...], int] = {}

    @property
    def shard(self) -> int:
        """One of its shards, to find the server by."""
        return next(iter(self._prefixes))

    @property
    def markers(self) -> list[str]:
        """The markers without which it does nothing; none where it is there to set them."""
        return [] if self.script == "plant" else [f"{prefix}{_MARKER}" for prefix in self._prefixes.values()]

    def touch(self, shard: int) -> str:
        """Go on only where the shard is whole; returns how the names of its keys begin."""
        prefix = self._prefixes.get(shard)
        if prefix is None:
            prefix = self._prefixes[shard] = f"{_PREFIX}:{{{tag(shard)}}}:{self._epoch}:"
        return prefix

    def cap_place(self, cap: str, key: str, owner: str | None, *, sums: bool = False) -> int:
        """The place of the slots under a cap's key; the next is that of their leases.

        Of a key that `sums` amounts there follow the sums, and the days that there are any of (see prelude.lua).
        """
        named = (cap, key, owner or "")
        place = self._places.get(named)
        if place is None:
            prefix = self.touch(shard_of(cap, key, owner))
            name = f"{len(named[2])}:{named[2]}:{name_of(cap, key)}"
            place = self._places[named] = self._add(f"{prefix}slots:{name}")
            self._add(f"{prefix}leases:{name}")
            if sums:
                self._add(f"{prefix}sums:{name}")
                self._add(f"{prefix}days:{name}")
        return place

    def index_place(self, owner: str) -> int:
        """The place of a recipient's index."""
        place = self._places.get((owner,))
        if place is None:
            place = self._places[owner,] = self._add(f"{self.touch(shard_of('', '', owner))}index:{owner}")
        return place

    def marker_place(self, shard: int) -> int:
        """The place of a shard's marker."""
        return self._add(f"{self.touch(shard)}{_MARKER}")

    def _add(self, name: str) -> int:
        self.keys.append(name)
        return len(self.keys)


class Calls:
    """The calls of one script that do a piece of work: a single one, or `apart`, one for each shard."""

    def __init__(self, script: ScriptName, epoch: str, *, apart: bool) -> None:
        self._script = script
        self._epoch = epoch
        self._apart = apart
        self._calls: dict[int, Call] = {}

    def at(self, shard: int) -> Call:
        """The call that the shard belongs to."""
        place = shard if self._apart else 0
        if place not in self._calls:
            self._calls[place] = Call(self._script, self._epoch)
        return self._calls[place]

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls.values())


def shard_of(cap: str, key: str, owner: str | None) -> int:
    """The shard of a cap's key: its owner's or, where recipients share it, its own."""
    return crc32((owner or f"{cap}\0{key}").encode()) % SHARDS


def tag(shard: int) -> str:
    """The hash tag that keeps a shard together."""
    return f"g{shard}"


def name_of(cap: str, key: str) -> str:
    """The name of a cap's key; no two have the same."""
    return f"{len(cap)}:{cap}:{key}"


def index_name_of(cap: str, key: str, *, sums: bool) -> str:
    """The name of a cap's key in the index of its recipient, which is to say whether it `sums` amounts."""
    return f"{_SUMS if sums else ''}{name_of(cap, key)}"


class Indexed(NamedTuple):
    """What a name in an index says."""

    cap: str
    key: str
    sums: bool


def parts_of(name: str) -> Indexed:
    """What a name in an index says."""
    sums = name.startswith(_SUMS)
    length, _, rest = name.removeprefix(_SUMS).partition(":")
    return Indexed(rest[: int(length)], rest[int(length) + 1 :], sums)


def epoch_pattern(lineage: str) -> str:
    """What matches the keys of every epoch of a lineage, as Redis matches names."""
    return f"{_PREFIX}:{{g*}}:{lineage}.*"


def epoch_of(key: str) -> str:
    """The epoch that a key belongs to."""
    return key.split(":", 3)[2]
