"""Allows that carry attribution, and revenue reported on them, for tests of attribution and settlement."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from itertools import count
from typing import Any

import msgspec

from guardrails.attribution.booking import Booked
from guardrails.attribution.service import RevenueService
from guardrails.attribution.values import RevenueRequest, ReversalRequest
from guardrails.core.candidate import Candidate
from guardrails.core.claims import AttributionClaims
from guardrails.core.decision import Decision
from guardrails.core.policy_set import Attribution
from guardrails.decide.entry import DecisionEntry, encode_entry
from guardrails.decide.ports import StoredDecision, Transactor
from guardrails.errors import CandidateError
from stores import instant, run, stored_decision

FORMS = {None: {}, "credits": {"benefit_form": "credits"}, "discount": {"benefit_form": "discount"}}


def claims_of(number: int, at: datetime, **changes: Any) -> AttributionClaims:
    fields = {
        "decision_id": f"d-{number}",
        "audit_index": number,
        "lane": "monetized",
        "evaluated_at_ms": int(at.timestamp() * 1000),
        "policy_revision": "rev-a",
        "recipient": "pseudonym-of-22-letters",
        "sponsor": "acme",
    }
    return AttributionClaims(**(fields | changes))


def token_of(claims: AttributionClaims) -> str:
    """As a token looks; nobody signed it."""
    return "e30." + urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=") + ".c2ln"


def obligation_of(claims: AttributionClaims, form: str | None = "credits") -> dict[str, Any]:
    values = {"token": token_of(claims), **FORMS[form]}
    return {"type": "carry_attribution", "policy": "", "values": values}


def allow(number: int, *, at: datetime | None = None, form: str | None = "credits", **changes: Any) -> StoredDecision:
    """An allow of the monetized lane for `r-1`, sponsored by `acme`, that was sent; claims by their names."""
    at = at or instant(10, number)
    known = set(AttributionClaims.__struct_fields__) - {"recipient"}
    claims = claims_of(number, at, **{name: value for name, value in changes.items() if name in known})
    answer = msgspec.json.encode({"effect": "allow", "obligations": [obligation_of(claims, form)]})
    fields = {"recipient": "r-1", "state": "sent", "sent_at": at, "answer": answer, "evaluated_at": at}
    return stored_decision(number, **fields | {name: value for name, value in changes.items() if name not in known})


class Tokens:
    """Reads tokens that nobody signed."""

    def read_attribution(self, token: str) -> AttributionClaims:
        if not token.startswith("e30."):
            raise CandidateError("it is no JWS of ours")
        payload = token.split(".")[1]
        return msgspec.json.decode(urlsafe_b64decode(payload + "=="), type=AttributionClaims)


class Earnings:
    """A service over stores, and what is looked at in them."""

    def __init__(self, transactor: Transactor, **terms: Any) -> None:
        self.transactor = transactor
        self.terms = Attribution(**terms)
        numbers = count(1)
        self.service = RevenueService(
            transactor, tokens=Tokens, terms=lambda: self.terms, new_id=lambda: f"made-{next(numbers)}"
        )

    def entered(self, claims: AttributionClaims, recipient: str = "r-1") -> None:
        """Enter an allow in the log, where the claims say that it stands: at its end."""
        at = datetime.fromtimestamp(claims.evaluated_at_ms / 1000, UTC)
        decision = {
            "decision_id": claims.decision_id,
            "candidate_id": "c-1",
            "effect": "allow",
            "lane": claims.lane,
            "policy_revision": claims.policy_revision,
            "evaluated_at": at,
            "obligations": [obligation_of(claims)],
        }
        candidate = {
            "id": "c-1",
            "lane": claims.lane,
            "channel": "push",
            "recipient": {"id": recipient},
            "content": {"class": "sponsored"},
        }
        entry = DecisionEntry(
            decision=msgspec.convert(decision, Decision), candidate=msgspec.convert(candidate, Candidate), now=at, at=at
        )
        run(self.transactor, lambda session: session.audit.append([encode_entry(entry)]))

    def allowed(self, *decisions: StoredDecision) -> None:
        run(self.transactor, lambda session: session.decisions.insert(decisions))

    def report(self, id_: str = "rev-1", amount_minor: int = 1000, currency: str = "EUR", **said: Any) -> Any:
        """The record, or the error."""
        now = said.pop("now", instant(12))
        if not {"attribution", "decision_id", "recipient"} & said.keys():
            said |= {"recipient": "r-1", "sponsor": "acme"}
        (result,) = self.record([{"id": id_, "amount_minor": amount_minor, "currency": currency, **said}], now=now)
        return result.revenue if isinstance(result, Booked) else result

    def record(self, said: list[dict[str, Any]], *, now: datetime | None = None) -> list[Booked | CandidateError]:
        requests = [msgspec.convert(each, RevenueRequest) for each in said]
        return self.service.record(requests, now=now or instant(12))

    def take_back(self, id_: str = "rev-1", *, now: datetime | None = None, **said: Any) -> Any:
        return self.service.reverse(id_, ReversalRequest(**said), now=now or instant(13)).revenue

    def balances(self) -> dict[str, int]:
        """Of all accounts that have one, by kind, owner and unit, a space between them."""
        accounts = run(self.transactor, lambda session: session.ledger.accounts("", 1000, since=0))
        return {" ".join(msgspec.json.decode(each.account)): each.balance for each in accounts if each.balance}

    def log(self) -> list[dict[str, Any]]:
        entries = run(self.transactor, lambda session: list(session.audit.read(0, session.audit.next_index())))
        return [{"index": index, **msgspec.json.decode(entry)} for index, entry in entries]
