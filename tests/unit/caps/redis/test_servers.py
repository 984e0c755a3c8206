from __future__ import annotations

import pytest

from guardrails.caps.redis.servers import Servers
from guardrails.errors import SettingsError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://", "localhost:6379"),
        ("redis://h", "h:6379"),
        ("redis://h:1/2", "h:1"),
        ("redis://:secret@h:1", "h:1"),
        ("redis://user:secret@h-1:1,h-2:2/0", "h-1:1,h-2:2"),
        ("valkey://h", "h:6379"),
        ("valkeys://h", "h:6379"),
        ("rediss://h:1?ssl_cert_reqs=required", "h:1"),
        ("redis://[::1]:7000,[::1]:7001", "::1:7000,::1:7001"),
        ("unix:///run/redis.sock?db=1&password=secret", "/run/redis.sock"),
    ],
)
def test_a_url_names_servers_and_is_shown_without_its_password(url, address):
    assert Servers(url, timeout_seconds=1).address == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:6379",
        "http://user:secret@h",
        "redis+cluster://h",
        "redis://user:secret@h:port",
        "redis://user:secret@h:1,h:x",
        "redis://user:secret@h?db=one",
        "redis://user:secret@h?colour=red",
        "unix://",
        "redis://user:secret@[::1",
    ],
)
def test_a_url_that_names_none_is_the_operators_to_mend_and_its_password_is_not_told(url):
    with pytest.raises(SettingsError) as caught:
        Servers(url, timeout_seconds=1)
    assert "secret" not in str(caught.value)


def test_what_the_url_says_of_timeouts_and_answers_does_not_count(redis):
    servers = Servers(f"{redis.url}?socket_timeout=100&decode_responses=yes", timeout_seconds=1)
    (node,) = servers.nodes()
    options = node.client.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["decode_responses"]) == (1, False)
    servers.forget()


def test_one_server_holds_every_shard(redis):
    servers = Servers(redis.url, timeout_seconds=20)
    assert (servers.is_cluster, len(servers.nodes())) == (False, 1)
    assert {servers.node_of(shard) for shard in range(256)} == set(servers.nodes())
    servers.forget()


def test_a_cluster_is_found_by_any_of_its_nodes(cluster):
    for addresses in (["127.0.0.1:1", *(node.url[8:] for node in cluster.nodes)], [cluster.nodes[2].url[8:]]):
        servers = Servers(f"redis://{','.join(addresses)}", timeout_seconds=20)
        assert (servers.is_cluster, len(servers.nodes())) == (True, 3)
        assert {servers.node_of(shard) for shard in range(256)} == set(servers.nodes())
        servers.forget()
