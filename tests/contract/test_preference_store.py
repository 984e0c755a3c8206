from __future__ import annotations

from datetime import datetime

from guardrails.core.needs import PreferenceQuery, Preferences
from guardrails.preferences import PreferenceEvent
from stores import instant


def event(toggle: str, is_on: bool | None, **changes) -> PreferenceEvent:
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


def test_every_sort_of_choice_comes_back_as_it_was(do):
    chosen = {
        "toggle:topic:travel": False,
        "limit:three-a-day": 0,
        "pause": "2026-12-24T08:00:00+01:00",
        "timezone": "Europe/Berlin",
    }
    append(do, *(event("", None, name=name, value=value) for name, value in chosen.items()))
    (found,) = do(lambda session: list(session.preferences.read([PreferenceQuery("r-1")]).values()))
    end = datetime.fromisoformat("2026-12-24T08:00:00+01:00")
    assert found == Preferences({"topic:travel": False}, end, {"three-a-day": 0}, "Europe/Berlin")


def test_what_was_taken_back_is_not_there(do):
    names = ("toggle:sponsored", "limit:three-a-day", "pause", "timezone")
    append(do, *(event("", None, name=name, value=1) for name in names))
    append(do, *(event("", None, name=name) for name in names))
    assert do(lambda session: list(session.preferences.read([PreferenceQuery("r-1")]).values())) == [Preferences()]


def test_the_newest_choice_of_each_name_is_found_by_its_time(do):
    append(
        do, event("sponsored", False), event("sponsored", True, at=instant(8)), event("rewards", None, at=instant(7))
    )
    append(do, event("sponsored", True, at=instant(10), recipient="r-2"))
    newest = do(lambda session: dict(session.preferences.newest("r-1")))
    assert newest == {"toggle:sponsored": instant(9), "toggle:rewards": instant(7)}
    assert do(lambda session: dict(session.preferences.newest("r-3"))) == {}


def test_of_a_history_the_newest_can_be_asked_for(do):
    events = [event("t", True, at=instant(8)), event("t", False), event("u", True), event("t", True, at=instant(7))]
    append(do, *events)
    assert do(lambda session: session.preferences.history("r-1", most=2)) == (events[1], events[2])
    assert do(lambda session: session.preferences.history("r-1", most=9)) == (events[3], *events[:3])
