from __future__ import annotations

from datetime import UTC, datetime

import pytest

from guardrails.policytest.times import parse_instant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-01T12:00:00Z", "2026-12-01T12:00:00+00:00"),
        ("2026-12-01T12:00Z", "2026-12-01T12:00:00+00:00"),
        ("2026-12-01T12:00:00.250+01:00", "2026-12-01T11:00:00.250000+00:00"),
        ("2026-12-01T22:30 Europe/Berlin", "2026-12-01T21:30:00+00:00"),
        ("2026-07-01T22:30 Europe/Berlin", "2026-07-01T20:30:00+00:00"),
        ("2026-03-29T01:59:59 Europe/Berlin", "2026-03-29T00:59:59+00:00"),
        ("2026-03-29T03:00 Europe/Berlin", "2026-03-29T01:00:00+00:00"),
        ("2026-10-25T03:00 Europe/Berlin", "2026-10-25T02:00:00+00:00"),
        ("2026-10-25T02:30+02:00", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_a_time_is_one_instant(text, expected):
    assert parse_instant(text).astimezone(UTC).isoformat() == expected


def test_the_local_time_stays_readable_with_the_offset_of_its_zone():
    assert parse_instant("2026-12-01T22:30 Europe/Berlin").isoformat() == "2026-12-01T22:30:00+01:00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tomorrow", "`tomorrow` is no time; write it like `2026-12-01T12:00:00Z`"),
        ("2026-13-01T12:00:00Z", "`2026-13-01T12:00:00Z` is no time; write it like `2026-12-01T12:00:00Z`"),
        (
            "2026-12-01T12:00:00",
            "`2026-12-01T12:00:00` has no offset; add `Z`, `+01:00` or a zone such as ` Europe/Berlin`",
        ),
        (
            "2026-12-01T12:00Z Europe/Berlin",
            "`2026-12-01T12:00Z Europe/Berlin` has both an offset and a zone; leave one out",
        ),
        ("2026-12-01T12:00 Europe/Berlim", "`Europe/Berlim` is no IANA time zone; write it like `Europe/Berlin`"),
        ("2026-12-01T12:00 ../etc/passwd", "`../etc/passwd` is no IANA time zone; write it like `Europe/Berlin`"),
        ("1969-12-31T23:59:59Z", "`1969-12-31T23:59:59Z` lies outside the years 1970 to 2199"),
        ("9999-12-31T23:59 Europe/Berlin", "`9999-12-31T23:59 Europe/Berlin` lies outside the years 1970 to 2199"),
        (
            "2026-03-29T02:30 Europe/Berlin",
            "`2026-03-29T02:30:00` is skipped by the clocks of `Europe/Berlin`; choose a time around it",
        ),
        (
            "2026-10-25T02:30 Europe/Berlin",
            (
                "`2026-10-25T02:30:00` comes twice in `Europe/Berlin`; "
                "write `2026-10-25T02:30:00+02:00` or `2026-10-25T02:30:00+01:00`"
            ),
        ),
    ],
)
def test_what_is_not_one_instant_is_refused(text, message):
    with pytest.raises(ValueError, match=r".") as refused:
        parse_instant(text)
    assert str(refused.value) == message


def test_an_instant_is_aware():
    assert parse_instant("2026-12-01T12:00:00Z") == datetime(2026, 12, 1, 12, tzinfo=UTC)
