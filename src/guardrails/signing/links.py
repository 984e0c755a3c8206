"""Links that a recipient carries back to us: unsubscribe, the preference page, and the confirmation of a consent.

    links = Links("https://example.org", secret)
    url = links.preferences("r-42", now, "de")       # https://example.org/preferences/<token>
    links.read_preferences(token, now).recipient     # "r-42", or LinkError

A token is a JSON array, sealed by AES-SIV (RFC 5297) and written in base64url: nobody but us can make one, change one
or read in it whose it is, and the same link is the same text each time. Each kind of link derives a key for itself
(HKDF, RFC 5869), so that none passes for another. A token is no single-use ticket: what a link does has to be safe to
repeat, and the confirmation of a consent is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadData
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

KEY_BYTES = 64
"""Of AES-SIV with AES-256: half of it authenticates, half of it encrypts."""

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


_decode_unsubscribe = msgspec.json.Decoder(UnsubscribeLink).decode
_decode_page = msgspec.json.Decoder(PageLink).decode
_decode_confirmation = msgspec.json.Decoder(ConfirmationLink).decode


class Links:
    """Makes links below `base_url`, and reads the tokens that come back.

    It seals with `secret`, and accepts what was sealed with any that `accepted` names when the token is read: so the
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
        self._seals: dict[_Kind, AESSIV] = {
            "unsubscribe": _seal("unsubscribe", secret),
            "preferences": _seal("preferences", secret),
            "confirm": _seal("confirm", secret),
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
        return self._read("unsubscribe", token, _decode_unsubscribe)

    def read_preferences(self, token: str, now: datetime) -> PageLink:
        """What a token of `preferences` says. Raises LinkError."""
        link = self._read("preferences", token, _decode_page)
        _check_age(link.issued_at, now, self._page_lifetime)
        return link

    def read_confirmation(self, token: str, now: datetime) -> ConfirmationLink:
        """What a token of `confirmation` says. Raises LinkError."""
        link = self._read("confirm", token, _decode_confirmation)
        _check_age(link.issued_at, now, self._confirmation_lifetime)
        return link

    def _url(self, kind: _Kind, content: tuple[object, ...]) -> str:
        token = base64_encode(self._seals[kind].encrypt(_encoder.encode(content), None))
        return f"{self._base_url}/{kind}/{token.decode()}"

    def _read(self, kind: _Kind, token: str, decode: Callable[[bytes], _Link]) -> _Link:
        if len(token) > TOKEN_MOST:
            raise LinkError("forged")
        for secret in self._accepted():
            try:
                return decode(_seal(kind, secret).decrypt(_sealed(token), None))
            except (InvalidTag, ValueError):  # ValueError: too short to be sealed at all
                continue
        raise LinkError("forged")


def _sealed(token: str) -> bytes:
    """The bytes of a token that is spelled as we spell it: base64 could be written in several ways."""
    try:
        sealed = base64_decode(token.encode(errors="replace"))
    except BadData:
        raise LinkError("forged") from None
    if base64_encode(sealed).decode() != token:
        raise LinkError("forged")
    return sealed


@lru_cache(maxsize=64)
def _seal(kind: _Kind, secret: bytes) -> AESSIV:
    info = f"guardrails.link.{kind}.2".encode()  # the number is the layout's: a new one makes older tokens unknown
    return AESSIV(HKDF(SHA512(), KEY_BYTES, salt=None, info=info).derive(secret))


def _check_age(issued_at: int, now: datetime, lifetime: timedelta) -> None:
    if now.timestamp() - issued_at >= lifetime.total_seconds():
        raise LinkError("expired")
