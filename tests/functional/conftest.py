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
    yield from starting_in(tmp_path)


@pytest.fixture(scope="module")
def shared_directory(tmp_path_factory):
    """Where the services of `start_shared` are."""
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def start_shared(shared_directory):
    """Start services that the tests of a module share, and leave as they were."""
    yield from starting_in(shared_directory)


def starting_in(directory):
    started = []

    def start(**settings):
        started.append(Service(directory, **settings))
        return started[-1]

    yield start
    for each in started:
        each.stop()
