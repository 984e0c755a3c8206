"""Every suite here runs over every implementation of its port, against real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from guardrails.decide.ports import Transactor
from stores import open_stores, run, sqlite_url


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store_url(request, tmp_path) -> str:
    """An empty store of each kind. Where the caps live in a store of their own, their suite joins the two."""
    if request.param == "memory":
        return "memory:"
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "guardrails.db")
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def transactor(store_url) -> Iterator[Transactor]:
    transactor = open_stores(store_url)
    yield transactor
    transactor.close()


@pytest.fixture
def do(transactor) -> Callable[[Callable[[Any], Any]], Any]:
    """Do something with a session of its own, and wait until it is durable."""
    return partial(run, transactor)
