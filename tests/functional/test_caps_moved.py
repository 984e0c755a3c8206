"""Where the caps live is said by the database, and changed by saying so: to Redis and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service import Service

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: two-a-week, kind: frequency_cap, applies_to: {lane: monetized}, limit: 2, per: [recipient],
     window: {rolling: 7d}}
"""
CANDIDATE: dict[str, Any] = {
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r-1", "timezone": "Europe/Berlin"},
    "content": {"class": "sponsored", "topic": "upgrade"},
}


def effects(service, *ids: str) -> list[str]:
    return [service.send("POST", "/v1/decisions", CANDIDATE | {"id": each}).json()["effect"] for each in ids]


def fills(service) -> list[tuple[str, int, int]]:
    """What the log says of where the caps were filled, and with how many decisions and slots."""
    lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    return [(line["into"], line["decisions"], line["slots"]) for line in lines if line["event"] == "caps.filled"]


def test_a_window_that_an_edit_makes_longer_is_filled_for_at_once(tmp_path, start, redis_server):
    redis_server.flush()
    policies = tmp_path / "policies.yaml"
    policies.write_text(POLICIES, "utf-8")
    service = start(policies=policies, env={"GUARDRAILS_CAPS_URL": redis_server.url})
    assert effects(service, "c-1") == ["allow"]
    policies.write_text(POLICIES.replace("7d", "8d"), "utf-8")
    service.until(lambda: fills(service)[1:])
    assert effects(service, "c-2", "c-3") == ["allow", "deny"]
    assert (fills(service)[1:], service.stop()) == ([("redis", 1, 1)], 0)


def test_caps_that_lived_in_redis_are_taken_back_by_saying_so_and_not_by_leaving_it_out(tmp_path, start, redis_server):
    redis_server.flush()
    policies = tmp_path / "policies.yaml"
    policies.write_text(POLICIES, "utf-8")
    in_redis = start(policies=policies, env={"GUARDRAILS_CAPS_URL": redis_server.url})
    in_redis.until(lambda: in_redis.send("GET", "/readyz").json()["status"] == "ready")
    assert effects(in_redis, "c-1") == ["allow"]
    assert fills(in_redis) == [("redis", 0, 0)]
    assert in_redis.stop() == 0
    redis_server.flush()

    with pytest.raises(RuntimeError, match="or take them back by `guardrails serve --caps database`"):
        Service(tmp_path, policies=policies)

    for round_number in range(2):  # once they are back, it says no more than what is so
        back = start(policies=policies, env={"GUARDRAILS_CAPS_URL": "database"})
        assert effects(back, "c-1", f"c-{round_number + 2}") == ["allow", ["allow", "deny"][round_number]]
        assert fills(back) == [("database", 1, 1)][round_number:]
        assert back.stop() == 0
    assert effects(start(policies=policies), "c-9") == ["deny"]
