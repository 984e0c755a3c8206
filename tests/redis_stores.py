"""Stores whose caps live in Redis, joined as `bootstrap` joins them, and what looks after them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from guardrails.caps.redis import CapsRebuild, RedisCaps, RedisGateway
from guardrails.decide.ports import Transactor
from guardrails.errors import DependencyError
from guardrails.storage.transactors import open_transactor
from servers import wait_until
from stores import Session, memory_session, run, sql_session

PATIENT_SECONDS = 20.0
"""A deadline that a loaded machine keeps."""


def server_now(server: Any) -> datetime:
    """What a server's clock shows."""
    with server.connect() as client:
        seconds, micros = client.time()
    return datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)


def real_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - where leases end by a real server's clock


@dataclass
class RedisStores:
    """One process's view of a database and a Redis."""

    transactor: Transactor
    gateway: RedisGateway
    rebuild: CapsRebuild

    def do(self, work: Callable[[Session], Any]) -> Any:
        """Do something with a session of its own, and wait until it is durable."""
        return run(self.transactor, work)

    def mend(self) -> int:
        """Let the caps be rebuilt as far as they can be; returns in how many steps."""
        steps = 0
        while self.rebuild.step():
            steps += 1
        return steps

    def mend_patiently(self) -> None:
        """Mend them, waiting for a Redis that is not asked for a while, or is about to answer."""

        def is_mended() -> bool:
            try:
                self.mend()
            except DependencyError as error:
                if error.dependency != "caps":
                    raise
            return not self.gateway.needs_care

        wait_until(is_mended, lambda: "the caps are not mended")


def redis_session(gateway: RedisGateway) -> Callable[[Connection], Session]:
    def session(connection: Connection) -> Session:
        joined = sql_session(connection)
        return replace(joined, caps=RedisCaps(gateway, connection, decisions=joined.decisions))

    return session


@contextmanager
def open_redis_stores(
    database_url: str,
    caps_url: str,
    *,
    deadline_seconds: float = PATIENT_SECONDS,
    uses_server_time: bool = True,
    clock: Callable[[], datetime] = real_now,
) -> Iterator[RedisStores]:
    gateway = RedisGateway(caps_url, deadline_seconds=deadline_seconds, uses_server_time=uses_server_time)
    transactor = open_transactor(database_url, sql_session=redis_session(gateway), memory_session=memory_session)
    rebuild = CapsRebuild(transactor, gateway, clock=clock, new_id=lambda: uuid.uuid4().hex)
    try:
        yield RedisStores(transactor, gateway, rebuild)
    finally:
        transactor.close()
        gateway.close()
