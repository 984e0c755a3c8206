from __future__ import annotations

import pytest

from guardrails.bootstrap import open_stores
from route import Route


@pytest.fixture(params=["memory:", "sqlite"])
def url(request, tmp_path):
    return request.param if request.param == "memory:" else f"sqlite:///{tmp_path / 'route.db'}"


@pytest.fixture
def route(url):
    made = Route(open_stores(url))
    yield made
    made.close()
