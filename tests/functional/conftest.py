from __future__ import annotations

import pytest

from service import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """One service that many tests share; each uses ids of its own."""
    service = Service(tmp_path_factory.mktemp("service"))
    yield service
    assert service.stop() == 0


@pytest.fixture
def start(tmp_path):
    """Start services of the test's own."""
    started = []

    def start(**settings):
        started.append(Service(tmp_path, **settings))
        return started[-1]

    yield start
    for each in started:
        each.stop()
