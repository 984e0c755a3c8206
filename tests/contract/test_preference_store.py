from __future__ import annotations

from guardrails.core.needs import PreferenceQuery, Preferences
from guardrails.preferences import PreferenceEvent
from stores import instant


def event(toggle: str, is_on: bool, **changes) -> PreferenceEvent:
    fields = {
        "recipient": "r-1",
        "name": f"toggle:{toggle}",
        "value": is_on,
        "at": instant(9),
        "recorded_at": instant(10),
    }
    return PreferenceEvent(**(fields | changes))


def read(do, *recipients: str) -> list[dict[str, bool]]:
    queries = [PreferenceQuery(recipient) for recipient in recipients]
    answers = do(lambda session: session.preferences.read(queries))
    return [answers[query].toggles for query in queries]


def append(do, *events) -> None:
    do(lambda session: session.preferences.append(events))


def test_what_was_never_set_is_not_there(do):
    assert {PreferenceQuery("r-1"): Preferences()} == do(
        lambda session: dict(session.preferences.read([PreferenceQuery("r-1")]))
    )


def test_each_toggle_holds_its_newest_value_by_time(do):
    append(do, event("sponsored", False), event("rewards", True), event("sponsored", True, at=instant(8)))
    assert read(do, "r-1") == [{"sponsored": False, "rewards": True}]


def test_of_the_same_instant_the_last_to_arrive_holds(do):
    append(do, event("sponsored", True), event("sponsored", False))
    assert read(do, "r-1") == [{"sponsored": False}]


def test_recipients_are_kept_apart(do):
    append(do, event("sponsored", True), event("sponsored", False, recipient="r-2"))
    assert read(do, "r-1", "r-2", "r-3") == [{"sponsored": True}, {"sponsored": False}, {}]


def test_many_questions_are_answered_at_once(do):
    append(do, *(event("sponsored", number % 2 == 0, recipient=f"r-{number}") for number in range(1500)))
    toggles = read(do, *(f"r-{number}" for number in range(3000)))
    assert toggles == [{"sponsored": True}, {"sponsored": False}] * 750 + [{}] * 1500


def test_answers_hold_booleans(do):
    append(do, event("sponsored", True), event("rewards", False))
    assert [read(do, "r-1")[0][toggle] for toggle in ("sponsored", "rewards")] == [True, False]
    assert {bool} == {type(value) for value in read(do, "r-1")[0].values()}


def test_history_is_in_order_of_time_then_arrival_and_whole(do):
    events = [event("sponsored", True), event("rewards", False, at=instant(8)), event("sponsored", False)]
    append(do, *events, event("sponsored", True, recipient="r-2"))
    assert (events[1], events[0], events[2]) == do(lambda session: session.preferences.history("r-1"))
