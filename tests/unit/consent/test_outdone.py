"""What an answer tells of a record that was recorded and does not say what holds."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from guardrails.consent import ConsentRequest, ConsentService
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session

NOW = instant(12)


@pytest.fixture
def consents():
    numbers = itertools.count(1)
    return ConsentService(MemoryTransactor(memory_session), purposes=dict, new_id=lambda: f"new-{next(numbers)}")


def record(consents, id_, state="granted", **fields):
    base = {"recipient": "r-1", "purpose": "offers", "method": "form", "id": id_, "state": state}
    return consents.record(ConsentRequest(**(base | fields)), now=NOW)


def told(consents, *events, now=NOW):
    return [[(each.record, each.state, each.channels) for each in by] for by in consents.outdone_by(events, now=now)]


def test_what_holds_is_outdone_by_nothing(consents):
    events = [record(consents, "g", channels=("email",)), record(consents, "w", "withdrawn", channels=("push",))]
    assert told(consents, *events) == [[], []]


def test_each_channel_is_told_by_the_record_that_speaks_there(consents):
    record(consents, "e", channels=("email",))
    record(consents, "p", "denied", channels=("push",))
    late = record(consents, "w", "withdrawn", channels=("email", "push", "sms"), at=instant(9))
    assert told(consents, late) == [[("e", "granted", ("email",)), ("p", "denied", ("push",))]]


def test_of_two_at_one_instant_the_first_is_outdone(consents):
    first, second = (record(consents, each, at=instant(9), channels=("sms",)) for each in ("a", "b"))
    assert told(consents, first, second) == [[("b", "granted", ("sms",))], []]


def test_what_outdoes_it_is_told_as_it_is_by_now(consents):
    record(consents, "g", channels=("sms",), expires_at=instant(13))
    late = record(consents, "w", "withdrawn", channels=("sms",), at=instant(9))
    assert told(consents, late, now=NOW + timedelta(hours=1)) == [[("g", "expired", ("sms",))]]


@pytest.mark.parametrize("fields", [{"state": "pending"}, {"method": "os_permission"}], ids=str)
def test_what_speaks_on_no_channel_is_outdone_by_nothing(consents, fields):
    record(consents, "w", "withdrawn")
    assert told(consents, record(consents, "x", **fields)) == [[]]
