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


def test_what_was_chosen_at_a_time_that_is_told_stays_at_that_time(service):
    service.set("r-1", PreferenceRequest(toggles={"sponsored": True}), now=instant(12, 3))
    after = service.set("r-1", PreferenceRequest(toggles={"sponsored": False}, at=NOW), now=NOW)
    assert after.toggles == {"sponsored": True}


@pytest.mark.parametrize(
    "until", [NOW + LONGEST_PAUSE + timedelta(microseconds=1), NOW.replace(year=1969), NOW.replace(year=9999)]
)
def test_a_pause_ends_within_ten_years(service, until):
    with pytest.raises(CandidateError) as caught:
        service.set("r-1", PreferenceRequest(paused_until=until), now=NOW)
    assert [pointer for pointer, _ in caught.value.problems] == ["/paused_until"]
    assert service.history("r-1") == ()
    assert service.set("r-1", PreferenceRequest(paused_until=NOW + LONGEST_PAUSE), now=NOW).paused_until is not None
