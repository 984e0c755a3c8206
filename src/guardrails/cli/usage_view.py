"""A recipient's usage as people read it: cap by cap, how much of it is used, and when there is room again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import groupby
from typing import NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from guardrails.cli.decision_view import moment
from guardrails.cli.terminal import indented
from guardrails.core.candidate import Recipient
from guardrails.core.money import decimal_text
from guardrails.core.timing import Zone, zones_of
from guardrails.decide.usage import CapUsage, RecipientUsage

__all__ = ["show_usage"]

BAR = 8
GAP = 2
SHORTEST_NAME = 14
"""Columns that a counter's name keeps on its line; where there are fewer, its parts stand below each other."""

DIGEST = 19
"""So much of a digest tells one key from another."""

MINUTE = 60

_WHEREVER = Zone("recipient", fallback="strictest")


class _Counter(NamedTuple):
    """One cap under one key, in words."""

    cap: CapUsage
    name: str
    used: str
    relative: str
    instant: str
    style: str


def show_usage(usage: RecipientUsage, recipient: Recipient, console: Console) -> None:
    """Print the usage; times are the recipient's where it is plain which zone that is, else UTC."""
    zone = _zone(recipient)
    as_of = f"  as of {moment(usage.as_of.astimezone(zone))}, times in {zone}"
    console.print(Text.assemble((usage.recipient, "bold"), (as_of, "dim")))
    counters = [_counter(cap, usage.as_of, zone) for cap in usage.caps]
    if counters and console.is_terminal:
        _show_by_policy(counters, console)
    elif counters:
        console.print(_plain_table(counters))
    for line in _remarks(usage):
        console.print(line)


def _zone(recipient: Recipient) -> tzinfo:
    zones = zones_of(_WHEREVER, recipient) or ()
    return zones[0] if len(zones) == 1 else UTC


def _remarks(usage: RecipientUsage) -> Iterable[Text]:
    """What the counters alone don't say."""
    notes: dict[str, dict[str, None]] = {}
    for cap in usage.caps:
        if cap.note is not None:
            notes.setdefault(cap.note, {})[cap.policy] = None
    for note, policies in notes.items():
        yield Text.assemble((", ".join(policies), "bold"), (f": {note}", "yellow"))
    if usage.unused:
        yield Text.assemble(("unused: ", "dim"), ", ".join(usage.unused))
    if usage.truncated:
        yield Text("there are more counters than are shown here", "yellow")
    if not usage.caps and not usage.unused:
        yield Text("no cap in force counts what this recipient gets")


def _plain_table(counters: Iterable[_Counter]) -> Table:
    """A line for each counter, whole in itself."""
    table = Table("policy", "for", "used", "window", "next slot", box=None, pad_edge=False)
    for each in counters:
        opens = f"{each.instant} ({each.relative})" if each.instant else each.relative
        monitored = ", only monitored" if each.cap.mode == "monitor" else ""
        table.add_row(each.cap.policy, each.name, each.used, _window(each.cap) + monitored, opens)
    return table


# --- at a terminal ----------------------------------------------------------------------------------------------


def _show_by_policy(counters: Sequence[_Counter], console: Console) -> None:
    """Each policy with its counters below; the columns at their ends are as wide for all."""
    relative = max((len(each.relative) for each in counters if each.instant), default=0)
    opens = max(len(_opening(each, relative)) for each in counters)
    for _, group in groupby(counters, key=lambda each: each.cap.policy):
        some = tuple(group)
        console.print()
        _show_policy(some[0].cap, console)
        left = console.width - max(len(each.used) for each in some) - BAR - opens - 4 * GAP
        if left < min(max(len(each.name) for each in some), SHORTEST_NAME):
            for each in some:
                _show_stacked(each, console)
            continue
        grid = Table.grid(padding=(0, GAP), expand=True)
        grid.add_column(ratio=1, overflow="fold")
        grid.add_column(justify="right", no_wrap=True)
        grid.add_column(width=BAR)
        grid.add_column(width=opens, no_wrap=True)
        for each in some:
            opening = Text(_opening(each, relative), each.style)
            grid.add_row(Text(each.name), Text(each.used, each.style), _bar(each), opening)
        console.print(Padding(grid, (0, 0, 0, GAP)))
    console.print()


def _opening(counter: _Counter, relative: int) -> str:
    """When there is room, the instants below each other."""
    return f"{counter.relative:<{relative}}  {counter.instant}" if counter.instant else counter.relative


def _show_policy(cap: CapUsage, console: Console) -> None:
    title = f"  {cap.title}" if cap.title else ""
    monitored = "  only monitored" if cap.mode == "monitor" else ""
    console.print(Text.assemble((cap.policy, "bold"), title, (monitored, "yellow")))
    console.print(indented(Text(_window(cap), "dim"), GAP, console))


def _show_stacked(counter: _Counter, console: Console) -> None:
    console.print(indented(Text(counter.name), GAP, console))
    line = Table.grid(padding=(0, GAP))
    line.add_row(Text(counter.used, counter.style), _bar(counter))
    console.print(Padding(line, (0, 0, 0, 2 * GAP)))
    for words in (counter.relative, counter.instant):
        if words:
            console.print(indented(Text(words, counter.style), 2 * GAP, console))


def _bar(counter: _Counter) -> ProgressBar | Text:
    used, limit, style = counter.cap.used, counter.cap.limit, counter.style
    if used is None:
        return Text()
    return ProgressBar(limit, min(used, limit), width=BAR, complete_style=style, finished_style=style)


# --- in words ---------------------------------------------------------------------------------------------------


def _counter(cap: CapUsage, now: datetime, zone: tzinfo) -> _Counter:
    used = "?" if cap.used is None else _amount(cap.used, cap.currency)
    of = f"{_amount(cap.limit, cap.currency)} {cap.currency or ''}".rstrip()
    return _Counter(cap, _name(cap), f"{used} of {of}", *_opens(cap, now, zone), style=_style(cap))


def _amount(number: int, currency: str | None) -> str:
    """So many sends, or minor units as money."""
    whole, point, decimals = (str(number) if currency is None else decimal_text(number, currency)).partition(".")
    return f"{int(whole):,}{point}{decimals}"


def _style(cap: CapUsage) -> str:
    if cap.used is None:
        return "yellow"
    if cap.used < cap.limit:
        return "green"
    return "red" if cap.mode == "enforce" else "yellow"


def _name(cap: CapUsage) -> str:
    """What the counter is for, beyond the recipient."""
    if cap.shared:
        return "all recipients"
    if "key" in cap.key:
        return f"a long key, {cap.key['key'][:DIGEST]}…"
    more = [f"{field} = {value}" for field, value in cap.key.items() if field != "recipient.id"]
    return ", ".join(more) or "the recipient"


def _window(cap: CapUsage) -> str:
    return cap.window if cap.count_on == "reserved" else f"{cap.window}, counted once {cap.count_on}"


def _opens(cap: CapUsage, now: datetime, zone: tzinfo) -> tuple[str, str]:
    """When there is room: from now on, and by the clock."""
    opens = cap.next_slot_at
    if cap.used is None:
        return "not known", ""
    if opens is None:
        return "none in sight", ""
    if opens <= now:
        return "now", ""
    return f"in {_lasting(opens - now)}", moment(_full_second(opens).astimezone(zone))


def _full_second(instant: datetime) -> datetime:
    """The first full second that is not before the instant, so that there is room at what is shown."""
    return instant + timedelta(microseconds=-instant.microsecond % 1_000_000)


def _lasting(span: timedelta) -> str:
    """A span in its two largest units; what is less than a second, or of a longer one than a minute, counts full."""
    seconds = -(-span // timedelta(seconds=1))
    if seconds < MINUTE:
        return f"{seconds} s"
    hours, minutes = divmod(-(-seconds // MINUTE), 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min")]
    first = next(place for place, (count, _) in enumerate(units) if count)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count)
