from __future__ import annotations

import os

import pytest

from faults.table import table
from servers import start_postgresql, start_redis

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # noqa: TID251 - `make soak` asks for more of the same

_rows = pytest.StashKey()


@pytest.fixture(scope="session")
def rows(pytestconfig):
    """The rows of the table that is printed at the end."""
    return pytestconfig.stash.setdefault(_rows, [])


@pytest.fixture(scope="session")
def rounds():
    return ROUNDS


@pytest.fixture
def own_postgres():
    """A PostgreSQL that the test may kill."""
    with start_postgresql() as server:
        yield server


@pytest.fixture
def own_redis():
    """A Redis that the test may kill; it keeps nothing."""
    with start_redis() as server:
        yield server


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(_rows, [])
    if rows:
        terminalreporter.ensure_newline()
        terminalreporter.write_line(table(rows))
