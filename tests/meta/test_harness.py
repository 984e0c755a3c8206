"""The harness keeps what it promises: see tests/conftest.py."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path

import pytest

from service import Service

CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("2001:db8::1", 80, 0, 0)], ids=["v4", "v6"])
def test_sockets_leave_loopback_nowhere(address):
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(0.1)
        with pytest.raises(PermissionError, match="leave loopback nowhere"):
            client.connect(address)


def test_datagrams_leave_loopback_nowhere():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        pytest.raises(PermissionError, match="leave loopback nowhere"),
    ):
        client.sendto(b"x", ("192.0.2.1", 9))


def test_names_are_not_looked_up():
    with pytest.raises(PermissionError, match="look-up"):
        socket.getaddrinfo("guardrails.invalid", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_open(host):
    with (
        contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server,
        socket.create_connection((host, server.getsockname()[1]), timeout=5) as client,
    ):
        assert client.getpeername()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("ci", "body", "expected"),
    [
        ("true", "def test_it():\n    pytest.skip('no server')", {"failed": 1}),
        ("true", "@pytest.mark.skipif(True, reason='no server')\ndef test_it(): ...", {"errors": 1}),
        ("true", "pytest.skip('no server', allow_module_level=True)", {"errors": 1}),
        ("true", "@pytest.mark.xfail\ndef test_it():\n    assert False", {"xfailed": 1}),
        ("true", "def test_it(): ...", {"passed": 1}),
        ("", "def test_it():\n    pytest.skip('no server')", {"skipped": 1}),
    ],
    ids=["skip", "skipif", "module", "xfail", "pass", "not-on-ci"],
)
def test_a_skipped_test_fails_on_ci(pytester, monkeypatch, ci, body, expected):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PYTHONPATH", str(CONFTEST.parent))
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makepyfile("import pytest\n" + body)
    result = pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:guardrails")
    assert result.parseoutcomes() == expected


def test_a_service_that_does_not_start_is_ended_and_says_where_it_stood(tmp_path, monkeypatch):
    monkeypatch.setattr("service.PATIENCE_TO_START_SECONDS", 5.0)
    os.mkfifo(tmp_path / "keys")  # nobody writes to it: who opens it waits
    with pytest.raises(RuntimeError, match=r"(?s)has not started in 5 s.*most recent call first"):
        Service(tmp_path, env={"GUARDRAILS_KEYS_FILE": str(tmp_path / "keys")})
