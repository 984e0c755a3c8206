from __future__ import annotations

import pytest

from guardrails.stores import open_stores
from route import Route
from sends import CapsApart, Sends


@pytest.fixture(params=["memory:", "sqlite"])
def url(request, tmp_path):
    return request.param if request.param == "memory:" else f"sqlite:///{tmp_path / 'route.db'}"


@pytest.fixture
def route(url):
    made = Route(open_stores(url))
    yield made
    made.close()


@pytest.fixture
def sends(url):
    transactor = open_stores(url)
    yield Sends(transactor)
    transactor.close()


@pytest.fixture
def apart():
    """Sends whose caps live in a store of their own."""
    caps = CapsApart()
    transactor = caps.transactor()
    yield Sends(transactor), caps
    transactor.close()
