"""A decision as people read it: the effect first, then why, then when to try again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.text import Text

from guardrails.cli.candidates import Broken
from guardrails.cli.terminal import indented
from guardrails.core.decision import Decision, ReasonGiven

__all__ = ["moment", "outlook", "relied_on", "show_broken", "show_decision", "verdict_line"]

_EFFECTS = {"allow": ("ALLOW", "bold green"), "deny": ("DENY ", "bold red")}


def show_decision(decision: Decision, console: Console) -> None:
    """Print one decision."""
    console.print(verdict_line(decision))
    for indent, line in _body(decision):
        console.print(indented(line, indent, console))


def show_broken(broken: Broken, console: Console) -> None:
    """Print what stands where a candidate could not be decided: all that is wrong with it, a line each."""
    console.print(Text.assemble(("ERROR", "bold magenta"), "  ", (f"candidate {broken.number}", "bold")))
    for pointer, message in broken.problems if len(broken.problems) > 1 else (("", broken.error),):
        console.print(indented(Text(f"`{pointer}`: {message}" if pointer else message), 7, console))


def verdict_line(decision: Decision) -> Text:
    """Effect, candidate and lane."""
    degraded = ("  degraded: a store did not answer", "yellow") if decision.degraded else ""
    return Text.assemble(
        _EFFECTS[decision.effect], "  ", (decision.candidate_id, "bold"), (f"  {decision.lane}", "dim"), degraded
    )


def _body(decision: Decision) -> Iterator[tuple[int, Text]]:
    for reason in decision.reasons:
        yield from _reason(reason, "red")
    for obligation in decision.obligations:
        demanded = "" if obligation.policy is None else f"  for {obligation.policy}"
        yield 7, Text.assemble((obligation.type, "cyan"), (demanded, "dim"))
        yield from ((9, line) for line in _pairs(obligation.values))
    if decision.consents:
        yield 7, relied_on(decision.consents)
    for reason in decision.monitored:
        yield from _reason(reason, "yellow", note="  only monitored")
    if decision.effect == "deny":
        yield 7, outlook(decision)


def _reason(reason: ReasonGiven, style: str, note: str = "") -> Iterator[tuple[int, Text]]:
    by = f"  by {reason.policy}" if reason.policy is not None else ""
    yield 7, Text.assemble((reason.code, style), (by, ""), (note, "dim"))
    yield 9, Text(reason.message)
    yield from ((9, line) for line in _pairs(reason.facts))
    if reason.holds_from is not None:
        yield 9, Text(f"holds from {moment(reason.holds_from)}", "dim")
    if reason.retry is not None:
        yield 9, Text(f"try every {reason.retry.every_seconds} s, at most {reason.retry.attempts} times", "dim")


def _pairs(values: Mapping[str, Any]) -> Iterator[Text]:
    for name, value in values.items():
        shown = "missing" if value is None else msgspec.json.encode(value).decode()
        yield Text.assemble((f"{name}: ", "dim"), shown)


def relied_on(consents: tuple[str, ...]) -> Text:
    """The consent records that an allow relied on."""
    return Text.assemble("relied on consent ", Text(", ").join(Text(each, "bold") for each in consents))


def outlook(decision: Decision) -> Text:
    """Of a denied candidate: when to try again, or whom waiting won't move."""
    if decision.retry_at is not None:
        return Text.assemble(("try again at ", ""), (moment(decision.retry_at), "bold"))
    if decision.blocked_by is not None:
        return Text.assemble("waiting won't help: blocked by ", (decision.blocked_by, "bold"))
    return Text("waiting won't help")


def moment(instant: datetime) -> str:
    """`2026-12-02 08:00:00+01:00`: to the second, with its offset."""
    return instant.isoformat(sep=" ", timespec="seconds")
