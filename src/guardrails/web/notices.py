"""The room of notices: keep the texts that recipients are shown, and read them back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from guardrails.consent.notice_service import NoticeService
from guardrails.consent.notices import Notice, NoticeRequest
from guardrails.errors import NotFoundError
from guardrails.web.body import Body
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.route import Route, path_id

__all__ = ["NoticeRoom", "NoticeSummaries", "NoticeSummary", "NoticeVersions"]

NOTICE_BYTES = 512 * 1024

_encoder = msgspec.json.Encoder()


class NoticeVersions(msgspec.Struct, frozen=True):
    """All versions of one notice, in all languages, oldest first."""

    id: str
    notices: tuple[Notice, ...]


class NoticeSummary(msgspec.Struct, frozen=True):
    """A notice without its texts."""

    id: str
    version: str
    language: str
    purposes: tuple[str, ...]
    hash: str
    recorded_at: datetime


class NoticeSummaries(msgspec.Struct, frozen=True):
    """All notices: by id, each oldest first."""

    notices: tuple[NoticeSummary, ...]


class NoticeRoom:
    """The handlers."""

    def __init__(self, notices: NoticeService, clock: Callable[[], datetime]) -> None:
        self._notices = notices
        self._clock = clock
        self._body = Body(NoticeRequest, limit=NOTICE_BYTES)

    def add(self, exchange: Exchange) -> Reply:
        """`POST /v1/notices`."""
        notice = self._notices.add(self._body.read(exchange), now=exchange.now(self._clock))
        exchange.log["notice_hash"] = notice.hash
        return Reply(201, _encoder.encode(notice))

    def every(self, exchange: Exchange) -> Reply:
        """`GET /v1/notices`."""
        del exchange
        return Reply(200, _encoder.encode(NoticeSummaries(tuple(map(_summary, self._notices.every())))))

    def versions(self, exchange: Exchange, notice_id: str) -> Reply:
        """`GET /v1/notices/{notice_id}`."""
        del exchange
        id_ = path_id(notice_id)
        found = self._notices.versions(id_)
        if not found:
            raise NotFoundError(f"no notice `{id_}` is kept")
        return Reply(200, _encoder.encode(NoticeVersions(id_, found)))

    def routes(self) -> tuple[Route, ...]:
        """What this room answers."""
        return (
            Route(
                method="POST",
                path="/v1/notices",
                handler=self.add,
                name="add_notice",
                tag="notices",
                summary="Keep a notice: a text that recipients are shown when they are asked",
                description="With it is kept what the active policies declare of its purposes: title, benefit, and "
                "what is shared with whom. `hash` is of all that. The same notice again is answered with the first "
                "one; the same id, version and language with another content is a conflict.",
                # Who may say what consent is asked for is who may change policies, not who may record consents.
                scope="policy:admin",
                takes=NoticeRequest,
                gives=Notice,
                status=201,
                problems=("invalid", "conflict", "unavailable"),
                example=EXAMPLE,
            ),
            Route(
                method="GET",
                path="/v1/notices",
                handler=self.every,
                name="list_notices",
                tag="notices",
                summary="All notices, without their texts",
                scope="consent:read",
                gives=NoticeSummaries,
                problems=("unavailable",),
            ),
            Route(
                method="GET",
                path="/v1/notices/{notice_id}",
                handler=self.versions,
                name="read_notice",
                tag="notices",
                summary="All versions of a notice, in all languages",
                scope="consent:read",
                gives=NoticeVersions,
                problems=("unavailable",),
            ),
        )


def _summary(notice: Notice) -> NoticeSummary:
    purposes = tuple(purpose.id for purpose in notice.purposes)
    return NoticeSummary(notice.id, notice.version, notice.language, purposes, notice.hash, notice.recorded_at)


EXAMPLE: dict[str, Any] = {
    "id": "partner-offers",
    "version": "2026-03",
    "language": "en",
    "purposes": ["sponsored_content"],
    "text": "You will see offers that partners pay us for. You can say no at any time, and nothing else changes.",
}
