"""Consents in bulk, over every store: read in the order of arrival, recorded once."""

from __future__ import annotations

import pytest

from guardrails.consent.transfer import ConsentTransfer
from guardrails.consent.values import ConsentEvent, ConsentRow
from guardrails.errors import CandidateError, DependencyError
from stores import instant


def row(number: int, **changes) -> ConsentRow:
    fields = {"recipient": f"r-{number}", "purpose": "offers", "state": "granted", "method": "form", "at": instant(9)}
    return ConsentRow(**(fields | changes))


def event(number: int, **changes) -> ConsentEvent:
    fields = {"id": f"e-{number}", "recipient": "r-1", "purpose": "offers", "state": "granted", "method": "form"}
    return ConsentEvent(**(fields | {"at": instant(9), "recorded_at": instant(10)} | changes))


@pytest.fixture
def transfer(transactor) -> ConsentTransfer:
    return ConsentTransfer(transactor, purposes=dict)


def test_records_stand_in_the_order_of_their_arrival(do):
    events = [event(1, at=instant(9)), event(2, at=instant(8)), event(3, recipient="r-0")]
    do(lambda session: session.consents.append(events))
    assert do(lambda session: session.consents.arrived()) == 3
    assert do(lambda session: session.consents.arrivals(1, 4, 9)) == list(enumerate(events, 1))
    assert do(lambda session: session.consents.arrivals(2, 4, 1)) == [(2, events[1])]
    assert do(lambda session: session.consents.arrivals(0, 2, 9)) == [(1, events[0])]
    assert do(lambda session: session.consents.arrivals(4, 9, 9)) == []


def test_nothing_has_arrived_where_nothing_is_recorded(do, transfer):
    assert do(lambda session: session.consents.arrived()) == 0
    assert list(transfer.records()) == []


def test_more_records_than_are_read_at_once_are_all_read_and_later_ones_left_out(do, transfer):
    events = [event(number) for number in range(2_500)]
    do(lambda session: session.consents.append(events))
    records = transfer.records()
    first = next(records)
    do(lambda session: session.consents.append([event(9_999)]))
    assert [first, *records] == list(enumerate(events, 1))


def test_a_batch_is_recorded_once_and_told_row_by_row(transfer):
    rows = [row(1), row(2, id="k"), row(1), row(3, state="denied", expires_at=instant(23)), row(4, at=None)]
    first = transfer.record(rows, now=instant(10))
    assert [isinstance(each, CandidateError) or each.is_new for each in first] == [True, True, False, True, True]
    assert [each.problems[0][0] for each in first if isinstance(each, CandidateError)] == ["/expires_at", "/at"]
    again = transfer.record(rows[:3], now=instant(11))
    assert [(each.is_new, each.event.recorded_at) for each in again] == [(False, instant(10))] * 3
    assert [place for place, _ in transfer.records()] == [1, 2]


@pytest.mark.parametrize("state", ["granted", "pending"])
def test_a_yes_without_a_time_does_not_outdo_a_newer_no(transfer, state):
    recorded, refused = transfer.record(
        [row(1, id="no", state="withdrawn", at=instant(9)), row(1, id="yes", state=state, at=None)], now=instant(10)
    )
    assert recorded.is_new
    assert refused.problems == (
        ("/at", f"is needed where the row is `{state}`: a yes of long ago is not to outdo a newer no"),
    )


@pytest.mark.parametrize("state", ["withdrawn", "denied", "expired"])
def test_a_no_without_a_time_is_of_now(transfer, state):
    yes, no = transfer.record([row(1, id="yes"), row(1, id="no", state=state, at=None)], now=instant(10))
    assert (yes.event.at, no.event.at) == (instant(9), instant(10))


def test_a_pending_row_and_its_confirmation_may_stand_in_one_batch(transfer):
    pending = row(1, id="p", state="pending")
    grant = row(1, id="g", method="double_opt_in", confirms="p", at=instant(10))
    assert [each.is_new for each in transfer.record([pending, grant], now=instant(11))] == [True, True]
    (refused,) = transfer.record([row(1, id="h", method="double_opt_in", confirms="p")], now=instant(11))
    assert refused.problems == (("/confirms", "consent `g` confirms `p` already"),)


def test_a_confirmation_of_a_row_that_was_refused_is_refused(transfer):
    pending = row(1, id="p", state="pending", at=instant(20))
    grant = row(1, id="g", method="double_opt_in", confirms="p")
    refused = transfer.record([pending, grant], now=instant(11))
    assert [each.problems[0][0] for each in refused] == ["/at", "/confirms"]


def test_what_a_store_that_does_not_answer_was_given_is_not_recorded(transactor, transfer):
    transactor.close()
    with pytest.raises(DependencyError):
        transfer.record([row(1)], now=instant(10))
