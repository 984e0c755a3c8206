"""Links that a recipient carries back to us: unsubscribe, the preference page, and the confirmation of a consent.

    links = Links("https://example.org", secret)
    url = links.preferences("r-42", now, "de")       # https://example.org/preferences/<token>
    links.read_preferences(token, now).recipient     # "r-42", or LinkError

A token is a JSON array in base64url and its HMAC-SHA256, under a key that each kind of link derives for itself, so that
none passes for another. It names opaque ids only, never an address, and can be read by whoever holds it. It is no
single-use ticket: what a link does has to be safe to repeat, and the confirmation of a consent is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, TypeVar

import msgspec
from itsdangerous import Signer
from itsdangerous.encoding import base64_decode, base64_encode

from guardrails.errors import CandidateError

__all__ = [
    "CONFIRMATION_LIFETIME",
    "PAGE_LIFETIME",
    "ConfirmationLink",
    "LinkError",
    "Links",
    "PageLink",
    "UnsubscribeLink",
]

PAGE_LIFETIME = timedelta(days=30)
CONFIRMATION_LIFETIME = timedelta(days=7)

TOKEN_MOST = 65_536
"""Characters of a token that is looked at. The longest that is ever made has fewer."""

_Kind = Literal["unsubscribe", "preferences", "confirm"]
_Link = TypeVar("_Link", bound=msgspec.Struct)
_encoder = msgspec.json.Encoder()


class LinkError(CandidateError):
    """A link's token is not one of ours (`forged`), or too old (`expired`)."""

    def __init__(self, reason: Literal["forged", "expired"]) -> None:
        super().__init__({"forged": "the link is not one of ours", "expired": "the link has expired"}[reason])
        self.reason: Literal["forged", "expired"] = reason


class UnsubscribeLink(msgspec.Struct, frozen=True, array_like=True):
    """Withdraws these purposes on this channel; `decision_id` is the allow whose message carried it.

    It has no end: who was sent a message may withdraw by it for ever.
    """

    recipient: str
    purposes: tuple[str, ...]
    channel: str
    decision_id: str


class PageLink(msgspec.Struct, frozen=True, array_like=True):
    """Opens a recipient's own page. `language` is what to greet them in; `issued_at` counts whole seconds."""

    recipient: str
    issued_at: int
    language: str | None = None


class ConfirmationLink(msgspec.Struct, frozen=True, array_like=True):
    """Confirms the pending consent of this id."""

    consent_id: str
    issued_at: int


class Links:
    """Makes links below `base_url`, and reads the tokens that come back.

    It signs with `secret`, and accepts what was signed with any that `accepted` names when the token is read: so the
    processes of a service may learn of a new secret one after the other. A lifetime is held against the age of a token
    when it is read; shortening one ends older links at once.
    """

    def __init__(
        self,
        base_url: str,
        secret: bytes,
        *,
        accepted: Callable[[], Sequence[bytes]] | None = None,
        page_lifetime: timedelta = PAGE_LIFETIME,
        confirmation_lifetime: timedelta = CONFIRMATION_LIFETIME,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._accepted = accepted or (lambda: (secret,))
        self._signers: dict[_Kind, Signer] = {
            "unsubscribe": _signer("unsubscribe", secret),
            "preferences": _signer("preferences", secret),
            "confirm": _signer("confirm", secret),
        }
        self._page_lifetime = page_lifetime
        self._confirmation_lifetime = confirmation_lifetime

    def unsubscribe(self, recipient: str, purposes: Sequence[str], channel: str, decision_id: str) -> str:
        """The URL that withdraws `purposes` on `channel`, by GET for a person and by POST for a mailbox (RFC 8058)."""
        return self._url("unsubscribe", (recipient, purposes, channel, decision_id))

    def preferences(self, recipient: str, now: datetime, language: str | None = None) -> str:
        """The URL of the recipient's own page."""
        return self._url("preferences", (recipient, int(now.timestamp()), language))

    def confirmation(self, consent_id: str, now: datetime) -> str:
        """The URL that confirms a pending consent."""
        return self._url("confirm", (consent_id, int(now.timestamp())))

    def read_unsubscribe(self, token: str) -> UnsubscribeLink:
        """What a token of `unsubscribe` says. Raises LinkError."""
        return self._read("unsubscribe", token, UnsubscribeLink)

    def read_preferences(self, token: str, now: datetime) -> PageLink:
        """What a token of `preferences` says. Raises LinkError."""
        link = self._read("preferences", token, PageLink)
        _check_age(link.issued_at, now, self._page_lifetime)
        return link

    def read_confirmation(self, token: str, now: datetime) -> ConfirmationLink:
        """What a token of `confirmation` says. Raises LinkError."""
        link = self._read("confirm", token, ConfirmationLink)
        _check_age(link.issued_at, now, self._confirmation_lifetime)
        return link

    def _url(self, kind: _Kind, content: tuple[object, ...]) -> str:
        token = self._signers[kind].sign(base64_encode(_encoder.encode(content)))
        return f"{self._base_url}/{kind}/{token.decode()}"

    def _read(self, kind: _Kind, token: str, type_: type[_Link]) -> _Link:
        if len(token) > TOKEN_MOST:
            raise LinkError("forged")
        content, _, signature = token.encode(errors="replace").rpartition(b".")
        for secret in self._accepted():
            # The signature as we spell it: decoded, one could be written in several ways.
            if hmac.compare_digest(_signer(kind, secret).get_signature(content), signature):
                return msgspec.json.decode(base64_decode(content), type=type_)
        raise LinkError("forged")


@lru_cache(maxsize=64)
def _signer(kind: _Kind, secret: bytes) -> Signer:
    salt = f"guardrails.link.{kind}.1"  # the number is the layout's: a new one makes older tokens unknown
    return Signer(secret, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)


def _check_age(issued_at: int, now: datetime, lifetime: timedelta) -> None:
    if now.timestamp() - issued_at >= lifetime.total_seconds():
        raise LinkError("expired")
