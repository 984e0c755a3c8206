"""A transactor over a list, and a gate that holds it."""

from __future__ import annotations

import pytest

from list_store import Gate, ListStore


@pytest.fixture
def store():
    return ListStore()


@pytest.fixture
def transactor(store):
    transactor = store.transactor()
    yield transactor
    transactor.close()


@pytest.fixture
def gate(transactor):
    gate = Gate(transactor)
    gate.hold()
    yield gate
    gate.open()
