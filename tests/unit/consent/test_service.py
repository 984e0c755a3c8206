from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from guardrails.consent import ConsentEvent, ConsentRequest, ConsentService
from guardrails.errors import CandidateError, ConflictError
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session

NOW = instant(12)


@pytest.fixture
def service():
    numbers = itertools.count(1)
    return ConsentService(MemoryTransactor(memory_session), purposes=dict, new_id=lambda: f"new-{next(numbers)}")


def request(**changes) -> ConsentRequest:
    fields = {"recipient": "r-1", "purpose": "sponsored_content", "state": "granted", "method": "settings_screen"}
    return ConsentRequest(**(fields | changes))


def test_a_record_says_what_was_asked_and_when_it_came(service):
    asked = request(
        id="c-1",
        at=instant(9),
        notice_version="2026-03",
        language="de-DE",
        evidence={"screen": 4},
        captured_by="app",
        expires_at=instant(13),
    )
    assert service.record(asked, now=NOW) == ConsentEvent(
        id="c-1",
        recipient="r-1",
        purpose="sponsored_content",
        state="granted",
        at=instant(9),
        method="settings_screen",
        recorded_at=NOW,
        notice_version="2026-03",
        language="de-DE",
        evidence={"screen": 4},
        captured_by="app",
        expires_at=instant(13),
    )


def test_without_an_id_or_a_time_it_is_a_new_one_and_now(service):
    first, second = service.record(request(), now=NOW), service.record(request(), now=instant(13))
    assert [(first.id, first.at), (second.id, second.at)] == [("new-1", NOW), ("new-2", instant(13))]
    assert service.history("r-1") == (first, second)
    assert service.history("r-2") == ()


@pytest.mark.parametrize("asked", [request(id="c-1"), request(id="c-1", at=instant(9))])
def test_the_same_request_again_returns_the_first_record(service, asked):
    first = service.record(asked, now=NOW)
    assert service.record(asked, now=instant(13)) == first
    assert service.history("r-1") == (first,)


@pytest.mark.parametrize(
    "changes", [{"state": "denied"}, {"at": instant(8)}, {"recipient": "r-2"}, {"evidence": {"a": 1}}]
)
def test_the_same_id_with_another_content_is_a_conflict(service, changes):
    first = service.record(request(id="c-1", at=instant(9)), now=NOW)
    with pytest.raises(ConflictError, match="`c-1` is already recorded") as caught:
        service.record(request(**{"id": "c-1", "at": instant(9)} | changes), now=NOW)
    assert [pointer for pointer, _ in caught.value.problems] == ["/id"]
    assert service.history("r-1") == (first,)
    assert service.history("r-2") == ()


def test_a_time_that_was_said_conflicts_with_one_that_was_assumed(service):
    service.record(request(id="c-1"), now=NOW)
    with pytest.raises(ConflictError):
        service.record(request(id="c-1", at=instant(9)), now=NOW)


def test_a_withdrawal_by_a_clock_that_is_a_little_ahead_counts_from_now(service):
    assert service.record(request(state="withdrawn", at=instant(12, 5)), now=NOW).at == NOW


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"at": instant(12, 5, 0, 1)}, ["/at"]),
        ({"at": instant(9), "expires_at": instant(9)}, ["/expires_at"]),
        ({"expires_at": NOW}, ["/expires_at"]),
        ({"state": "withdrawn", "expires_at": instant(13)}, ["/expires_at"]),
        ({"state": "denied", "at": instant(13), "expires_at": instant(14)}, ["/at", "/expires_at"]),
    ],
)
def test_times_that_make_no_sense_are_refused_all_at_once(service, changes, pointers):
    with pytest.raises(CandidateError) as caught:
        service.record(request(**changes), now=NOW)
    assert [pointer for pointer, _ in caught.value.problems] == pointers
    assert service.history("r-1") == ()


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"at": instant(12).replace(year=1)}, "/at"),
        ({"expires_at": datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-1)))}, "/expires_at"),
    ],
)
def test_a_time_that_no_store_can_give_back_is_refused(service, changes, pointer):
    with pytest.raises(CandidateError) as caught:
        service.record(request(**changes), now=NOW)
    assert [pointer for pointer, _ in caught.value.problems] == [pointer]
    assert service.history("r-1") == ()


def test_a_grant_may_last_to_the_end_of_the_calendar(service):
    end = datetime.max.replace(tzinfo=UTC)
    assert service.record(request(expires_at=end), now=NOW).expires_at == end


def test_now_is_not_the_future(service):
    assert service.record(request(at=NOW), now=NOW).at == NOW


def test_times_are_told_in_utc_whichever_zone_they_were_said_in(service):
    zone = timezone(timedelta(hours=2))
    asked = request(id="c-1", at=instant(9).astimezone(zone), expires_at=instant(20).astimezone(zone))
    plain = msgspec.json.encode(service.record(request(id="c-2", at=instant(9), expires_at=instant(20)), now=NOW))
    for _ in range(2):
        assert msgspec.json.encode(service.record(asked, now=NOW)) == plain.replace(b"c-2", b"c-1")


def test_many_are_recorded_in_order_and_each_has_its_own_result(service):
    results = service.record_many(
        [
            request(id="c-1"),
            request(id="c-2", at=instant(13)),
            request(id="c-1"),
            request(id="c-1", state="denied"),
            request(id="c-3", state="withdrawn"),
        ],
        now=NOW,
    )
    assert [type(result).__name__ for result in results] == [
        "ConsentEvent",
        "CandidateError",
        "ConsentEvent",
        "ConflictError",
        "ConsentEvent",
    ]
    assert service.history("r-1") == (results[0], results[4])
    assert results[2] == results[0]


def test_nothing_to_record_is_fine(service):
    assert service.record_many([], now=NOW) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"recipient": ""},
        {"recipient": "x" * 201},
        {"recipient": "r\0"},
        {"purpose": "p\0x"},
        {"state": "revoked"},
        {"method": None},
        {"at": "2026-12-01T09:00:00"},
        {"evidence": {"text": "x" * 4000}},
        {"language": "de-" + "x" * 8 + "-" + "y" * 8 + "-" + "z" * 8 + "-zzzzzz"},
        {"language": "English"},
        {"language": "en_GB"},
        {"language": "<script>"},
        {"language": "de\n"},
        {"jurisdiction": "Germany"},
        {"jurisdiction": "DE-"},
        {"jurisdiction": "DE\n"},
        {"channels": []},
        {"channels": ["pigeon"]},
        {"unknown": 1},
    ],
)
def test_requests_are_bounded(changes):
    fields = {"recipient": "r-1", "purpose": "p", "state": "granted", "method": "m"} | changes
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields, ConsentRequest)


@pytest.mark.parametrize("jurisdiction", ["DE", "US-CA", "GB-1"])
def test_a_jurisdiction_is_a_country_or_a_region(service, jurisdiction):
    fields = {"recipient": "r-1", "purpose": "p", "state": "granted", "method": "m", "jurisdiction": jurisdiction}
    asked = msgspec.convert(fields, ConsentRequest)
    assert service.record(asked, now=NOW).jurisdiction == jurisdiction


def test_channels_are_kept_sorted_each_once(service):
    assert service.record(request(channels=("push", "email", "push")), now=NOW).channels == ("email", "push")


def test_a_whole_request_decodes():
    text = b"""{"recipient": "r\\u00fc1", "purpose": "p", "state": "granted", "method": "m", "id": "c-1",
        "at": "2026-12-01T09:00:00Z", "evidence": {"a": [1, {"b": null}]}}"""
    decoded = msgspec.json.decode(text, type=ConsentRequest)
    assert (decoded.recipient, decoded.at, decoded.evidence) == ("rü1", instant(9), {"a": [1, {"b": None}]})
