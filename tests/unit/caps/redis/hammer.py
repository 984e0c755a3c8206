"""A process that takes slots as fast as it can, next to others that want the same, without a database between them."""

from __future__ import annotations

import random
from pathlib import Path

from guardrails.errors import CapsMoved
from redis_stores import open_redis_stores, real_now
from stores import sqlite_url
from unit.caps.redis.making import Cap, reservation

RECIPIENTS = [f"u-{number}" for number in range(5)]
BUDGET = Cap("budget", "[]", None, limit=30)
MONEY = Cap("money", '["c-1"]', None, limit=30 * 250 + 249, amount=250)
CAMPAIGN = Cap("campaign", '["c-1"]', None, limit=1000)


def own_caps(recipient: str) -> list[Cap]:
    return [
        Cap("own", f'["{recipient}"]', recipient, limit=10),
        Cap("sponsor", f'["{recipient}"]', recipient, limit=12),
    ]


def hammer(url: str, database: Path, epoch: str, servers: frozenset[str], *, number: int, shared: list[Cap]) -> int:
    """Ask 60 times; returns how often it was granted. The database is its own, so it keeps nobody out."""
    chance = random.Random(number)
    granted = 0
    with open_redis_stores(sqlite_url(database), url) as stores:
        stores.do(lambda session: session.caps.epochs.finish(epoch, servers))
        for place in range(60):
            at = real_now()
            asked = reservation(1000 * number + place, at, *own_caps(chance.choice(RECIPIENTS)), *shared)
            granted += stores.do(lambda session, asked=asked: try_to_reserve(session, asked))
    return granted


def try_to_reserve(session, asked) -> bool:
    try:
        session.caps.reserve([asked], asked.holding.at)
    except CapsMoved:
        return False
    return True
