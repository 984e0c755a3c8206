from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from guardrails.policyfile.timestamps import parse_date, parse_timestamp


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-12-01T12:00:00Z", datetime(2026, 12, 1, 12, tzinfo=UTC)),
        ("2026-12-01t12:00:00z", datetime(2026, 12, 1, 12, tzinfo=UTC)),
        ("2026-12-01T12:00:00.25+05:30", datetime(2026, 12, 1, 12, 0, 0, 250_000, timezone(timedelta(hours=5.5)))),
        (
            "2999-12-31T23:59:59-23:59",
            datetime(2999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=23, minutes=59))),
        ),
    ],
)
def test_timestamps_follow_rfc_3339(text, wanted):
    assert wanted == parse_timestamp(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01",
        "2026-12-01T12:00:00",
        "2026-12-01 12:00:00Z",
        "2026-12-01T12:00Z",
        "20261201T120000Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "1969-12-31T00:00:00Z",
        "3000-01-01T00:00:00Z",
        "2026-12-01T12:00:00Z\n",
        "٢٠٢٦-12-01T12:00:00Z",
        "",
    ],
)
def test_other_texts_are_no_timestamps(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the contract is the type
        parse_timestamp(text)


def test_a_date_is_midnight_in_its_zone():
    wanted = datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=2)))
    assert wanted == parse_date("2026-07-01", ZoneInfo("Europe/Berlin"))


def test_a_day_without_midnight_begins_at_its_first_instant():
    # In Beirut clocks went from 00:00 to 01:00 on that day.
    wanted = datetime(2022, 3, 26, 22, tzinfo=UTC)
    assert wanted == parse_date("2022-03-27", ZoneInfo("Asia/Beirut"))


@pytest.mark.parametrize("text", ["2026-02-30", "2026-13-01", "26-01-01", "2026-12-01T12:00:00Z"])
def test_other_texts_are_no_dates(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the contract is the type
        parse_date(text, ZoneInfo("UTC"))
