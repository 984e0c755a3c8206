"""A recipient's consents on wide and narrow terminals, and in a pipe."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from guardrails.cli.consent_view import Consents, show_history
from guardrails.consent import ConsentEvent
from guardrails.consent.fold import CHANNELS, speaking, standings_of

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
GRANTED = ConsentEvent(
    id="k-1",
    recipient="r-42",
    purpose="offers",
    state="granted",
    at=NOON.replace(month=3),
    method="double_opt_in",
    recorded_at=NOON,
    notice_id="privacy",
    notice_version="3",
    language="de",
    confirms="k-0",
    expires_at=NOON.replace(year=2027),
)
WITHDRAWN = ConsentEvent(
    id="k-2",
    recipient="r-42",
    purpose="offers",
    state="withdrawn",
    at=NOON.replace(month=6),
    method="one_click",
    recorded_at=NOON,
    channels=("email",),
)
EVENTS = (GRANTED, WITHDRAWN)
SPEAKERS = [(channel, event) for channel in CHANNELS if (event := speaking(EVENTS, "offers", channel))]
FOUND = Consents("r-42", NOON, standings_of(SPEAKERS, NOON), EVENTS)


def shown(found, *, width=100, terminal=True) -> str:
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=terminal,
        no_color=True,
        highlight=False,
        emoji=False,
        markup=False,
    )
    show_history(found, console)
    text = console.file.getvalue()
    return text.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")


def test_at_a_terminal_it_says_what_holds_and_then_why():
    assert [line.rstrip() for line in shown(FOUND).splitlines()] == [
        "r-42  as of 2026-12-01 12:00:00+00:00",
        "",
        "offers",
        "  granted    push, web_push, sms, in_app, chat, voice",
        "    since 2026-03-01 12:00:00+00:00, until 2027-12-01 12:00:00+00:00, by k-1",
        "  withdrawn  email",
        "    since 2026-06-01 12:00:00+00:00, by k-2",
        "",
        "records",
        "  2026-03-01 12:00:00+00:00  granted    offers",
        "    all channels, by double_opt_in, notice privacy 3 in de, until 2027-12-01 12:00:00+00:00,",
        "    confirms k-0, record k-1",
        "  2026-06-01 12:00:00+00:00  withdrawn  offers",
        "    email, by one_click, record k-2",
    ]


@pytest.mark.parametrize("width", [30, 40, 60])
def test_on_narrow_terminals_lines_are_folded_and_nothing_is_lost(width):
    lines = shown(FOUND, width=width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert {"granted", "withdrawn", "one_click,", "k-2", "voice"} <= set(" ".join(lines).split())


def test_in_a_pipe_each_is_one_line_and_has_all_of_it():
    lines = [" ".join(line.split()) for line in shown(FOUND, width=1000, terminal=False).splitlines()]
    granted = "offers push, web_push, sms, in_app, chat, voice granted 2026-03-01 12:00:00+00:00"
    assert lines[2] == f"{granted} 2027-12-01 12:00:00+00:00 k-1"
    assert lines[3] == "offers email withdrawn 2026-06-01 12:00:00+00:00 k-2"
    assert lines[5].startswith("2026-03-01 12:00:00+00:00 granted offers all channels, by double_opt_in")
    assert len(lines) == 7


def test_what_only_waits_holds_nothing():
    waiting = ConsentEvent(
        id="k-3", recipient="r-42", purpose="offers", state="pending", at=NOON, method="form", recorded_at=NOON
    )
    lines = shown(Consents("r-42", NOON, (), (waiting,))).splitlines()
    assert [line.split()[:1] for line in lines[1:]] == [[], ["records"], ["2026-12-01"], ["all"]]


def test_where_nothing_is_recorded_it_says_what_that_means():
    assert shown(Consents("r-42", NOON, (), ())).splitlines()[1:] == [
        "nothing is recorded: there is no consent to anything"
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_what_has_run_out_is_told_since_when_and_no_more_until_when(terminal):
    now = NOON.replace(year=2028)
    (first, *_) = shown(Consents("r-42", now, standings_of([("push", GRANTED)], now), EVENTS), terminal=terminal).split(
        "records" if terminal else "at "
    )
    assert ("2027-12-01 12:00:00+00:00" in first, first.count("2027-12-01"), "2026-03-01" in first) == (True, 1, False)
