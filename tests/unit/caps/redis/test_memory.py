"""What a recipient costs in Redis: a bound, and what the documentation says."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from guardrails.core.needs import Take
from guardrails.decide.holdings import Holding, Reservation, Settlement
from redis_stores import open_redis_stores, real_now
from servers import start_redis
from stores import sqlite_url
from unit.caps.redis.making import HOUR

RECIPIENTS = 2_000
CAPS = ("one-sponsored-a-day", "three-a-week", "one-of-a-sponsor")


@pytest.fixture
def alone(tmp_path):
    """A Redis whose memory nobody else uses, and stores over it."""
    with start_redis() as server, open_redis_stores(sqlite_url(tmp_path / "guardrails.db"), server.url) as stores:
        stores.mend()
        yield server, stores


def used_memory(server) -> int:
    """Bytes of everything but the markers."""
    with server.connect() as client:
        pipeline = client.pipeline(transaction=False)
        for key in client.scan_iter("*", count=1000):
            if not key.endswith(":marker"):
                pipeline.memory_usage(key, samples=0)
        return sum(pipeline.execute())


def hold(stores, holdings: list[Holding]) -> None:
    stores.do(lambda session: session.caps.reserve([Reservation(holding=each) for each in holdings], holdings[0].at))


def send(stores, holdings: list[Holding]) -> None:
    sent = (Settlement(before=each, after=replace(each, lease_until=None, sent_at=each.at)) for each in holdings)
    stores.do(lambda session: session.caps.settle(tuple(sent)))


def holdings(takes: Iterable[tuple[Take, ...]]) -> list[Holding]:
    at = real_now()
    return [Holding(decision_id=uuid.uuid4().hex, takes=each, at=at, lease_until=at + HOUR) for each in takes]


def test_a_recipient_with_three_caps_costs_two_and_a_half_kilobytes_at_most(alone):
    server, stores = alone
    recipients = [f"user-{number:08d}" for number in range(RECIPIENTS)]
    held = holdings(
        tuple(Take(cap, f'["{each}"]', owner=each, keep_seconds=8 * 86_400) for cap in CAPS) for each in recipients
    )
    hold(stores, held)
    while_reserved = used_memory(server) / RECIPIENTS
    send(stores, held)
    once_sent = used_memory(server) / RECIPIENTS
    assert once_sent < while_reserved < 2_500
    assert once_sent < 1_500


def test_a_send_under_a_shared_budget_costs_two_hundred_bytes_at_most(alone):
    server, stores = alone
    budget = Take("budget", "[]", keep_seconds=32 * 86_400, is_tallied=True)
    held = holdings((budget,) for _ in range(20_000))
    send(stores, held)
    assert used_memory(server) / len(held) < 200
