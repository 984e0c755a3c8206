"""Policy test files -> cases, or every problem with its line and column.

A file is read by the one YAML reader and held against `policy_test_schema`; what a schema can't say (times that
contradict each other, a clock that goes back, two cases of one name) is checked here.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import UNSET

from guardrails.core.candidate import YEARS
from guardrails.core.timing import parse_duration
from guardrails.core.zones import zone_named, zone_names
from guardrails.policyfile.document import Document, Reporter
from guardrails.policyfile.document import Path as Place
from guardrails.policyfile.problems import PolicyProblems, Problem, did_you_mean, quote
from guardrails.policyfile.schema_problems import validate_by
from guardrails.policyfile.yaml_reader import LARGEST_FILE, read_yaml
from guardrails.policytest.cases import (
    METHOD,
    Expectation,
    GivenConsent,
    GivenPreferences,
    GivenSend,
    Overrides,
    PolicyTestCase,
    PolicyTestFile,
    Step,
)
from guardrails.policytest.merge import merged
from guardrails.policytest.schema import policy_test_schema
from guardrails.policytest.times import parse_instant

__all__ = ["CODES", "FILE_PATTERN", "find_test_files", "load_test_file"]

FILE_PATTERN = "*_test.yaml"

CODES: Mapping[str, str] = {
    "bad-expiry": "Only what is granted, or waits to be, expires, and later than it was given.",
    "bad-time": "A time is RFC 3339 with its offset, or local time and an IANA zone, and happens exactly once.",
    "clock-goes-back": "A step, or what is given, lies on the wrong side of the case's clock.",
    "duplicate-case": "Another case of the file has this name already.",
    "missing-at": "Neither the case nor the defaults say at what time it takes place.",
    "no-decision": "An outcome is reported before anything was decided.",
    "one-time": "A time is said once: `at`, or its distance from the clock.",
}
"""What can be wrong with a test file beside what can be wrong with any YAML file, by code."""

NO_TOGGLES = ("paused_until", "limits", "timezone")
"""The names among preferences that are no toggle's."""

EXPIRING = ("granted", "pending")
"""The states that an `expires_at` can end."""

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for a time that could not be read; a file with such a problem is never run."""


def find_test_files(path: Path) -> tuple[Path, ...]:
    """The test files at `path`: itself where it is a file, else every `*_test.yaml` below it, in order."""
    return (path,) if path.is_file() else tuple(sorted(path.rglob(FILE_PATTERN)))


def load_test_file(path: Path) -> PolicyTestFile:
    """Read the cases of one file. Raises PolicyProblems with all that is wrong with it."""
    document = read_yaml(str(path), _content(path))
    reporter = Reporter(document)
    validate_by(policy_test_schema(), document.value, reporter)
    if reporter.problems:  # what contradicts the schema can't be read any further
        raise PolicyProblems(reporter.problems)
    file = _Reading(path, document, reporter).file()
    if reporter.problems:
        raise PolicyProblems(reporter.problems)
    return file


def _content(path: Path) -> bytes:
    """What the file holds, as far as one byte more than the reader takes."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        message = f"the file can't be read: {error.strerror}"
        raise PolicyProblems([Problem(str(path), 1, 1, "unreadable-file", message)]) from None


class _Reading:
    """One file while it is read."""

    def __init__(self, path: Path, document: Document, reporter: Reporter) -> None:
        self._path = path
        self._document = document
        self._reporter = reporter
        self.problem = reporter.problem

    def file(self) -> PolicyTestFile:
        """The whole file; not to be used where a problem was reported on the way."""
        policies = self.at(("policies",))
        return PolicyTestFile(
            path=self._path,
            policies=None if policies is None else Path(os.path.normpath(self._path.parent / policies)),
            cases=self._cases(),
        )

    def _cases(self) -> tuple[PolicyTestCase, ...]:
        lines: dict[str, int] = {}
        cases = []
        for number in range(len(self.at(("cases",)))):
            case = _CaseReading(self, ("cases", number)).case(self._path)
            line = lines.setdefault(case.name, case.line)
            if line != case.line:
                place = ("cases", number, "name")
                self.problem("duplicate-case", f"the case `{case.name}` is named already on line {line}", place)
            cases.append(case)
        return tuple(cases)

    def at(self, place: Place) -> Any:  # noqa: ANN401 - whatever the schema allows there
        """What the file says at `place`, or None where it says nothing."""
        value: Any = self._document.value
        for step in place:
            value = value[step] if isinstance(step, int) else value.get(step)
            if value is None:
                return None
        return value

    def line(self, place: Place) -> int:
        """The line of what stands at `place`, or of its key."""
        return self._document.place(place, of_key=True)[0]

    def instant(self, place: Place) -> datetime:
        """The time written at `place`."""
        try:
            return parse_instant(self.at(place))
        except ValueError as error:
            self.problem("bad-time", str(error), place)
            return NEVER

    def moment(self, place: Place, distance: str, *, clock: datetime, sign: int) -> datetime | None:
        """The time that the mapping at `place` says: its `at`, or its `distance` from the clock; None where neither."""
        at, far = (*place, "at"), (*place, distance)
        if self.at(at) is not None and self.at(far) is not None:
            self.problem("one-time", f"both `at` and `{distance}` are given", far, "leave one out")
        if self.at(at) is not None:
            return self.instant(at)
        if self.at(far) is not None:
            return self._shifted(far, clock=clock, sign=sign)
        return None

    def _shifted(self, place: Place, *, clock: datetime, sign: int) -> datetime:
        try:
            shifted = clock + sign * timedelta(seconds=parse_duration(self.at(place)))
        except ValueError as error:
            self.problem("bad-time", str(error), place)
            return NEVER
        if shifted.year not in YEARS:
            message = f"`{self.at(place)}` leads out of the years {YEARS.start} to {YEARS.stop - 1}"
            self.problem("bad-time", message, place)
            return NEVER
        return shifted


class _CaseReading:
    """One case while it is read: its own lines, over those of the defaults."""

    def __init__(self, reading: _Reading, place: Place) -> None:
        self._reading = reading
        self._place = place
        self._candidate: Overrides = self._merged("candidate")
        self._inherited = {name: value for name, value in self._candidate.items() if name != "id"}
        self._clock = self._start()

    def case(self, path: Path) -> PolicyTestCase:
        """The whole case."""
        return PolicyTestCase(
            path=path,
            line=self._reading.line(self._place),
            name=self._own("name"),
            at=self._clock,
            candidate=self._candidate,
            consents=tuple(self._consent(place, self._clock) for place in self._given("consents")),
            preferences=self._given_preferences(),
            sent=tuple(self._sent(place) for place in self._given("sent")),
            offers=tuple(self._reading.at(place) for place in self._given("offers")),
            steps=self._steps(),
        )

    def _own(self, name: str) -> Any:  # noqa: ANN401 - as above
        return self._reading.at((*self._place, name))

    def _merged(self, name: str) -> dict[str, Any]:
        return merged(self._reading.at(("defaults", name)) or {}, self._own(name) or {})

    def _start(self) -> datetime:
        for place in ((*self._place, "at"), ("defaults", "at")):
            if self._reading.at(place) is not None:
                return self._reading.instant(place)
        hint = "add `at` here or to the defaults"
        self._reading.problem("missing-at", "the case does not say when it takes place", self._place, hint)
        return NEVER

    def _given(self, name: str) -> list[Place]:
        """Where the members of this list stand: a case's list replaces that of the defaults."""
        own: Place = (*self._place, "given", name)
        place: Place = ("defaults", "given", name) if self._reading.at(own) is None else own
        return [(*place, number) for number in range(len(self._reading.at(place) or ()))]

    def _given_preferences(self) -> GivenPreferences | None:
        """What is chosen when the case begins: the case's own choices over those of the defaults."""
        return self._preferences(
            self._merged("given").get("preferences"),
            (*self._place, "given", "preferences"),
            ("defaults", "given", "preferences"),
        )

    def _preferences(self, says: Mapping[str, Any] | None, *places: Place) -> GivenPreferences | None:
        """The choices that the mappings at `places` say together, the first of them before the others."""
        if not says:
            return None
        paused_until, timezone = (says.get(name, UNSET) for name in ("paused_until", "timezone"))
        if isinstance(paused_until, str):
            paused_until = self._reading.instant(self._first(places, "paused_until"))
        if isinstance(timezone, str) and zone_named(timezone) is None:
            hint = did_you_mean(timezone, sorted(zone_names()))
            place = self._first(places, "timezone")
            self._reading.problem("unknown-zone", f"unknown time zone {quote(timezone)}", place, hint)
        return GivenPreferences(
            toggles={name: value == "on" for name, value in says.items() if name not in NO_TOGGLES},
            paused_until=paused_until,
            limits=says.get("limits", {}),
            timezone=timezone,
        )

    def _first(self, places: Sequence[Place], name: str) -> Place:
        """Where `name` stands in the first of the mappings that say it."""
        return next((*place, name) for place in places if self._reading.at((*place, name)) is not None)

    def _consent(self, place: Place, clock: datetime) -> GivenConsent:
        says = self._reading.at(place)
        at = self._past(place, clock)
        return GivenConsent(
            purpose=says["purpose"],
            state=says["state"],
            at=at,
            method=says.get("method", METHOD),
            channels=tuple(says["channels"]) if "channels" in says else None,
            notice_id=says.get("notice_id"),
            notice_version=says.get("notice_version"),
            jurisdiction=says.get("jurisdiction"),
            expires_at=self._expiry(place, at) if "expires_at" in says else None,
            recipient=says.get("recipient"),
        )

    def _expiry(self, place: Place, given_at: datetime) -> datetime:
        """The `expires_at` of the consent at `place`."""
        state, here = self._reading.at((*place, "state")), (*place, "expires_at")
        expires_at = self._reading.instant(here)
        if state not in EXPIRING:
            self._reading.problem("bad-expiry", f"only a grant expires, and this is `{state}`", here)
        elif NEVER not in (expires_at, given_at) and expires_at <= given_at:
            message = f"`{expires_at.isoformat()}` is not after the grant itself, `{given_at.isoformat()}`"
            self._reading.problem("bad-expiry", message, here)
        return expires_at

    def _sent(self, place: Place) -> GivenSend:
        says = self._reading.at(place)
        return GivenSend(
            line=self._reading.line(place),
            at=self._past(place, self._clock),
            outcome=says.get("outcome", "sent"),
            candidate=merged(self._inherited, says.get("candidate", {})),
        )

    def _past(self, place: Place, clock: datetime) -> datetime:
        """The time that the mapping at `place` says, which may not lie ahead of the clock; without one, the clock's."""
        at = self._reading.moment(place, "ago", clock=clock, sign=-1) or clock
        if _is_later(at, clock):
            message = f"`{at.isoformat()}` lies ahead of the clock, `{clock.isoformat()}`"
            self._reading.problem("clock-goes-back", message, (*place, "at"))
        return at

    def _steps(self) -> tuple[Step, ...]:
        if self._own("steps") is not None:
            return self._timeline()
        line = self._reading.line(self._place)
        return (Step(line=line, at=self._clock, candidate=self._candidate, expect=self._expectation(self._place)),)

    def _timeline(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        clock, decided = self._clock, False
        for number in range(len(self._own("steps"))):
            place = (*self._place, "steps", number)
            at = self._reading.moment(place, "after", clock=clock, sign=1) or clock
            if _is_later(clock, at):
                message = f"`{at.isoformat()}` lies before the clock, `{clock.isoformat()}`"
                self._reading.problem("clock-goes-back", message, (*place, "at"))
            step = self._step(place, at)
            decided = decided or step.candidate is not None
            if step.outcome is not None and not decided:
                message = f"nothing was decided that could be `{step.outcome}`"
                self._reading.problem("no-decision", message, (*place, "outcome"))
            steps.append(step)
            clock = at
        return tuple(steps)

    def _step(self, place: Place, at: datetime) -> Step:
        says = self._reading.at(place)
        decides = "candidate" in says or "expect" in says
        return Step(
            line=self._reading.line(place),
            at=at,
            consent=self._consent((*place, "consent"), at) if "consent" in says else None,
            preferences=self._preferences(says.get("preferences"), (*place, "preferences")),
            candidate=merged(self._inherited, says.get("candidate", {})) if decides else None,
            expect=self._expectation(place),
            outcome=says.get("outcome"),
        )

    def _expectation(self, place: Place) -> Expectation | None:
        place = (*place, "expect")
        wanted = self._reading.at(place)
        if wanted is None:
            return None
        if wanted.get("retry_at") is not None:
            wanted = {**wanted, "retry_at": self._reading.instant((*place, "retry_at"))}
        lines = {name: self._reading.line((*place, name)) for name in wanted}
        return Expectation(line=self._reading.line(place), wanted=wanted, lines=lines)


def _is_later(one: datetime, other: datetime) -> bool:
    """Whether `one` is known to lie after `other`."""
    return NEVER not in (one, other) and one > other
