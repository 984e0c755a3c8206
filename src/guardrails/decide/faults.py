"""One candidate judged, whatever happens: an error in deciding it ends in a decision that is recorded with it.

`caught` is the one place that catches everything. What it caught denies in the monetized lane; the transactional lane
allows what the native engine, by itself, does not deny and, where that fails too, nothing but transactional content,
which is what the lane is for. Engines that disagree deny in both lanes. The same goes, in the words of section 6 of
the design, for a store that is out of reach: the monetized lane allows nothing that it should have been asked about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import msgspec

from guardrails.core.candidate import Candidate, effective_time
from guardrails.core.decision import Decision
from guardrails.core.needs import Take
from guardrails.decide.case import Case, open_case
from guardrails.decide.gather import Ledger
from guardrails.decide.judgement import decision_of, judge, takes_of
from guardrails.decide.reasons import FACTS_UNAVAILABLE, route_reason
from guardrails.decide.writes import Asked, Decided, Request
from guardrails.errors import DependencyError, EngineDisagreement, EngineFault

__all__ = ["ENGINE_DISAGREEMENT", "ENGINE_FAULT", "caught", "decided", "opened", "without_store"]

ENGINE_FAULT = "engine.fault"
ENGINE_DISAGREEMENT = "engine.disagreement"

Args = ParamSpec("Args")
Result = TypeVar("Result")


def caught(step: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs) -> Result | Exception:
    """What `step` gives, or what it raised."""
    try:
        return step(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - the one place: whatever went wrong ends in a recorded decision
        return error


def opened(candidate: Candidate, request: Request) -> Case | Exception:
    """The candidate's case, or why it can't be opened: a CandidateError where it is planned for the past."""
    return caught(_open, candidate, request)


def decided(asked: Asked, request: Request, case: Case | Exception, ledger: Ledger) -> Decided:
    """The decision on one candidate, with the slots that it takes noted in the ledger for those that follow."""
    done = caught(_judged, asked, request, case, ledger)
    if isinstance(done, Exception):
        done = _after_error(asked, request, case, done)
    if ledger.caps_fault is not None and (done.takes or done.decision.degraded):
        done = without_store(done, ledger.caps_fault)
    ledger.take(done.takes, done.at)
    return done


def without_store(done: Decided, fault: DependencyError) -> Decided:
    """The same where a store that it concerns is out of reach: degraded, and denied in the monetized lane."""
    decision = msgspec.structs.replace(done.decision, degraded=True)
    why = done.fault or _told(fault)
    if decision.lane != "monetized":
        return msgspec.structs.replace(done, decision=decision, fault=why)
    return msgspec.structs.replace(done, decision=_denied(decision, fault), takes=(), case=None, fault=why)


def _open(candidate: Candidate, request: Request) -> Case:
    return open_case(request.compiled, candidate, effective_time(candidate, request.now))


def _judged(asked: Asked, request: Request, case: Case | Exception, ledger: Ledger) -> Decided:
    if isinstance(case, Exception):
        raise case
    case.answers = ledger.answers_for(case)
    decision = judge(case, asked.decision_id)
    takes = takes_of(case) if decision.effect == "allow" else ()
    return Decided(asked, request, case.at, decision, case.answers, takes, case)


def _after_error(asked: Asked, request: Request, case: Case | Exception, error: Exception) -> Decided:
    """The lane's answer where a candidate could not be decided, and the slots that it takes."""
    disagreement = isinstance(error, EngineDisagreement)
    code = ENGINE_DISAGREEMENT if disagreement else ENGINE_FAULT
    reason = route_reason(code, "the engines disagree" if disagreement else "the engine could not decide")
    takes: tuple[Take, ...] = ()
    allowed = asked.candidate.lane == "transactional" and not disagreement
    if allowed:
        by_native = caught(_allowed_by_native, case)
        if isinstance(by_native, Exception):  # the first error is the one that is recorded
            allowed = asked.candidate.content.class_ == "transactional"
        else:
            allowed, takes = by_native
    at = effective_time(asked.candidate, request.now)
    decision = decision_of(
        asked.candidate,
        at,
        request.compiled,
        asked.decision_id,
        effect="allow" if allowed else "deny",
        reasons=() if allowed else (reason,),
        degraded=True,
    )
    return Decided(
        asked, request, at, decision, takes=takes, case=case if isinstance(case, Case) else None, fault=_told(error)
    )


def _allowed_by_native(case: Case | Exception) -> tuple[bool, tuple[Take, ...]]:
    if isinstance(case, Exception):
        raise EngineFault("there is no case that could be asked") from case
    if case.combined_at(case.at).effect == "deny":
        return False, ()
    return True, takes_of(case)


def _denied(decision: Decision, fault: DependencyError) -> Decision:
    if any(reason.code == FACTS_UNAVAILABLE for reason in decision.reasons):
        return decision
    reason = route_reason(FACTS_UNAVAILABLE, f"the {fault.dependency} did not answer")
    reasons = (*decision.reasons, reason)
    return msgspec.structs.replace(decision, effect="deny", reasons=reasons, obligations=(), consents=(), retry_at=None)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
