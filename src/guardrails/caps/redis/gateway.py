"""The one way to Redis: sends calls of scripts, and makes of whatever goes wrong a DependencyError within the deadline.

A process has one. It knows whether there may be something to mend (`needs_care`), and whether decisions wait to be
brought over (`is_behind`); `rebuild` looks after both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import MovedError, RedisError

from guardrails.caps.redis.keeps import Keeps, OutgrownError, outgrown, together
from guardrails.caps.redis.layout import SHARDS, Call, Calls
from guardrails.caps.redis.leftovers import Leftovers
from guardrails.caps.redis.node import Node, NodeLeftAloneError, Reply, Terms
from guardrails.caps.redis.plans import Placement
from guardrails.caps.redis.scripts import ScriptName
from guardrails.caps.redis.servers import Servers
from guardrails.errors import DependencyError, SettingsError
from guardrails.storage.instants import MICROS_PER_SECOND, to_micros

__all__ = ["EpochLostError", "RedisGateway"]

MISSED_MOST = 10_000
"""How many decisions a process remembers that Redis could not be told of."""

_LEAST_VERSION = (6, 0)
_GRACE_SECONDS = 2.0  # beyond the deadline, for services whose clocks differ


class EpochLostError(DependencyError):
    """The servers that answer don't hold all that they held when the caps were complete."""


class RedisGateway:
    """Sends scripts to the servers behind a URL. Nothing is connected before it is needed.

    Used by one thread at a time: the one that runs the units of work.
    """

    def __init__(self, url: str, *, deadline_seconds: float, uses_server_time: bool = True) -> None:
        """No answer is waited for longer than half of `deadline_seconds`, which is how long a decision may take.

        Leases end by the server's clock, unless `uses_server_time` is False: then time is what each call says, and may
        go back, so nothing is ever forgotten for its age (for a replay clock and for tests). Raises SettingsError
        where `url` names no server.
        """
        self.needs_care = True
        self.is_behind = False
        self.trouble: str | None = None
        """Why the caps could not be mended the last time, if so."""
        self.wanted: dict[str, int] = {}
        """For how long caps are to be kept from the next epoch on that the present one keeps for less."""
        self.has_held = False
        """Whether the caps were ever found to be complete."""
        self._missed: dict[str, Placement] = {}
        self._missed_of = ""
        self._servers = Servers(url, timeout_seconds=deadline_seconds / 2)
        self._leftovers = Leftovers(self._servers)
        self._grace = round((deadline_seconds + _GRACE_SECONDS) * MICROS_PER_SECOND) if uses_server_time else None

    @property
    def address(self) -> str:
        """Where it leads to, without user and password."""
        return self._servers.address

    def calls(self, script: ScriptName, epoch: str) -> Calls:
        """The calls of a piece of work, to be put together: one, or on a cluster one for each shard."""
        with self._reaching():
            return Calls(script, epoch, apart=self._servers.is_cluster)

    def run(self, calls: Iterable[Call], servers: frozenset[str], *, now: datetime | None = None) -> dict[Call, Reply]:
        """Carry out calls on `servers`, each server's in one round trip; what each of them answers.

        Raises EpochLostError where one of them found its epoch gone, DependencyError where one failed otherwise; the
        others may have taken effect.
        """
        micros = None if now is None else to_micros(now)
        if micros is None and self._grace is None:
            micros = 0  # nobody says what time it is, so none has passed
        terms = Terms(servers, micros, self._grace)
        with self._reaching():
            replies = self._run(list(calls), terms)
        for reply in replies.values():
            if reply.status == "STALE":
                self.needs_care = True
                raise EpochLostError(f"the caps at `{self.address}` are not complete", dependency="caps")
            if reply.status == "APART":
                raise DependencyError(
                    f"the clock of the caps at `{self.address}` is far ahead of this machine's", dependency="caps"
                )
            if reply.status == "LATE":
                raise DependencyError(f"the caps at `{self.address}` answered too late", dependency="caps")
        return replies

    def outgrown(self, keeps: Keeps, wanted: Keeps, *, late: timedelta = timedelta(0)) -> Keeps:
        """What of the wanted is more than is kept; nothing where time is what each call says: nothing is let go of."""
        return {} if self._grace is None else outgrown(keeps, wanted, late=late)

    def check_keeps(self, keeps: Keeps, wanted: Keeps, *, late: timedelta = timedelta(0)) -> None:
        """Raises OutgrownError where a cap is wanted for longer than it is kept, and wants it from then on."""
        longer = self.outgrown(keeps, wanted, late=late)
        if longer:
            self.wanted = together(self.wanted, longer)
            self.needs_care = True
            raise OutgrownError(
                f"the caps at `{self.address}` must be kept for longer: the window of `{min(longer)}` has grown",
                dependency="caps",
            )

    def plant(self, epoch: str, servers: frozenset[str]) -> None:
        """Begin an epoch: from now on it is seen where one of `servers` loses it. Raises DependencyError."""
        calls = self.calls("plant", epoch)
        for shard in range(SHARDS):
            call = calls.at(shard)
            call.items.append(call.marker_place(shard))
        self.run(calls, servers)

    def verify(self, epoch: str, servers: frozenset[str]) -> None:
        """Make sure that `servers`, and no others, hold all of an epoch and take writes. Raises DependencyError."""
        if self.survey() != servers:
            self.needs_care = True
            raise EpochLostError(f"the caps at `{self.address}` have moved", dependency="caps")
        self._verify(epoch, servers, range(SHARDS))

    def probe(self, epoch: str, servers: frozenset[str]) -> None:
        """Write to every one of `servers` what it holds already.

        Raises DependencyError where one does not answer, takes no writes, or does not hold the epoch.
        """
        with self._reaching():
            shards = self._servers.shard_of_each()
        self._verify(epoch, servers, shards)

    def survey(self) -> frozenset[str]:
        """The ids of the servers. Raises DependencyError where one does not answer, or is not fit for caps.

        Such an id is of one process and one history: a server that was restarted is another, and so is one that has
        followed another since.
        """
        servers = {}
        for info in self._infos():
            servers[f"{info.get('run_id')}:{info.get('master_replid')}"] = _unfitness(info)
        for unfit in filter(None, servers.values()):
            raise DependencyError(f"the caps can't live at `{self.address}`: {unfit}", dependency="caps")
        return frozenset(servers)

    def check(self) -> None:
        """Look at the servers before anything depends on them.

        Raises SettingsError where one is not fit for caps, DependencyError where one does not answer.
        """
        for unfit in filter(None, map(_unfitness, self._infos())):
            raise SettingsError(f"the caps can't live at `{self.address}`: {unfit}")

    def remove_leftovers(self, epoch: str, most: int) -> int:
        """Remove at most `most` keys of the epochs before this one; returns how many. Raises DependencyError."""
        with self._reaching():
            return self._leftovers.remove(epoch, most)

    def remember_missed(self, epoch: str, placements: Iterable[Placement]) -> None:
        """What could not be taken back just now, to be mended once the servers answer; beyond `MISSED_MOST`, nothing:
        that ends with its lease.
        """
        if epoch != self._missed_of:
            self._missed_of, self._missed = epoch, {}
        for placement in placements:
            if len(self._missed) < MISSED_MOST:
                self._missed[placement.decision_id] = placement
        self.needs_care = True

    def missed(self, epoch: str) -> Sequence[Placement]:
        """What is remembered of an epoch: a later one has been built without it."""
        return tuple(self._missed.values()) if epoch == self._missed_of else ()

    def forget_missed(self, placements: Iterable[Placement]) -> None:
        """They are mended."""
        for placement in placements:
            self._missed.pop(placement.decision_id, None)

    def close(self) -> None:
        """Let go of the connections."""
        self._servers.forget()

    def _infos(self) -> Sequence[Mapping[str, Any]]:
        with self._reaching():
            return [node.info() for node in self._servers.nodes()]

    def _verify(self, epoch: str, servers: frozenset[str], shards: Iterable[int]) -> None:
        calls = self.calls("verify", epoch)
        for shard in shards:
            calls.at(shard).touch(shard)
        self.run(calls, servers)

    def _run(self, calls: Sequence[Call], terms: Terms, *, is_again: bool = False) -> dict[Call, Reply]:
        replies: dict[Call, Reply] = {}
        moved: list[Call] = []
        by_node: dict[Node, list[Call]] = {}
        for call in calls:
            by_node.setdefault(self._servers.node_of(call.shard), []).append(call)
        for node in by_node:  # where one of them will refuse, the others had better not begin
            node.check()
        for node, its_calls in by_node.items():
            for call, reply in zip(its_calls, node.run(its_calls, terms), strict=True):
                if _has_moved(reply) and not is_again:
                    moved.append(call)
                elif isinstance(reply, RedisError):
                    raise reply
                else:
                    replies[call] = reply
        if moved:  # nothing has been done: who has the shard now?
            self._servers.forget()
            replies |= self._run(moved, terms, is_again=True)
        return replies

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """What redis-py raises becomes a DependencyError."""
        try:
            yield
        except (RedisError, OSError) as error:
            if not isinstance(error, NodeLeftAloneError):
                self._servers.forget()
                self.needs_care = True  # it may come back empty, or be full, which upkeep finds out and tells
            raise DependencyError(f"the caps at `{self.address}` failed: {error}", dependency="caps") from error


def _has_moved(reply: Reply | RedisError) -> bool:
    """Whether another node has the shard now; only newer releases of redis-py know that by themselves."""
    return isinstance(reply, MovedError) or (isinstance(reply, RedisError) and str(reply).startswith("MOVED "))


def _unfitness(info: Mapping[str, Any]) -> str | None:
    """Why a server is not fit for caps, or None."""
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < _LEAST_VERSION:
        return f"it is Redis {info['redis_version']}; 6.0 or newer is needed"
    if info["role"] != "master":
        return "it is a replica"
    if not info.get("run_id") or not info.get("master_replid"):
        return "it does not say its run id and its replication id, by which it is seen that it was restarted"
    if info["maxmemory_policy"] != "noeviction":
        return f"it may forget them: its maxmemory-policy is `{info['maxmemory_policy']}`, and must be `noeviction`"
    return None
