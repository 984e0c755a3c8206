"""Consent receipts: what a recipient agreed to, and what became of it, signed so that anybody can verify it offline.

    issued = receipts.issue("consent-1", now=now)
    verify_receipt(issued.jws, keys.public())        # the receipt, or SignatureError

What is signed is the receipt itself, as JSON: a verifier needs it, and the published key, and nothing of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from guardrails.consent.ledger import Session
from guardrails.consent.notices import Notice
from guardrails.consent.receipt_document import Grounds, receipt_document, shown_with
from guardrails.consent.values import ConsentEvent
from guardrails.core.controller import Controller
from guardrails.core.purposes import OS_PERMISSION, Purpose
from guardrails.decide.ports import Transactor
from guardrails.errors import NotFoundError
from guardrails.signing import PublicKeys, SigningKeys, sign, verify

__all__ = ["RECEIPT_TYPE", "Receipt", "Receipts", "verify_receipt"]

RECEIPT_TYPE = "consent-receipt+jws"
"""The `typ` of a receipt's JWS: nothing else that the service signs is taken for a receipt."""

EVENTS_MOST = 200
"""Events that a receipt tells of, the newest; none is cut off but by who changes their mind this often."""


class Receipt(msgspec.Struct, frozen=True):
    """A receipt as JSON-LD, and the same signed, as a compact JWS."""

    receipt: dict[str, Any]
    jws: str


class Receipts:
    """Issues receipts. `purposes` gives what the active policies declare, by id; `new_id` names each receipt."""

    def __init__(
        self,
        transactor: Transactor,
        *,
        keys: Callable[[], SigningKeys],
        purposes: Callable[[], Mapping[str, Purpose]],
        controller: Controller | None,
        new_id: Callable[[], str],
    ) -> None:
        self._transactor = transactor
        self._keys = keys
        self._purposes = purposes
        self._controller = controller
        self._new_id = new_id

    def issue(self, consent_id: str, *, now: datetime) -> Receipt:
        """The receipt for a record, as of `now`. Raises NotFoundError where there is none to issue."""
        found = self._transactor.call(_read, consent_id)
        if found is None:
            raise NotFoundError(f"there is no consent `{consent_id}`")
        if found.record.method == OS_PERMISSION:
            raise NotFoundError(f"`{consent_id}` is an operating system's permission to notify, which is no consent")
        grounds = Grounds(
            record=found.record,
            history=found.history,
            shown=found.shown,
            notice=found.notice,
            declared=self._purposes().get(found.record.purpose),
            controller=self._controller,
        )
        document = receipt_document(grounds, receipt_id=self._new_id(), now=now)
        return Receipt(document, sign(document, RECEIPT_TYPE, self._keys()))

    def jwks(self) -> dict[str, Any]:
        """The keys to verify receipts by, as a JWK set."""
        return self._keys().public().as_jwks()


def verify_receipt(token: str, keys: PublicKeys) -> dict[str, Any]:
    """The receipt that a compact JWS holds. Raises SignatureError that says why it is none of these keys'."""
    return verify(token, RECEIPT_TYPE, keys)


class _Found(NamedTuple):
    """What is recorded of one consent: see `Grounds`."""

    record: ConsentEvent
    history: tuple[ConsentEvent, ...]
    shown: ConsentEvent
    notice: Notice | None


def _read(session: Session, ids: list[str]) -> list[_Found | None]:
    records = session.consents.by_id(ids)
    return [_found(session, records[each]) if each in records else None for each in ids]


def _found(session: Session, record: ConsentEvent) -> _Found:
    history = tuple(
        event
        for event in session.consents.history(record.recipient, purpose=record.purpose)
        if event.method != OS_PERMISSION
    )
    shown = shown_with(record, history)
    notices = {} if shown.notice_hash is None else session.notices.by_hash([shown.notice_hash])
    newest = history[-EVENTS_MOST:]
    return _Found(
        record=record,
        history=newest if record in newest else (record, *newest),
        shown=shown,
        notice=notices.get(shown.notice_hash or ""),
    )
