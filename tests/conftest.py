"""What holds for every test: no socket leaves loopback, no process outlives the run, nothing is skipped where CI=true,
hypothesis has no deadline.

The servers that many tests share are here, one of each, started when first asked for: a test that stops, kills or
pauses one leaves it running (`ensure_running`), or has one of its own (`servers`). Other fixtures stay with their room.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from guardrails.storage.connections import Database
from reaper import reaper
from servers import (
    PostgreSQLServer,
    RedisClusterServers,
    RedisServer,
    start_postgresql,
    start_redis,
    start_redis_cluster,
)

# The timings of a loaded machine are no property of the code.
settings.register_profile("guardrails", deadline=None, print_blob=True)
settings.load_profile("guardrails")
settings.register_profile("soak", max_examples=5_000)  # pytest --hypothesis-profile=soak: far more than CI has time for

# A script starts its background jobs with SIGINT ignored, and so would be all that tests start, and then interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

reaper()  # before any test: whatever a test starts bears the mark of this run, and ends with it

SKIPS_FAIL = os.environ.get("CI") == "true"  # noqa: TID251 - the harness asks where it runs; the package does not


def _is_loopback(host: object) -> bool:
    if host in (None, "", "localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:  # a name, and names are not looked up
        return text == "localhost"


def _keep_to_loopback(event: str, args: tuple[object, ...]) -> None:
    """Refuse to reach, or to look up, what is not this machine. An audit hook, because no library can go round it."""
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = args[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            message = f"tests leave loopback nowhere: {event} to `{address[0]}`"
            raise PermissionError(message)
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"} and not _is_loopback(args[0]):
        message = f"tests leave loopback nowhere: look-up of `{args[0]!r}`"
        raise PermissionError(message)


sys.addaudithook(_keep_to_loopback)


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if SKIPS_FAIL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skipped, and CI skips nothing: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that was skipped for want of a real component has not passed."""
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a module that skips itself as a whole."""
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgreSQLServer]:
    """A PostgreSQL that all tests share, each with databases of its own (`postgres_url`)."""
    with start_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server) -> Iterator[str]:
    """A database with the schema in it, to be copied: migrating takes longer than most tests."""
    with postgres_server.database() as url:
        database = Database(url)
        with database.unit():
            pass
        database.close()
        yield url


@pytest.fixture
def postgres_url(postgres_server, postgres_template) -> Iterator[str]:
    """A database for one test, with the schema in it and no rows."""
    with postgres_server.database(postgres_template) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server) -> Iterator[str]:
    """A database for one test, with nothing in it."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis that all tests share; whoever needs it empty flushes it."""
    with start_redis() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisClusterServers]:
    """A Redis cluster of three nodes that all tests share; whoever needs it empty flushes it."""
    with start_redis_cluster() as cluster:
        yield cluster
