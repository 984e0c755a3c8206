"""Every suite here runs over every implementation of its port."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from guardrails.decide.ports import Transactor
from stores import open_stores, run, sqlite_url


@pytest.fixture(params=["memory", "sqlite"])
def transactor(request, tmp_path) -> Iterator[Transactor]:
    url = "memory:" if request.param == "memory" else sqlite_url(tmp_path / "guardrails.db")
    transactor = open_stores(url)
    yield transactor
    transactor.close()


@pytest.fixture
def do(transactor) -> Callable[[Callable[[Any], Any]], Any]:
    """Do something with a session of its own, and wait until it is durable."""
    return partial(run, transactor)
