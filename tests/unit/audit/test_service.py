from __future__ import annotations

import pytest

from guardrails.audit import AuditService
from guardrails.audit.service import PAGE
from guardrails.errors import NotFoundError
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session, run, stored_decision


@pytest.fixture
def transactor():
    return MemoryTransactor(memory_session)


@pytest.fixture
def service(transactor):
    return AuditService(transactor)


def fill(transactor, count: int) -> list[tuple[int, bytes]]:
    entries = [b"%d" % number for number in range(count)]
    run(transactor, lambda session: session.audit.append(entries))
    return list(enumerate(entries))


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE])
def test_all_entries_are_read_over_every_page(transactor, service, count):
    entries = fill(transactor, count)
    assert list(service.entries()) == entries
    assert service.size() == count


@pytest.mark.parametrize("start", [0, 5, PAGE, 2 * PAGE, 5 * PAGE])
@pytest.mark.parametrize("stop", [0, 5, PAGE, 2 * PAGE, 5 * PAGE])
def test_a_range_of_entries_is_half_open(transactor, service, start, stop):
    entries = fill(transactor, 2 * PAGE + 7)
    assert list(service.entries(start, stop)) == entries[start:stop]


def test_entries_added_while_reading_are_read_too(transactor, service):
    fill(transactor, PAGE)
    reading = service.entries()
    first = [next(reading) for _ in range(PAGE)]
    fill(transactor, 1)
    assert len(first + list(reading)) == PAGE + 1


def test_a_decision_is_read_back(transactor, service):
    run(transactor, lambda session: session.decisions.insert([stored_decision(1)]))
    assert service.decision("d-1") == stored_decision(1)
    with pytest.raises(NotFoundError, match="`d-2`"):
        service.decision("d-2")


@pytest.mark.parametrize("files", [{"a.yaml": "policies: []"}, {}])
def test_the_files_of_a_past_revision_are_read_back(transactor, service, files):
    run(transactor, lambda session: session.policies.keep("sha256:1", files, instant(9)))
    assert service.policy_files("sha256:1") == files
    with pytest.raises(NotFoundError, match="`sha256:2`"):
        service.policy_files("sha256:2")
