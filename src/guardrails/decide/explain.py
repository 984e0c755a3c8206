"""Explain: the decision that would be made, with the trace of every policy; nothing is reserved, nothing recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from guardrails.core.candidate import Candidate, effective_time
from guardrails.core.decision import Decision
from guardrails.core.policy import Verdict
from guardrails.core.reference import PolicyTrace, policy_trace
from guardrails.decide.case import Case, Compiled, open_case
from guardrails.decide.gather import gather
from guardrails.decide.judgement import judge
from guardrails.decide.ports import Session, Transactor

__all__ = ["Explainer", "Explanation", "traces_of"]


class Explanation(msgspec.Struct, frozen=True):
    """A decision and, policy by policy, how its conditions came out. `not_applicable` are ids without a trace."""

    decision: Decision
    traces: tuple[PolicyTrace, ...]
    not_applicable: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explainer:
    """Decides without a trace in any store."""

    snapshot: Callable[[], Compiled]
    transactor: Transactor
    clock: Callable[[], datetime]

    def explain(self, candidate: Candidate, *, now: datetime | None = None) -> Explanation:
        """What would be decided, and why.

        Raises CandidateError where `send_at` is past, DependencyError where a store is out of reach, EngineFault
        where the engines fail or disagree.
        """
        now = now or self.clock()
        case = open_case(self.snapshot(), candidate, effective_time(candidate, now))

        def read_only(session: Session, cases: list[Case]) -> list[None]:
            ledger = gather(session, cases, now)
            for each in cases:
                each.answers = ledger.answers_for(each)
            return [None] * len(cases)

        self.transactor.call(read_only, case)
        decision = judge(case, "dry-run")
        return Explanation(decision, *traces_of(case))


def traces_of(case: Case) -> tuple[tuple[PolicyTrace, ...], tuple[str, ...]]:
    """The traces of the policies that apply or may apply, in policy order, and the ids of all others."""
    facts, verdicts = case.verdicts_at(case.at)
    shown = [
        policy
        for policy, verdict in zip(case.selected.policies, verdicts, strict=True)
        if verdict is not Verdict.NOT_APPLICABLE
    ]
    shown.sort(key=lambda policy: policy.ordinal)
    applying = {policy.id for policy in shown}
    others = tuple(policy.id for policy in case.compiled.policy_set.policies if policy.id not in applying)
    return tuple(policy_trace(policy, facts) for policy in shown), others
