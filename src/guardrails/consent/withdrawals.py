"""Withdrawals that recipients make by themselves: one click in a mail, a reply with a keyword, a browser's signal.

Each is recorded in the ledger like any other withdrawal, holds from the next decision on, and is safe to repeat.
Neither a reply nor a signal asks whether there is a consent to take back: a no before the question is a no, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from guardrails.consent import ledger
from guardrails.consent.fold import Standing
from guardrails.consent.keywords import keyword_in
from guardrails.consent.ledger import Recording, Session, recording_of
from guardrails.consent.outdone import Recent, outdone_by
from guardrails.consent.values import GPC, ConsentEvent, ConsentRequest
from guardrails.core.candidate import Channel, Id, Instant
from guardrails.core.purposes import Purpose
from guardrails.decide.ports import Transactor
from guardrails.errors import CandidateError

__all__ = ["KEYWORD", "ONE_CLICK", "Inbound", "InboundRequest", "Withdrawals"]

ONE_CLICK = "one_click"
"""The method of a withdrawal by the unsubscribe link of a mail (RFC 8058)."""

KEYWORD = "keyword"
"""The method of a withdrawal by replying with a keyword."""

INBOUND_LENGTH = 10_000


class InboundRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a recipient wrote back on a channel.

    `id` makes the request safe to repeat: it is what the message is called where it arrived. `at` is when they wrote
    (left out: now).
    """

    recipient: Id
    channel: Channel
    text: Annotated[str, Meta(max_length=INBOUND_LENGTH)]
    id: Id | None = None
    at: Instant | None = None


class Inbound(msgspec.Struct, frozen=True):
    """What became of a reply: the keyword that it consists of, if any, and the withdrawals that are recorded for it.

    `outdone_by` is what holds instead of them: they agreed anew after they wrote.
    """

    recognised: bool
    keyword: str | None = None
    withdrawn: tuple[ConsentEvent, ...] = ()
    outdone_by: tuple[Standing, ...] = ()


class Withdrawals:
    """Withdrawals by recipients. `purposes` gives what the active policies declare, `new_id` names records."""

    def __init__(
        self,
        transactor: Transactor,
        *,
        purposes: Callable[[], Mapping[str, Purpose]],
        new_id: Callable[[], str],
    ) -> None:
        self._transactor = transactor
        self._purposes = purposes
        self._new_id = new_id

    def by_click(
        self, recipient: str, purposes: Sequence[str], channel: str, *, decision_id: str, now: datetime
    ) -> tuple[ConsentEvent, ...]:
        """Withdraw the purposes on a channel, by the link in the message that the decision allowed.

        Returns the new records: none of a purpose of which the recipient's last word on the channel is a refusal, so
        that a link that is followed again and again adds nothing. After a newer grant it withdraws anew. Where nothing
        is recorded it is a no all the same, which stands before whatever older grant is imported later. Links of ours
        name what was declared when they were made, and withdraw that whatever is declared by now.
        """
        requests = [
            _withdrawal(
                id=self._new_id(),
                recipient=recipient,
                purpose=purpose,
                channels=(channel,),
                method=ONE_CLICK,
                evidence={"decision": decision_id},
            )
            for purpose in dict.fromkeys(purposes)
        ]
        return self._call(_withdraw_open, _Click(channel, _recordings(requests, {}, now)))

    def by_reply(self, request: InboundRequest, *, now: datetime) -> Inbound:
        """Withdraw every purpose, declared or recorded, on a channel if the reply is a keyword; else do nothing.

        The same request with the same id returns the first records. Raises CandidateError where its time makes no
        sense, ConflictError where its id was used for another reply of the recipient on the channel.
        """
        keyword = keyword_in(request.text)
        if keyword is None:
            return Inbound(recognised=False)
        reply = _Reply(request, keyword, self._purposes(), now, request.id or self._new_id())
        withdrawn = self._call(_withdraw_every, reply)
        instead: list[tuple[Standing, ...]] = self._transactor.call(outdone_by, Recent(withdrawn, now))
        told = tuple(standing for each in instead for standing in each)
        return Inbound(recognised=True, keyword=keyword, withdrawn=withdrawn, outdone_by=told)

    def by_signal(self, recipient: str, *, now: datetime) -> tuple[ConsentEvent, ...]:
        """Withdraw every purpose under which something is shared: their browser says `Sec-GPC: 1`.

        Returns the new records: once for each recipient and purpose, so that whoever agrees in spite of the signal has
        agreed.
        """
        declared = self._purposes()
        requests = [
            _withdrawal(
                id=_id_of(GPC, recipient, purpose.id),
                recipient=recipient,
                purpose=purpose.id,
                method=GPC,
                evidence={"header": "Sec-GPC: 1"},
            )
            for purpose in declared.values()
            if purpose.shared_with
        ]
        return self._call(_withdraw_new, _recordings(requests, declared, now)) if requests else ()

    def _call(self, handler: Callable[..., Any], item: object) -> tuple[ConsentEvent, ...]:
        withdrawn: tuple[ConsentEvent, ...] = self._transactor.call(handler, item)
        return withdrawn


class _Click(msgspec.Struct, frozen=True):
    """What one click withdraws, all of it on one channel."""

    channel: str
    recordings: list[Recording]


class _Reply(msgspec.Struct, frozen=True):
    """A reply that is a keyword. Its records are called after its id, the recipient and the channel."""

    request: InboundRequest
    keyword: str
    declared: Mapping[str, Purpose]
    now: datetime
    id: str

    def withdrawal(self, purpose: str) -> Recording:
        """What it says of a purpose."""
        request = self.request
        said = _withdrawal(
            id=_id_of(KEYWORD, request.recipient, request.channel, self.id, purpose),
            recipient=request.recipient,
            purpose=purpose,
            channels=(request.channel,),
            method=KEYWORD,
            at=request.at,
            evidence={"text": request.text} if request.id is None else {"text": request.text, "message": request.id},
        )
        return recording_of(said, self.declared, new_id="", now=self.now)


def _recordings(requests: Iterable[ConsentRequest], declared: Mapping[str, Purpose], now: datetime) -> list[Recording]:
    return [recording_of(request, declared, new_id="", now=now) for request in requests]  # each has its id


def _withdraw_open(session: Session, clicks: list[_Click]) -> list[tuple[ConsentEvent, ...] | CandidateError]:
    return [
        _record(session, [each for each in click.recordings if _is_open(session, click, each.event)])
        for click in clicks
    ]


def _withdraw_new(session: Session, groups: list[list[Recording]]) -> list[tuple[ConsentEvent, ...] | CandidateError]:
    results = []
    for group in groups:
        known = session.consents.by_id([each.event.id for each in group])
        results.append(_record(session, [each for each in group if each.event.id not in known]))
    return results


def _withdraw_every(session: Session, replies: list[_Reply]) -> list[tuple[ConsentEvent, ...] | CandidateError]:
    results = []
    for reply in replies:
        purposes = sorted({*reply.declared, *session.consents.purposes(reply.request.recipient)})
        withdrawals = [reply.withdrawal(purpose) for purpose in purposes]
        known = session.consents.by_id([each.event.id for each in withdrawals])
        # A purpose that came up since the reply was first taken is none that it was about.
        results.append(_record(session, [each for each in withdrawals if not known or each.event.id in known]))
    return results


def _record(session: Session, recordings: list[Recording]) -> tuple[ConsentEvent, ...] | CandidateError:
    """All of them, or why none."""
    recorded: list[ConsentEvent] = []
    (results,) = ledger.record_groups(session, [tuple(recordings)])
    for result in results:
        if isinstance(result, CandidateError):
            return result
        recorded.append(result)
    return tuple(recorded)


def _is_open(session: Session, click: _Click, withdrawal: ConsentEvent) -> bool:
    """Whether the recipient's last word on it, pending ones and permissions included, is none or no refusal."""
    history = session.consents.history(withdrawal.recipient, purpose=withdrawal.purpose)
    covering = [event for event in history if event.covers(click.channel)]
    return not covering or covering[-1].state not in ledger.REFUSALS


def _withdrawal(**said: Any) -> ConsentRequest:  # noqa: ANN401 - the fields of a request, which checks them
    return ConsentRequest(state="withdrawn", **said)


def _id_of(method: str, *parts: str) -> str:
    """The id of a record that is made once of these, whoever asks for it."""
    return f"{method}-{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]}"
