"""Case files: policies, what is on record, candidates in order -> the whole decision and the whole audit entry.

tests/cases/README.md says how a case is written. A case runs on the real parts: an engine, a store, the decider with
its own clock. What a case does not say of a wanted decision or entry is wanted too: it is empty, or follows from the
candidate and the clock (`Wanted`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from guardrails.audit import MemorySpool
from guardrails.bootstrap import Application, Terms, build_application, compiler
from guardrails.consent import ConsentRequest, NoticeRequest
from guardrails.core.candidate import Candidate
from guardrails.core.needs import Take
from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.case import Compiled
from guardrails.decide.outcomes import Outcome, OutcomeReport
from guardrails.decide.replay import Replay
from guardrails.decide.writes import Answer
from guardrails.policyfile.document import Document
from guardrails.policyfile.document import Path as Place
from guardrails.policyfile.loader import load_policy_files
from guardrails.policyfile.yaml_reader import read_yaml
from guardrails.policytest.merge import merged
from guardrails.policytest.runner import decode_candidate, raise_if_error
from guardrails.policytest.times import parse_instant
from guardrails.preferences import PreferenceRequest
from guardrails.stores import open_stores
from outages import CutTransactor

LEASE = timedelta(minutes=10)
DEADLINE = timedelta(minutes=1)  # generous: a case is about what is decided, not how quickly
MASKED = ("decision_id", "candidate_id", "policy_revision", "audit")
"""What is checked for every decision alike, and never written in a case."""

DECISION = {
    "effect": "allow",
    "reasons": [],
    "obligations": [],
    "consents": [],
    "monitored": [],
    "retry_at": None,
    "blocked_by": None,
    "lease_until": None,
    "degraded": False,
}
NO_TOGGLES = ("paused_until", "limits", "timezone")
ON_OFF = {"on": True, "off": False}
REASON = {"facts": {}, "holds_from": None, "retry": None}
ENTRY = {"answers": {}, "takes": [], "trace_id": None, "fault": None}


class _Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a case file: a misspelt key must not go unread."""


class Consent(_Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consent record, made at `at`; of the candidate's recipient where none is named. The notice is kept for it."""

    purpose: str
    state: Literal["granted", "withdrawn", "denied", "pending"]
    at: str
    method: str = "form"
    channels: tuple[str, ...] | None = None
    notice_id: str | None = None
    notice_version: str | None = None
    jurisdiction: str | None = None
    expires_at: str | None = None
    recipient: str | None = None


class Sent(_Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A candidate that was decided and allowed at `at`, before the case begins, and what was reported of it then."""

    at: str
    candidate: dict[str, Any] = {}
    outcome: Outcome | None = "sent"


class Given(_Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is on record when the case begins."""

    consents: tuple[Consent, ...] = ()
    preferences: dict[str, Any] = {}
    sent: tuple[Sent, ...] = ()


class Wanted(_Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must come of one candidate: a decision with its entry, an error, or the very answer of an earlier one."""

    decision: dict[str, Any] = {}
    entry: dict[str, Any] = {}
    error: str | None = None
    repeats: str | None = None


class Step(_Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One moment. What is set takes place in the order of the fields; `candidates` are decided together."""

    at: str | None = None
    stores: Literal["down", "up"] | None = None
    caps: Literal["down", "up"] | None = None
    consent: Consent | None = None
    preferences: dict[str, Any] = {}
    candidate: dict[str, Any] | None = None
    candidates: tuple[dict[str, Any], ...] = ()
    want: Wanted | tuple[Wanted, ...] = ()
    outcome: Outcome | None = None


class Case(_Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A timeline of steps; one that says `want` itself is a timeline of one step."""

    name: str
    at: str | None = None
    given: Given = Given()
    stores: Literal["down"] | None = None
    caps: Literal["down"] | None = None
    candidate: dict[str, Any] = {}
    candidates: tuple[dict[str, Any], ...] = ()
    want: Wanted | tuple[Wanted, ...] | None = None
    steps: tuple[Step, ...] = ()


class CaseFile(_Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file: a policy set and cases about it. `at` and `candidate` are what each case begins with."""

    about: str
    project: dict[str, Any] = {}
    purposes: list[dict[str, Any]] = []
    policies: list[dict[str, Any]]
    at: str
    candidate: dict[str, Any]
    cases: tuple[Case, ...]


class Difference(msgspec.Struct, frozen=True):
    """One value that came out otherwise than the case wants it, and the line that wants it."""

    line: int
    what: str
    wanted: object
    got: object


def read_case_file(path: Path) -> tuple[Document, CaseFile]:
    """The file with its marks, and what it says. Raises PolicyProblems or msgspec.ValidationError."""
    document = read_yaml(path.name, path.read_bytes())
    assert document.problems == ()
    return document, msgspec.convert(document.value, CaseFile)


@cache
def compiled_policies(path: Path, engine: Literal["native", "durable", "paired"]) -> Compiled:
    """The policy set of a file, compiled once for all its cases."""
    _, file = read_case_file(path)
    said = {"apiVersion": "guardrails/v1", "purposes": file.purposes, "policies": file.policies} | (
        {"project": file.project} if file.project else {}
    )
    return compiler(engine)(load_policy_files({"case.yaml": json.dumps(said)}))  # JSON is YAML


class CaseRun:
    """One case on one engine and one store."""

    def __init__(self, path: Path, number: int, *, engine: Literal["native", "durable", "paired"], url: str) -> None:
        self._document, self._file = read_case_file(path)
        self._place: Place = ("cases", number)
        self._case = self._file.cases[number]
        self._compiled = compiled_policies(path, engine)
        self._now = parse_instant(self._case.at or self._file.at)
        self._candidate = merged(self._file.candidate, self._case.candidate)
        self._spool = MemorySpool()
        self._stores = CutTransactor(open_stores(url))
        self._answers: list[Answer] = []
        self._bodies: dict[str, bytes] = {}
        self._application = self._build()

    def _build(self) -> Application:
        numbers = itertools.count(1)
        active = ActivePolicies(
            None, self._compiled.policy_set, compile_set=lambda _: self._compiled, clock=lambda: self._now
        )
        return build_application(
            active,
            transactor=self._stores,
            spool=self._spool,
            clock=lambda: self._now,
            terms=Terms(lease=LEASE, deadline=DEADLINE),
            make_id=lambda: f"id-{next(numbers)}",
        )

    def differences(self) -> list[Difference]:
        """Everything that came out otherwise than the case wants it."""
        try:
            self._put_on_record()
            found = [difference for step, place in self._steps() for difference in self._take(step, place)]
            return found + ([] if self._stores.is_down else list(self._replayed()))
        finally:
            self._application.close()

    def _steps(self) -> Iterator[tuple[Step, Place]]:
        case = self._case
        assert (case.want is None) != (not case.steps), "a case says `want` or `steps`"
        if case.want is not None:
            candidate = None if case.candidates else {}
            yield (
                Step(
                    stores=case.stores,
                    caps=case.caps,
                    candidate=candidate,
                    candidates=case.candidates,
                    want=case.want,
                ),
                self._place,
            )
        for number, step in enumerate(case.steps):
            yield step, (*self._place, "steps", number)

    def _put_on_record(self) -> None:
        given = self._case.given
        for consent in given.consents:
            self._record_consent(consent)
        self._set_preferences(given.preferences)
        for number, sent in enumerate(given.sent, start=1):
            at = parse_instant(sent.at)
            candidate = self._decode(sent.candidate, default_id=f"sent-{number}")
            (result,) = self._application.decider.decide([candidate], now=at)
            decision = raise_if_error(result).decision
            assert decision.effect == "allow", f"given.sent[{number - 1}] is denied: {decision.reasons}"
            if sent.outcome is not None:
                self._report(decision.decision_id, sent.outcome, at)

    def _record_consent(self, consent: Consent) -> None:
        at = parse_instant(consent.at)
        request = ConsentRequest(
            recipient=consent.recipient or self._candidate["recipient"]["id"],
            purpose=consent.purpose,
            state=consent.state,
            method=consent.method,
            at=at,
            channels=consent.channels,
            notice_id=consent.notice_id,
            notice_version=consent.notice_version,
            evidence={"case": self._case.name},
            jurisdiction=consent.jurisdiction,
            expires_at=None if consent.expires_at is None else parse_instant(consent.expires_at),
        )
        if consent.notice_id is not None and consent.notice_version is not None:
            notice = NoticeRequest(
                id=consent.notice_id,
                version=consent.notice_version,
                language="en",
                purposes=(consent.purpose,),
                text="May we?",
            )
            self._application.notices.add(notice, now=at)
        self._application.consents.record(request, now=at)

    def _set_preferences(self, said: Mapping[str, Any]) -> None:
        if said:
            toggles = {name: ON_OFF[value] for name, value in said.items() if name not in NO_TOGGLES}
            chosen = {name: value for name, value in said.items() if name in NO_TOGGLES}
            request = msgspec.convert({"toggles": toggles, **chosen}, PreferenceRequest)
            self._application.preferences.set(self._candidate["recipient"]["id"], request, now=self._now)

    def _report(self, decision_id: str, outcome: Any, at: datetime) -> None:
        (result,) = self._application.outcomes.report([OutcomeReport(decision_id, outcome, at)])
        raise_if_error(result)

    def _decode(self, overrides: Mapping[str, Any], *, default_id: str) -> Candidate:
        return decode_candidate(merged(self._candidate, overrides), default_id=default_id)

    def _take(self, step: Step, place: Place) -> Iterator[Difference]:
        self._now = self._now if step.at is None else parse_instant(step.at)
        self._stores.is_down = step.stores == "down" or (self._stores.is_down and step.stores is None)
        if step.stores == "up":
            yield from self._drain((*place, "stores"))
        if step.caps is not None:
            self._stores.lost = {"caps.read", "caps.reserve", "caps.settle"} if step.caps == "down" else set()
        if step.consent is not None:
            self._record_consent(step.consent)
        self._set_preferences(step.preferences)
        asked = step.candidates if step.candidate is None else (step.candidate,)
        if asked:
            yield from self._decide(asked, step.want, (*place, "want"))
        if step.outcome is not None:
            self._report(self._answers[-1].decision.decision_id, step.outcome, self._now)

    def _decide(
        self, asked: tuple[dict[str, Any], ...], want: Wanted | tuple[Wanted, ...], place: Place
    ) -> Iterator[Difference]:
        wants = [(want, place)] if isinstance(want, Wanted) else [(each, (*place, n)) for n, each in enumerate(want)]
        first = len(self._bodies) + 1
        candidates = [self._decode(each, default_id=f"c-{first + number}") for number, each in enumerate(asked)]
        results = self._application.decider.decide(candidates)
        entries = iter(self._newest_entries(results))
        for candidate, result, (wanted, at) in zip(candidates, results, wants, strict=True):
            if isinstance(result, Answer) and not result.repeated:
                self._answers.append(result)
                self._bodies[candidate.id] = result.body
                yield from self._compare(candidate, result, next(entries), wanted, at)
            else:
                yield from self._compare_other(result, wanted, at)

    def _drain(self, place: Place) -> Iterator[Difference]:
        """Take the spool into the log, which is to hold it then as it was, and nothing more."""
        wanted = [msgspec.json.decode(data) for data in self._spool.read()]
        size = self._application.audit.size()
        while self._application.drain.step().entries:
            pass
        got = [msgspec.json.decode(data) for _, data in self._application.audit.entries(size)]
        yield from self._differing(wanted, got, place, "drained")

    def _newest_entries(self, results: list[Any]) -> list[tuple[int | None, dict[str, Any]]]:
        """The entries of this step's decisions, in order, with their places in the log, or None in the spool."""
        new = sum(isinstance(result, Answer) and not result.repeated for result in results)
        if self._stores.is_down:
            entries = [(None, msgspec.json.decode(data)) for data in self._spool.read()]
        else:
            entries = [(index, msgspec.json.decode(data)) for index, data in self._application.audit.entries()]
        return entries[len(entries) - new :]

    def _compare_other(self, result: Any, wanted: Wanted, place: Place) -> Iterator[Difference]:
        if isinstance(result, Answer):
            body = None if wanted.repeats is None else self._bodies[wanted.repeats]
            yield from self._differing(body, result.body, (*place, "repeats"), "answer")
        else:
            got = f"{type(result).__name__}: {result}"
            yield from self._differing(wanted.error, got, (*place, "error"), "error")

    def _compare(
        self,
        candidate: Candidate,
        answer: Answer,
        recorded: tuple[int | None, dict[str, Any]],
        wanted: Wanted,
        place: Place,
    ) -> Iterator[Difference]:
        index, entry = recorded
        decision = msgspec.json.decode(answer.body)
        at = candidate.send_at or self._now
        allowed = wanted.decision.get("effect", "allow") == "allow"
        lease = at + LEASE if allowed else None
        yield from self._differing(None, wanted.error or wanted.repeats, place, "a decision instead of")
        yield from self._differing(
            _whole_decision(wanted.decision, candidate, evaluated_at=at, lease_until=lease),
            {name: value for name, value in decision.items() if name not in MASKED},
            (*place, "decision"),
            "decision",
        )
        audit = {"spooled": True} if index is None else {"index": index}
        always = {
            "candidate_id": candidate.id,
            "policy_revision": self._compiled.policy_set.revision,
            "audit": audit,
        }
        got = {name: decision[name] for name in always}
        yield from self._differing(always, got, (*place, "decision"), "decision")
        yield from self._differing(
            self._whole_entry(wanted.entry, candidate, now=self._now, at=at, lease_until=lease)
            | {"type": "decision", "decision": decision, "candidate": _as_json(candidate)},
            entry,
            (*place, "entry"),
            "entry",
        )

    def _whole_entry(self, said: Mapping[str, Any], candidate: Candidate, **moments: datetime | None) -> dict[str, Any]:
        """The audit entry that a case wants, with all that it leaves unsaid."""
        whole = ENTRY | _as_json(moments) | said
        whole["takes"] = [self._whole_take(take, candidate) for take in whole["takes"]]
        return whole

    def _whole_take(self, said: Mapping[str, Any], candidate: Candidate) -> dict[str, Any]:
        """The take that a case wants, with what follows from the cap: whose it is, how long it matters."""
        caps = {cap.id: cap for policy in self._compiled.policy_set.policies for cap in policy.caps}
        cap = caps.get(said["cap"])
        if cap is None:
            return dict(said)
        owner, keep_seconds = candidate.recipient.id if cap.is_owned else None, cap.window.keep_seconds
        return _as_json(Take(**said, owner=owner, keep_seconds=keep_seconds, is_tallied=cap.is_tallied))

    def _differing(self, wanted: object, got: object, place: Place, what: str) -> Iterator[Difference]:
        """Every value in which two trees differ, at the line nearest to it."""
        if isinstance(wanted, dict) and isinstance(got, dict):
            for key in dict.fromkeys((*wanted, *got)):
                pair = (wanted.get(key, "(nothing)"), got.get(key, "(nothing)"))
                yield from self._differing(*pair, (*place, key), f"{what}.{key}")
        elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
            for number, pair in enumerate(zip(wanted, got, strict=True)):
                yield from self._differing(*pair, (*place, number), f"{what}[{number}]")
        elif wanted != got or type(wanted) is not type(got):
            yield Difference(self._document.place(place, of_key=True)[0], what, wanted, got)

    def _replayed(self) -> Iterator[Difference]:
        """What comes out otherwise when every entry of the log is computed again."""
        replay = Replay(files_of=lambda _: self._compiled.policy_set.files, compile_set=compiler("native"))
        line = self._document.place(self._place)[0]
        for each in replay.check(self._application.audit.entries()):
            yield Difference(line, f"replay of entry {each.index}: {each.what}", each.recorded, each.computed)


def _whole_decision(said: Mapping[str, Any], candidate: Candidate, **moments: datetime | None) -> dict[str, Any]:
    """The decision that a case wants, with all that it leaves unsaid."""
    whole = DECISION | {"lane": candidate.lane} | _as_json(moments) | said
    for name in ("reasons", "monitored"):
        whole[name] = [REASON | reason for reason in whole[name]]
    whole["obligations"] = [{"values": {}} | obligation for obligation in whole["obligations"]]
    return whole


def _as_json(value: object) -> Any:
    """The value as it reads once it went out."""
    return msgspec.json.decode(msgspec.json.encode(value))
