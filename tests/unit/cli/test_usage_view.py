"""A recipient's usage on wide and narrow terminals, without colour, and in a pipe."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from rich.console import Console

from guardrails.cli.usage_view import show_usage
from guardrails.core.candidate import Recipient
from guardrails.decide.usage import CapUsage, RecipientUsage

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAILY = CapUsage(
    policy="three-a-day",
    title="Three paid-for notifications a day",
    mode="enforce",
    key={"recipient.id": "r-42"},
    shared=False,
    used=3,
    limit=3,
    policy_limit=3,
    count_on="reserved",
    window="calendar day in the recipient's zone",
    next_slot_at=NOON + timedelta(hours=11),
)
PUSH = CapUsage(
    policy="by-channel",
    title="",
    mode="monitor",
    key={"recipient.id": "r-42", "channel": "push"},
    shared=False,
    used=1,
    limit=8,
    policy_limit=8,
    count_on="sent",
    window="rolling 1d",
    next_slot_at=NOON,
)
EMAIL = msgspec.structs.replace(
    PUSH,
    key={"recipient.id": "r-42", "channel": "email"},
    used=9,
    next_slot_at=NOON + timedelta(minutes=200, microseconds=7),
)
BUDGET = msgspec.structs.replace(
    DAILY, policy="budget", title="", key={}, shared=True, used=1_234_567, limit=1_500_000, next_slot_at=NOON
)
UNKNOWN = msgspec.structs.replace(
    DAILY, policy="monthly", title="", used=None, next_slot_at=None, note="the recipient's zone is not known"
)
BERLINER = Recipient(id="r-42", timezone="Europe/Berlin")


def shown(
    *caps: CapUsage,
    recipient: Recipient = BERLINER,
    columns: int | None = 80,
    unused: tuple[str, ...] = (),
    truncated: bool = False,
    no_color: bool = False,
) -> str:
    """What is printed on a terminal so wide, or into a pipe where `columns` is None; without spaces at line ends."""
    console = Console(
        file=io.StringIO(),
        force_terminal=columns is not None,
        width=columns or 1_000_000,
        no_color=no_color,
        color_system="standard" if no_color else None,
        highlight=False,
        emoji=False,
        markup=False,
    )
    usage = RecipientUsage(
        recipient=recipient.id,
        as_of=NOON,
        policy_revision="sha256:0",
        caps=caps,
        unused=unused,
        truncated=truncated,
    )
    show_usage(usage, recipient, console)
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


HEAD = "r-42  as of 2026-12-01 13:00:00+01:00, times in Europe/Berlin\n"


def test_each_cap_is_shown_with_its_counters_below_it():
    assert shown(DAILY, EMAIL, PUSH) == HEAD + (
        """
three-a-day  Three paid-for notifications a day
  calendar day in the recipient's zone
  the recipient       3 of 3  ━━━━━━━━  in 11 h        2026-12-02 00:00:00+01:00

by-channel  only monitored
  rolling 1d, counted once sent
  channel = email     9 of 8  ━━━━━━━━  in 3 h 21 min  2026-12-01 16:20:01+01:00
  channel = push      1 of 8  ━         now

"""
    )


def test_a_narrow_terminal_gets_a_line_for_each_thing():
    said = shown(DAILY, EMAIL, columns=40)
    assert said == (
        """\
r-42  as of 2026-12-01 13:00:00+01:00,
times in Europe/Berlin

three-a-day  Three paid-for
notifications a day
  calendar day in the recipient's zone
  the recipient
    3 of 3  ━━━━━━━━
    in 11 h
    2026-12-02 00:00:00+01:00

by-channel  only monitored
  rolling 1d, counted once sent
  channel = email
    9 of 8  ━━━━━━━━
    in 3 h 21 min
    2026-12-01 16:20:01+01:00

"""
    )
    assert max(map(len, said.splitlines())) <= 40


def test_a_counter_too_wide_for_its_line_is_stacked_and_spoils_no_other():
    said = shown(DAILY, BUDGET)
    assert "  the recipient             3 of 3  ━━━━━━━━  in 11 h  2026-12-02 00:00:00+01:00\n" in said
    assert "  all recipients\n    1,234,567 of 1,500,000  ━━━━━━╸\n    now\n" in said


def test_a_long_name_is_folded_where_it_stands():
    campaign = {"recipient.id": "r-42", "campaign.id": "cmp-" + "x" * 100}
    said = shown(msgspec.structs.replace(DAILY, key=campaign), columns=100)
    assert all(len(line) <= 100 for line in said.splitlines())
    assert said.count("x") == 100
    assert "3 of 3  ━━━━━━━━  in 11 h  2026-12-02 00:00:00+01:00\n" in said


def test_in_a_pipe_each_counter_is_one_plain_line():
    assert shown(DAILY, EMAIL, PUSH, BUDGET, columns=None).splitlines() == [
        HEAD.strip(),
        "policy       for              used                    window                                         next slot",  # noqa: E501 - a line is one counter
        "three-a-day  the recipient    3 of 3                  calendar day in the recipient's zone           2026-12-02 00:00:00+01:00 (in 11 h)",  # noqa: E501 - as above
        "by-channel   channel = email  9 of 8                  rolling 1d, counted once sent, only monitored  2026-12-01 16:20:01+01:00 (in 3 h 21 min)",  # noqa: E501 - as above
        "by-channel   channel = push   1 of 8                  rolling 1d, counted once sent, only monitored  now",
        "budget       all recipients   1,234,567 of 1,500,000  calendar day in the recipient's zone           now",
    ]


def test_without_colour_a_bar_still_shows_how_much_is_used():
    said = shown(PUSH, EMAIL, no_color=True)
    assert "\x1b[3" not in said
    assert [line.count("━") for line in said.splitlines() if " of 8" in line] == [1, 8]


@pytest.mark.parametrize("columns", [80, 40, None])
def test_what_is_not_known_is_not_shown_as_nothing(columns):
    said = shown(UNKNOWN, msgspec.structs.replace(UNKNOWN, policy="weekly"), columns=columns)
    assert said.count("? of 3") == 2
    assert said.count("not known") >= 2
    assert " ".join(said.split()).endswith("monthly, weekly: the recipient's zone is not known")


def test_a_cap_without_a_slot_in_sight_says_so():
    assert "3 of 3  ━━━━━━━━  none in sight\n" in shown(msgspec.structs.replace(DAILY, next_slot_at=None))


def test_unused_caps_are_named_and_missing_counters_admitted():
    assert shown(unused=("by-tag", "by-sponsor"), truncated=True) == (
        f"{HEAD}unused: by-tag, by-sponsor\nthere are more counters than are shown here\n"
    )


@pytest.mark.parametrize("columns", [80, 40, None])
def test_without_caps_it_says_so(columns):
    assert " ".join(shown(columns=columns).split()).endswith("no cap in force counts what this recipient gets")


@pytest.mark.parametrize(
    ("where", "as_of"),
    [
        ({}, "2026-12-01 12:00:00+00:00, times in UTC"),
        ({"timezone": "Nowhere"}, "2026-12-01 12:00:00+00:00, times in UTC"),
        ({"country": "US"}, "2026-12-01 12:00:00+00:00, times in UTC"),
        ({"country": "DE"}, "2026-12-01 13:00:00+01:00, times in Europe/Berlin"),
        ({"timezone": "Asia/Tokyo", "country": "DE"}, "2026-12-01 21:00:00+09:00, times in Asia/Tokyo"),
    ],
)
def test_times_are_the_recipients_where_their_zone_is_plain(where, as_of):
    assert f"as of {as_of}\n" in shown(recipient=Recipient(id="r-42", **where))


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(microseconds=1), "in 1 s"),
        (timedelta(seconds=59), "in 59 s"),
        (timedelta(seconds=59, microseconds=1), "in 1 min"),
        (timedelta(minutes=59), "in 59 min"),
        (timedelta(minutes=59, seconds=1), "in 1 h"),
        (timedelta(hours=3, minutes=20), "in 3 h 20 min"),
        (timedelta(hours=24), "in 1 d"),
        (timedelta(days=1, minutes=5), "in 1 d"),
        (timedelta(days=365, hours=3, minutes=20), "in 365 d 3 h"),
    ],
)
def test_how_long_it_takes_is_told_in_two_units(span, said):
    (line,) = [
        line
        for line in shown(msgspec.structs.replace(DAILY, next_slot_at=NOON + span), columns=None).splitlines()
        if "three-a-day" in line
    ]
    assert line.endswith(f" ({said})")


def test_a_key_that_is_too_long_to_be_kept_is_told_by_the_begin_of_its_digest():
    long = msgspec.structs.replace(PUSH, key={"recipient.id": "r-42", "key": "sha256:" + "0123456789abcdef" * 4})
    assert "  a long key, sha256:0123456789ab…  " in shown(long, columns=100)


@pytest.mark.parametrize(
    ("currency", "words"),
    [
        ("EUR", "12,345.67 of 15,000.00 EUR"),
        ("JPY", "1,234,567 of 1,500,000 JPY"),
        ("KWD", "1,234.567 of 1,500.000 KWD"),
    ],
)
def test_money_is_told_with_its_decimals(currency, words):
    assert words in shown(msgspec.structs.replace(BUDGET, currency=currency))
