"""The whole route on real stores, with its clock, its spool and the ways to its stores in a test's hands."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from guardrails.audit import MemorySpool
from guardrails.bootstrap import Outside, Terms, build_application, compiler
from guardrails.consent import ConsentRequest
from guardrails.core.candidate import Candidate
from guardrails.core.policy import Verdict
from guardrails.decide.active_policies import ActivePolicies
from guardrails.decide.case import Compiled
from guardrails.decide.drain import Drained
from guardrails.decide.entry import Entry, decode_entry
from guardrails.decide.outcomes import OutcomeReport
from guardrails.decide.ports import StoredDecision, Transactor
from guardrails.decide.replay import Replay
from guardrails.decide.spool import Spool
from guardrails.policyfile.loader import load_policy_files
from guardrails.stores import open_stores
from outages import CutTransactor

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
LEASE = timedelta(minutes=10)
KEEP = timedelta(days=7)
DEADLINE = timedelta(seconds=60)
LAST = datetime.max.replace(tzinfo=UTC)

POLICIES = """
apiVersion: guardrails/v1
policies:
  - {id: opt-in, kind: consent_required, applies_to: {lane: monetized}, purpose: sponsored}
  - {id: toggle, kind: content_toggle, applies_to: {lane: monetized}, toggle: sponsored, default: "on"}
  - {id: two-a-day, kind: frequency_cap, applies_to: {lane: monetized}, limit: 2, per: [recipient],
     window: {rolling: 24h}}
  - {id: receipts, kind: rule, applies_to: {lane: transactional}, deny_when: {content.topic: blocked}}
"""
TEMPLATE = {
    "id": "c-1",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r-1", "timezone": "Europe/Berlin"},
    "content": {"class": "sponsored", "topic": "upgrade"},
}
TRANSACTIONAL = {"lane": "transactional", "content": {"class": "transactional", "topic": "receipt"}}


def candidate(candidate_id: str = "c-1", **rest: Any) -> Candidate:
    return msgspec.convert({**TEMPLATE, "id": candidate_id, **rest}, Candidate)


def codes(answer: Any) -> list[str]:
    """The codes of the reasons that were given."""
    return [reason.code for reason in answer.decision.reasons]


def effects(answers: Any) -> list[str]:
    return [answer.decision.effect for answer in answers]


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


class Route:
    """An application, and what callers, operators and the world do to it."""

    def __init__(
        self,
        transactor: Transactor | None = None,
        *,
        policies: str = POLICIES,
        compile_set: Callable[[Any], Compiled] | None = None,
        spool: Spool | None = None,
        name: str = "d",
        outside: Outside | None = None,
    ) -> None:
        """`name` begins the ids of this route's decisions."""
        self.clock = Clock()
        self.spool = MemorySpool() if spool is None else spool
        self.stores = CutTransactor(transactor or open_stores("memory:"))
        numbers = itertools.count(1)
        active = ActivePolicies(
            None,
            load_policy_files({"p.yaml": policies}),
            compile_set=compile_set or compiler("native"),
            clock=self.clock,
        )
        self.application = build_application(
            active,
            transactor=self.stores,
            spool=self.spool,
            clock=self.clock,
            terms=Terms(lease=LEASE, keep=KEEP, deadline=DEADLINE),
            make_id=lambda: f"{name}-{next(numbers)}",
            outside=outside,
        )

    def decide(self, *candidates: Candidate, **rest: Any) -> list[Any]:
        return self.application.decider.decide(candidates, **rest)

    def drain(self) -> int:
        """Drain the spool; returns how many entries there were."""
        return sum(step.entries for step in iter(self.application.drain.step, Drained(0, 0)))

    def grant(self, recipient: str = "r-1") -> None:
        request = ConsentRequest(recipient=recipient, purpose="sponsored", state="granted", method="form")
        self.application.consents.record(request, now=self.clock())

    def report(self, decision_id: str, outcome: Any, at: datetime | None = None) -> Any:
        """The state that the report leads to, or why it is refused."""
        (result,) = self.application.outcomes.report([OutcomeReport(decision_id, outcome, at or self.clock())])
        return result if isinstance(result, Exception) else result.state

    def entries(self) -> list[Entry]:
        return [decode_entry(data) for _, data in self.application.audit.entries()]

    def rows(self) -> dict[str, StoredDecision]:
        """The decisions as they are stored, by id."""
        stored = self.read(lambda session: session.decisions.due(LAST, 1000))
        return {row.decision_id: row for row in stored}

    def read(self, work: Callable[[Any], Any]) -> Any:
        """What `work` gives for a session of its own."""
        return self.stores.call(lambda session, items: [work(session) for _ in items], None)

    def replayed(self) -> tuple[list[Any], Replay]:
        """What comes out otherwise when the log is decided again, and who did it."""
        replay = Replay(files_of=self.application.audit.policy_files, compile_set=compiler("native"))
        return list(replay.check(self.application.audit.entries())), replay

    def close(self) -> None:
        self.application.close()


class FaultyEngine:
    """An engine that fails where the sponsor is `faulty`, as its `error` says."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def evaluate(self, selection: Any, facts: Any) -> list[Verdict]:
        if facts.get("sponsor.id") == "faulty":
            raise self._error
        return [Verdict.SATISFIED] * len(selection.places)


def faulty_route(error: Exception, *, policies: str = POLICIES) -> Route:
    """A route whose deciding engine is a `FaultyEngine`."""

    def compile_set(policy_set: Any) -> Compiled:
        return msgspec.structs.replace(compiler("native")(policy_set), engine=FaultyEngine(error))

    return Route(policies=policies, compile_set=compile_set)
