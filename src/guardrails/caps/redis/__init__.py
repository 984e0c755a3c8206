"""Caps in Redis or Valkey, one server or a cluster: exact, and rebuilt from the decisions where Redis lost them.

    gateway = RedisGateway("redis://localhost:6379", deadline_seconds=0.25)      # one for a process
    caps = RedisCaps(gateway, connection, decisions=SqlDecisions(connection))    # one for a unit of work
    CapsRebuild(transactor, gateway, clock=utc_now, new_id=new_id).step()        # now and then

The only part that knows redis-py, which comes with the extra `redis`.
"""

from __future__ import annotations

from guardrails.caps.redis.gateway import RedisGateway
from guardrails.caps.redis.rebuild import CapsRebuild
from guardrails.caps.redis.store import RedisCaps

__all__ = ["CapsRebuild", "RedisCaps", "RedisGateway"]
