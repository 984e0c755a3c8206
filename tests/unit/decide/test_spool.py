"""What a spooled line says: the entry, and the very answer within it."""

from __future__ import annotations

import pytest

from guardrails.decide.spool import Unreadable, read_spooled
from route import TRANSACTIONAL, Route, candidate

OUTCOME = b'{"type":"outcome","decision_id":"d","was":"sent","is_now":"failed","at":"2026-12-01T12:00:00Z"}'


def test_the_answer_in_it_is_the_one_that_was_given():
    route = Route()
    route.stores.is_down = True
    odd = candidate('\u00fc\U0001f680\\/"', attributes={"a": [1.5, 1e300, "\u2028"], "b": {"c": True}})
    answers = route.decide(odd, candidate("t", **TRANSACTIONAL, send_at="2026-12-24T18:00:00.000001+05:30"))
    read = [read_spooled(line) for line in route.spool.read()]
    assert [each.answer for each in read] == [answer.body for answer in answers]
    assert [each.entry.decision for each in read] == [answer.decision for answer in answers]
    assert [each.line for each in read] == list(route.spool.read())


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"null", b"\xff", b'"\xff"', b'{"type":"\\ud800"}', b"[" * 100_000, OUTCOME]
)
def test_what_is_no_entry_of_a_decision_can_not_be_read(line):
    with pytest.raises(Unreadable):
        read_spooled(line)
