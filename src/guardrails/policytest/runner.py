"""Runs cases on the real parts: the engines, the decider, and in-memory stores that are fresh for each case.

    runner = Runner(default=Path("policies"))
    result = runner.run(file, case)

Each policy set is loaded and compiled once. Consents and earlier sends are put on record as a case says them
(`on_record`); what is decided then takes the route that the service takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec

from guardrails.bootstrap import Application, compiler, in_memory_application
from guardrails.core.candidate import Candidate
from guardrails.core.decision import Decision
from guardrails.core.needs import Take
from guardrails.core.policy import Verdict
from guardrails.decide.case import Case, Compiled, open_case
from guardrails.decide.explain import Explanation
from guardrails.decide.gather import complete
from guardrails.decide.judgement import takes_of
from guardrails.decide.outcomes import OutcomeReport
from guardrails.decide.ports import Session
from guardrails.decoding import Decoder
from guardrails.errors import CandidateError, GuardrailsError
from guardrails.offers.values import OfferRequest
from guardrails.policyfile.loader import load_policies
from guardrails.policytest.cases import (
    GivenConsent,
    GivenPreferences,
    GivenSend,
    Overrides,
    PolicyTestCase,
    PolicyTestFile,
    Step,
    Terms,
)
from guardrails.policytest.compare import Mismatch, mismatches
from guardrails.policytest.coverage import PolicyCoverage, coverage
from guardrails.policytest.on_record import PastSend, record_consent, record_sends
from guardrails.policytest.trace_view import Branch, policy_branches
from guardrails.preferences.values import PreferenceRequest
from guardrails.settings import EngineName

__all__ = ["CaseResult", "Failure", "Runner"]

Result = TypeVar("Result")

_CANDIDATE = Decoder(Candidate)
_OFFER = Decoder(OfferRequest)

LEASE = timedelta(minutes=10)
"""How long a given reservation is still open; as long as those that a case's own decisions make."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a case does not hold.

    `line` is where to look; `step` is the number of the step in a timeline, from 1, or None. Either `mismatches` say
    what was decided otherwise, with the `trace` of the policies concerned, or `error` says why nothing was decided.
    """

    path: Path
    line: int
    case: str
    step: int | None = None
    mismatches: tuple[Mismatch, ...] = ()
    trace: tuple[Branch, ...] = ()
    error: str | None = None


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one case: it holds where `failure` is None."""

    case: PolicyTestCase
    decisions: int
    failure: Failure | None = None


class Runner:
    """Runs cases, and remembers which verdicts they have shown.

    `override` is the policy set for every file; `default` the one for files that name none.
    """

    def __init__(self, *, default: Path, override: Path | None = None, engine: EngineName = "paired") -> None:
        self._default = default
        self._override = override
        self._compile = compiler(engine)
        self._subjects: dict[Path, _Subject] = {}

    def run(self, file: PolicyTestFile, case: PolicyTestCase) -> CaseResult:
        """Run one case of `file`. Raises PolicyError where the policies under test don't load."""
        path = self._override or file.policies or self._default
        if path not in self._subjects:
            self._subjects[path] = _Subject(self._compile(load_policies(path)))
        return _CaseRun(self._subjects[path], case).result()

    def coverage(self) -> Mapping[Path, tuple[PolicyCoverage, ...]]:
        """The coverage of each policy set that was under test so far, by its path."""
        return {path: coverage(each.compiled.policy_set, each.seen) for path, each in self._subjects.items()}


class _Subject:
    """A compiled policy set under test, and the verdicts that it gave, decision by decision."""

    def __init__(self, compiled: Compiled) -> None:
        self.compiled = compiled
        self.seen: list[Mapping[str, Verdict]] = []

    def note(self, explanation: Explanation) -> None:
        """Remember the verdicts of one decision; a policy that is not in force does not apply."""
        at = explanation.decision.evaluated_at
        in_force = {policy.id for policy in self.compiled.policy_set.policies if policy.is_valid_at(at)}
        self.seen.append({each.policy: each.verdict for each in explanation.traces if each.policy in in_force})


class _CaseRun:
    """One case while it runs, on stores of its own."""

    def __init__(self, subject: _Subject, case: PolicyTestCase) -> None:
        self._subject = subject
        self._case = case
        compiled = subject.compiled
        self._application: Application = in_memory_application(
            compiled.policy_set, compiled=compiled, clock=lambda: case.at
        )
        self._consents = 0
        self._decisions: list[Decision] = []

    def result(self) -> CaseResult:
        """Run the case to its end, or to its first failure."""
        failure = self._failure()
        return CaseResult(case=self._case, decisions=len(self._decisions), failure=failure)

    def _failure(self) -> Failure | None:
        try:
            self._begin()
        except GuardrailsError as error:
            return self._failed(self._case.line, None, error=str(error))
        for number, step in enumerate(self._case.steps, start=1):
            try:
                explanation, unmet = self._take(step)
            except GuardrailsError as error:
                return self._failed(step.line, number, error=str(error))
            if explanation is not None and unmet:
                return self._failed(unmet[0].line, number, mismatches=unmet, trace=self._trace(explanation, step))
        return None

    def _failed(
        self,
        line: int,
        step: int | None,
        *,
        mismatches: tuple[Mismatch, ...] = (),
        trace: tuple[Branch, ...] = (),
        error: str | None = None,
    ) -> Failure:
        case = self._case
        return Failure(
            path=case.path,
            line=line,
            case=case.name,
            step=step if len(case.steps) > 1 else None,
            mismatches=mismatches,
            trace=trace,
            error=error,
        )

    def _trace(self, explanation: Explanation, step: Step) -> tuple[Branch, ...]:
        """The policies that gave a reason or should have; all that apply where none did."""
        wanted = step.expect.wanted if step.expect is not None else {}
        concerned = {reason.policy for reason in explanation.decision.reasons}
        concerned |= {*wanted.get("policies", ()), wanted.get("blocked_by")}
        traces = tuple(each for each in explanation.traces if each.policy in concerned) or explanation.traces
        return policy_branches(msgspec.structs.replace(explanation, traces=traces), self._subject.compiled.policy_set)

    def _begin(self) -> None:
        """Put on record what the case starts from."""
        case = self._case
        for consent in case.consents:
            self._record_consent(consent, now=case.at)
        self._choose(case.preferences, now=case.at)
        for values in case.offers:
            terms = decode_terms(values)
            # What is over at the case's instant was registered while it was not.
            before = case.at if terms.ends_at is None else terms.ends_at - timedelta(seconds=1)
            self._application.offers.register(terms, now=min(case.at, before))
        sends = [PastSend(given, self._takes(given)) for given in case.sent]
        record_sends(self._application.transactor, sends, lease_until=case.at + LEASE)

    def _takes(self, given: GivenSend) -> tuple[Take, ...]:
        candidate = decode_candidate(given.candidate, default_id=f"sent-{given.line}")
        case = open_case(self._subject.compiled, candidate, given.at)
        self._application.transactor.call(_completed, case)
        return takes_of(case)

    def _record_consent(self, given: GivenConsent, *, now: datetime) -> None:
        self._consents += 1
        record_id = f"consent-{self._consents}"
        recipient = given.recipient or self._recipient()
        record_consent(self._application.transactor, given, recipient=recipient, record_id=record_id, now=now)

    def _choose(self, given: GivenPreferences | None, *, now: datetime) -> None:
        if given is None:
            return
        request = PreferenceRequest(
            toggles=dict(given.toggles),
            paused_until=given.paused_until,
            limits=dict(given.limits),
            timezone=given.timezone,
        )
        self._application.preferences.set(self._recipient(), request, now=now)

    def _recipient(self) -> str:
        recipient = self._case.candidate.get("recipient") or {}
        if "id" not in recipient:
            raise CandidateError("the case's candidate has no `recipient.id`, so nothing can be on record for it")
        return str(recipient["id"])

    def _take(self, step: Step) -> tuple[Explanation | None, tuple[Mismatch, ...]]:
        """One step: what is recorded, then what is decided, then what the sender reports."""
        if step.consent is not None:
            self._record_consent(step.consent, now=step.at)
        self._choose(step.preferences, now=step.at)
        explanation: Explanation | None = None
        unmet: tuple[Mismatch, ...] = ()
        if step.candidate is not None:
            explanation = self._decide(step.candidate, now=step.at)
            if step.expect is not None:
                unmet = mismatches(step.expect, explanation.decision)
        if step.outcome is not None and not unmet:  # an outcome of what was not expected says nothing
            report = OutcomeReport(self._decisions[-1].decision_id, step.outcome, step.at)
            raise_if_error(self._application.outcomes.report([report], now=step.at)[0])
        return explanation, unmet

    def _decide(self, overrides: Overrides, *, now: datetime) -> Explanation:
        """Decide for real; the explanation, of a moment before, says how the decision came about."""
        candidate = decode_candidate(overrides, default_id=f"case-{self._case.line}-{len(self._decisions) + 1}")
        explanation = self._application.explainer.explain(candidate, now=now)
        answer = raise_if_error(self._application.decider.decide([candidate], now=now)[0])
        self._subject.note(explanation)
        self._decisions.append(answer.decision)
        return msgspec.structs.replace(explanation, decision=answer.decision)


def decode_candidate(values: Overrides, *, default_id: str) -> Candidate:
    """The candidate that a test describes. Raises CandidateError where it is none."""
    try:
        return _CANDIDATE.convert({"id": default_id, **values})
    except CandidateError as error:
        said = "; ".join(f"`{pointer}`: {message}" if pointer else message for pointer, message in error.problems)
        raise CandidateError(f"the candidate is not one: {said}", problems=error.problems) from None


def _completed(session: Session, cases: list[Case]) -> list[None]:
    """Complete cases with what was registered of their offers, as `gather` does."""
    complete(session, cases)
    return [None] * len(cases)


def decode_terms(values: Terms) -> OfferRequest:
    """The offer that a test describes. Raises CandidateError where it is none."""
    try:
        return _OFFER.convert(values)
    except CandidateError as error:
        said = "; ".join(f"`{pointer}`: {message}" if pointer else message for pointer, message in error.problems)
        raise CandidateError(f"the offer is not one: {said}", problems=error.problems) from None


def raise_if_error(result: Result | CandidateError) -> Result:
    """The result, unless it is an error."""
    if isinstance(result, CandidateError):
        raise result
    return result
