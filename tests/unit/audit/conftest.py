"""A spool in a directory that is not there yet, or in memory, and the log that it is drained into."""

from __future__ import annotations

import pytest

from guardrails.audit import FileSpool, MemorySpool
from spooling import Log


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "spool.jsonl"


@pytest.fixture(params=["file", "memory"])
def spool(request, path):
    return FileSpool(path) if request.param == "file" else MemorySpool()
