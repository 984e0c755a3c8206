from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from guardrails.core.needs import Preferences
from guardrails.errors import CandidateError
from guardrails.preferences import PreferenceEvent, PreferenceRequest, PreferenceService
from guardrails.preferences.values import LONGEST_PAUSE
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session

NOW = instant(12)


@pytest.fixture
def service():
    return PreferenceService(MemoryTransactor(memory_session))


def test_toggles_not_named_stay_as_they_are(service):
    service.set("r-1", PreferenceRequest(toggles={"sponsored": True, "rewards": True}), now=NOW)
    after = service.set("r-1", PreferenceRequest(toggles={"sponsored": False}), now=NOW)
    assert after == Preferences({"sponsored": False, "rewards": True})
    assert service.current("r-1") == after
    assert service.current("r-2") == Preferences()


def test_an_older_choice_that_arrives_late_does_not_hold(service):
    service.set("r-1", PreferenceRequest(toggles={"sponsored": False}, at=instant(9)), now=NOW)
    after = service.set("r-1", PreferenceRequest(toggles={"sponsored": True}, at=instant(8)), now=NOW)
    assert after.toggles == {"sponsored": False}
    assert service.history("r-1") == (
        PreferenceEvent(recipient="r-1", name="toggle:sponsored", value=True, at=instant(8), recorded_at=NOW),
        PreferenceEvent(recipient="r-1", name="toggle:sponsored", value=False, at=instant(9), recorded_at=NOW),
    )


def test_a_choice_in_the_future_is_refused(service):
    with pytest.raises(CandidateError, match="future") as caught:
        service.set("r-1", PreferenceRequest(toggles={"sponsored": True}, at=instant(12, 5, 0, 1)), now=NOW)
    assert [pointer for pointer, _ in caught.value.problems] == ["/at"]
    assert service.history("r-1") == ()


def test_a_choice_by_a_clock_that_is_a_little_ahead_counts_from_now(service):
    service.set("r-1", PreferenceRequest(toggles={"sponsored": False}, at=instant(12, 5)), now=NOW)
    assert [event.at for event in service.history("r-1")] == [NOW]


def test_a_choice_before_1970_is_refused(service):
    year_one = instant(12).replace(year=1)
    with pytest.raises(CandidateError, match="before 1970") as caught:
        service.set("r-1", PreferenceRequest(toggles={"sponsored": True}, at=year_one), now=NOW)
    assert [pointer for pointer, _ in caught.value.problems] == ["/at"]
    assert service.history("r-1") == ()


@pytest.mark.parametrize("recipient", ["", "x" * 201, "r\0"])
def test_a_recipient_that_can_not_be_one_is_refused(service, recipient):
    with pytest.raises(CandidateError, match="recipient"):
        service.set(recipient, PreferenceRequest(toggles={"sponsored": True}), now=NOW)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"toggles": {}},
        {"toggles": {"": True}},
        {"toggles": {"x" * 209: True}},
        {"toggles": {"a\0": True}},
        {"toggles": {"a": 1}},
        {"toggles": {f"t-{number}": True for number in range(101)}},
        {"toggles": {"a": True}, "at": "2026-12-01T09:00:00"},
        {"toggles": {"a": True}, "unknown": 1},
    ],
)
def test_requests_are_bounded(fields):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, PreferenceRequest)


def test_what_is_chosen_now_holds_though_another_clock_was_ahead(service):
    service.set("r-1", PreferenceRequest(toggles={"sponsored": True, "rewards": True}), now=instant(12, 3))
    after = service.set("r-1", PreferenceRequest(toggles={"sponsored": False}, timezone="Asia/Tokyo"), now=NOW)
    assert (after.toggles["sponsored"], after.timezone) == (False, "Asia/Tokyo")
    assert [(event.name, event.at) for event in service.history("r-1")] == [
        ("timezone", NOW),
        ("toggle:sponsored", instant(12, 3)),
        ("toggle:rewards", instant(12, 3)),
        ("toggle:sponsored", instant(12, 3)),
    ]


LATER = instant(20)
MORE = [{"toggles": {"a": True}}, {"paused_until": None}, {"limits": {"a": None}}, {"timezone": "Asia/Tokyo"}]
LESS = [{"toggles": {"a": False}}, {"paused_until": LATER}, {"limits": {"a": 1}}]
OTHERS = {
    "toggles": [{"a": True}, {"a": False}],
    "paused_until": [None, LATER],
    "limits": [{"a": None}, {"a": 1}],
    "timezone": ["Europe/Berlin"],
}


def over_a_clock_ahead(service, choice, at):
    """When the choice is kept as made, said to be made `at`, where a clock ahead had the opposite."""
    ((name, chosen),) = choice.items()
    other = next(each for each in OTHERS[name] if each != chosen)
    service.set("r-1", PreferenceRequest(**{name: other}), now=instant(12, 3))
    service.set("r-1", PreferenceRequest(**choice, at=at), now=NOW)
    (kept,) = [event for event in service.history("r-1") if event.recorded_at == NOW]
    return kept.at


@pytest.mark.parametrize("choice", MORE, ids=str)
def test_what_was_chosen_at_a_time_that_is_told_stays_at_that_time(service, choice):
    assert over_a_clock_ahead(service, choice, NOW) == NOW


@pytest.mark.parametrize("choice", LESS, ids=str)
@pytest.mark.parametrize("at", [NOW, instant(11, 55), instant(12, 5)], ids=str)
def test_what_asks_for_less_holds_from_now_on_where_its_time_is_as_near_as_clocks_are(service, choice, at):
    assert over_a_clock_ahead(service, choice, at) == instant(12, 3)


@pytest.mark.parametrize("choice", LESS, ids=str)
def test_what_asks_for_less_stays_at_its_time_where_that_is_longer_ago(service, choice):
    assert over_a_clock_ahead(service, choice, instant(11, 54, 59)) == instant(11, 54, 59)


@pytest.mark.parametrize(
    "until", [NOW + LONGEST_PAUSE + timedelta(microseconds=1), NOW.replace(year=1969), NOW.replace(year=9999)]
)
def test_a_pause_ends_within_ten_years(service, until):
    with pytest.raises(CandidateError) as caught:
        service.set("r-1", PreferenceRequest(paused_until=until), now=NOW)
    assert [pointer for pointer, _ in caught.value.problems] == ["/paused_until"]
    assert service.history("r-1") == ()
    assert service.set("r-1", PreferenceRequest(paused_until=NOW + LONGEST_PAUSE), now=NOW).paused_until is not None


@pytest.mark.parametrize(
    ("newer", "late", "holds"),
    [
        ({"limits": {"a": 1}}, {"limits": {"a": 5}}, {"limits": {"a": 1}}),
        ({"limits": {"a": 5}}, {"limits": {"a": 1}}, {"limits": {"a": 1}}),
        ({"limits": {"a": None}}, {"limits": {"a": 3}}, {"limits": {"a": 3}}),
        ({"paused_until": instant(20)}, {"paused_until": instant(18)}, {"paused_until": instant(20)}),
        ({"paused_until": instant(18)}, {"paused_until": instant(20)}, {"paused_until": instant(20)}),
        ({"paused_until": instant(18)}, {"paused_until": None}, {"paused_until": instant(18)}),
    ],
)
def test_what_was_said_a_moment_earlier_and_arrives_late_holds_where_it_asks_for_less(service, newer, late, holds):
    service.set("r-1", PreferenceRequest(**newer, at=instant(11, 59, 30)), now=NOW)
    assert service.set("r-1", PreferenceRequest(**late, at=instant(11, 59)), now=NOW) == Preferences(**holds)
