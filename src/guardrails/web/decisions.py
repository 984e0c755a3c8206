"""The room of decisions: one, a batch, a dry run with its trace, and one read back."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Candidate
from guardrails.core.decision import Decision
from guardrails.decide.decider import Decider
from guardrails.decide.explain import Explainer, Explanation
from guardrails.decide.records import DecisionRecord, Records
from guardrails.decide.writes import Answer
from guardrails.decoding import in_place
from guardrails.errors import GuardrailsError
from guardrails.web.body import Batch, Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.logs import Recurring
from guardrails.web.metrics import Metrics
from guardrails.web.problems import problem_for
from guardrails.web.route import ResultsOf, Route, path_id

__all__ = ["BATCH_BYTES", "BATCH_MOST", "CANDIDATE_BYTES", "Decisions"]

CANDIDATE_BYTES = 256 * 1024
BATCH_BYTES = 8 * 1024 * 1024
BATCH_MOST = 1000

REPLAYED = "Idempotent-Replayed"

_REPLAYED = ((REPLAYED, "true"),)
_encoder = msgspec.json.Encoder()


class Candidates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Candidates to decide in this order, each seeing what those before it took."""

    candidates: Annotated[tuple[Candidate, ...], Meta(min_length=1, max_length=BATCH_MOST)]


class Decisions:
    """The handlers."""

    def __init__(self, decider: Decider, explainer: Explainer, records: Records, metrics: Metrics) -> None:
        self._decider = decider
        self._explainer = explainer
        self._records = records
        self._metrics = metrics
        self._degraded = Recurring("decision.degraded")
        self._candidate = Body(Candidate, limit=CANDIDATE_BYTES)
        self._batch = Batch(Candidates, Candidate, limit=BATCH_BYTES)

    def decide(self, exchange: Exchange) -> Reply:
        """`POST /v1/decisions`."""
        candidate = self._candidate.read(exchange)
        (answer,) = self._decider.decide((candidate,), now=exchange.replay_at, trace_id=exchange.trace_id)
        if not isinstance(answer, Answer):
            raise answer
        self._tell(answer, exchange)
        decision = answer.decision
        exchange.log["decision_id"] = decision.decision_id
        exchange.log["effect"] = decision.effect
        return Reply(200, answer.body, headers=_REPLAYED if answer.repeated else ())

    def decide_batch(self, exchange: Exchange) -> Reply:
        """`POST /v1/decisions/batch`."""
        decide = partial(self._decider.decide, now=exchange.replay_at, trace_id=exchange.trace_id)
        answers = in_place(self._batch.read(exchange), decide)
        exchange.log["candidates"] = len(answers)
        exchange.log["allowed"] = sum(
            isinstance(answer, Answer) and answer.decision.effect == "allow" for answer in answers
        )
        return Reply(200, b'{"results":[' + b",".join([self._result(answer, exchange) for answer in answers]) + b"]}")

    def _result(self, answer: Answer | GuardrailsError, exchange: Exchange) -> bytes:
        if isinstance(answer, Answer):
            self._tell(answer, exchange)
            return answer.body
        return _encoder.encode(problem_for(answer, request_id=exchange.request_id))

    def _tell(self, answer: Answer, exchange: Exchange) -> None:
        """Count a new decision, and say in the log why one was not made as it should be."""
        if answer.repeated:
            return
        if answer.fault is not None:
            self._degraded.tell(
                answer.fault.partition(":")[0],
                decision_id=answer.decision.decision_id,
                effect=answer.decision.effect,
                fault=answer.fault,
                request_id=exchange.request_id,
                trace_id=exchange.trace_id,
            )
        decision = answer.decision
        codes = [reason.code for reason in decision.reasons]
        self._metrics.decision(decision.effect, decision.lane, codes, degraded=decision.degraded)

    def explain(self, exchange: Exchange) -> Reply:
        """`POST /v1/explain`."""
        candidate = self._candidate.read(exchange)
        return Reply(200, _encoder.encode(self._explainer.explain(candidate, now=exchange.replay_at)))

    def read(self, exchange: Exchange, decision_id: str) -> Reply:
        """`GET /v1/decisions/{decision_id}`."""
        exchange.log["decision_id"] = path_id(decision_id)
        return Reply(200, _encoder.encode(self._records.read(decision_id)))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/decisions",
                handler=self.decide,
                name="decide",
                tag="decisions",
                summary="Decide one candidate",
                description="An allow reserves the capacity it takes until its outcome is reported or the lease ends. "
                "The same candidate again is answered with the same bytes and takes nothing twice: that is the first "
                "answer, whatever has been withdrawn or has changed since, and good until its `lease_until` only. The "
                "same id with another body is a conflict. A deny is a 200.",
                scope="decide",
                takes=Candidate,
                gives=Decision,
                headers={REPLAYED: "`true` where the candidate was decided before, and this is what was answered then"},
                problems=("invalid", "conflict", "unavailable"),
                example=EXAMPLE,
            ),
            Route(
                method="POST",
                path="/v1/decisions/batch",
                handler=self.decide_batch,
                name="decide_batch",
                tag="decisions",
                summary=f"Decide up to {BATCH_MOST} candidates, in order",
                description="Each candidate sees what those before it took, and has its own result in the same place: "
                "a decision, or the problem that this candidate alone has.",
                scope="decide",
                takes=Candidates,
                gives=ResultsOf(Decision),
                problems=("invalid", "unavailable"),
                example={"candidates": [EXAMPLE]},
            ),
            Route(
                method="GET",
                path="/v1/decisions/{decision_id}",
                handler=self.read,
                name="read_decision",
                tag="decisions",
                summary="One decision with its trace",
                description="What was answered, what became of it, and for each policy how its conditions came out, "
                "computed again from the audit entry.",
                scope="audit:read",
                gives=DecisionRecord,
                problems=("unavailable",),
            ),
            Route(
                method="POST",
                path="/v1/explain",
                handler=self.explain,
                name="explain",
                tag="decisions",
                summary="What would be decided, and why",
                description="A dry run: nothing is reserved and nothing recorded.",
                scope="decide",
                takes=Candidate,
                gives=Explanation,
                problems=("invalid", "unavailable"),
                example=EXAMPLE,
            ),
        )


EXAMPLE: dict[str, Any] = {
    "id": "c-1001",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r-42", "timezone": "Europe/Berlin", "country": "DE", "age": 34, "locale": "de-DE"},
    "content": {
        "class": "sponsored",
        "topic": "upgrade",
        "tags": ["promotional"],
        "disclosure": "Sponsored by Acme Air",
        "steps": 2,
    },
    "campaign": {"id": "cmp-7"},
    "sponsor": {"id": "acme-air"},
    "offer": {"id": "o-1", "amount_minor": 1500, "currency": "EUR", "expires_at": "2026-12-01T12:00:00Z"},
    "context": {"kind": "booking", "id": "b-9", "at": "2026-12-01T18:00:00Z"},
    "disclosure": {
        "on_behalf_of": "Acme Air",
        "paid_by": "Acme Air",
        "item_label": "Ad",
        "placement": "before_first_tap",
    },
}
