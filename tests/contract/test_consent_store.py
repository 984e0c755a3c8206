from __future__ import annotations

import pytest

from guardrails.consent import ConsentEvent
from guardrails.core.needs import ConsentQuery, ConsentState
from guardrails.errors import CandidateError
from stores import instant


def event(number: int, **changes) -> ConsentEvent:
    fields = {
        "id": f"e-{number}",
        "recipient": "r-1",
        "purpose": "sponsored_content",
        "state": "granted",
        "at": instant(9),
        "method": "settings_screen",
        "recorded_at": instant(10),
    }
    return ConsentEvent(**(fields | changes))


QUERY = ConsentQuery("r-1", "sponsored_content", "push")


def read(do, query=QUERY) -> ConsentState:
    return do(lambda session: session.consents.read([query]))[query]


def append(do, *events) -> None:
    do(lambda session: session.consents.append(events))


def test_without_a_record_there_is_no_status(do):
    assert ConsentState() == read(do)


def test_a_record_answers_with_its_state_time_expiry_and_id(do):
    append(do, event(1, at=instant(9, 0, 0, 1), expires_at=instant(23)))
    assert ConsentState("granted", instant(9, 0, 0, 1), instant(23), "e-1", "settings_screen") == read(do)


def test_the_newest_by_time_speaks_whatever_arrived_last(do):
    append(do, event(1, at=instant(9), state="withdrawn"), event(2, at=instant(8)))
    assert ConsentState("withdrawn", instant(9), None, "e-1", "settings_screen") == read(do)


def test_of_records_of_the_same_instant_the_last_to_arrive_speaks(do):
    append(do, event(1), event(2, state="denied"))
    append(do, event(3), event(4, state="withdrawn"))
    assert read(do).record == "e-4"


def test_recipients_and_purposes_are_kept_apart(do):
    append(do, event(1), event(2, recipient="r-2", state="denied"), event(3, purpose="other", state="withdrawn"))
    queries = [
        QUERY,
        ConsentQuery("r-2", "sponsored_content", "push"),
        ConsentQuery("r-1", "other", "push"),
        ConsentQuery("r-2", "other", "push"),
    ]
    states = do(lambda session: session.consents.read(queries))
    assert [states[query].status for query in queries] == ["granted", "denied", "withdrawn", None]


def test_many_questions_are_answered_at_once(do):
    append(do, *(event(number, recipient=f"r-{number}") for number in range(1500)))
    queries = [ConsentQuery(f"r-{number}", "sponsored_content", "push") for number in range(3000)]
    states = do(lambda session: session.consents.read(queries))
    assert sum(state.status == "granted" for state in states.values()) == 1500
    assert set(queries) == set(states)


@pytest.mark.parametrize(
    "text", ["Ünïcode 🙂", "o'clock", '"quoted" \\ back', "line\nbreak", "\\u0000 spelt out", "[1]"]
)
def test_ids_are_taken_as_they_are(do, text):
    append(do, event(1, recipient=text, purpose=text))
    assert read(do, ConsentQuery(text, text, "push")).record == "e-1"


def test_an_id_with_nul_never_reads_as_another(do):
    append(do, event(1))
    query = ConsentQuery("r-1\0other", "sponsored_content", "push")
    try:
        state = read(do, query)
    except CandidateError:
        return
    assert ConsentState() == state


def test_history_is_in_order_of_time_then_arrival(do):
    append(do, event(1, at=instant(9)), event(2, at=instant(8)), event(3, at=instant(9)), event(4, recipient="r-2"))
    history = do(lambda session: session.consents.history("r-1"))
    assert [each.id for each in history] == ["e-2", "e-1", "e-3"]
    assert do(lambda session: session.consents.history("r-3")) == ()


def test_every_field_comes_back_as_it_was_recorded(do):
    whole = event(
        1,
        notice_version="2026-03",
        language="de-DE",
        evidence={"screen": "settings", "boxes": [1, 2.5, None, {"ticked": True}]},
        captured_by="app 4.2",
        expires_at=instant(23, 59, 59, 999_999),
    )
    append(do, whole, event(2))
    assert {"e-1": whole, "e-2": event(2)} == dict(do(lambda session: session.consents.by_id(["e-1", "e-2", "e-3"])))
