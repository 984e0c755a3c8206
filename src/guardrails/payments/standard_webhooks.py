"""Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): requests that prove who sent them, and when.

    secrets = WebhookSecrets.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = secrets.sign("evt-1", body, now=now)          webhook-id, webhook-timestamp, webhook-signature
    webhook_id = secrets.verify(headers, body, now=now)     raises UnsignedError

Each of the secrets signs and each is taken, so that one can be replaced without a pause: both sides add the new one,
then both remove the old. It says who sent a request, not that it comes for the first time: whoever takes it keeps the
ids. The specification's asymmetric signatures (`v1a`) are not taken.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from guardrails.errors import GuardrailsError

__all__ = ["TOLERANCE", "UnsignedError", "WebhookSecrets", "webhook_id"]

TOLERANCE = timedelta(minutes=5)
"""So far the sender's clock and ours may be apart, and so long a request that was overheard could be sent again."""

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)
SECRETS_MOST = 10
ID_MOST = 255
SIGNATURES_MOST = 20


class UnsignedError(GuardrailsError):
    """The request is not what somebody who has a secret sent just now; the caller's fault. The message is for them."""


@dataclass(frozen=True, slots=True, repr=False)
class WebhookSecrets:
    """The secrets that both sides have, at least one. What is printed of it does not say them."""

    _secrets: tuple[bytes, ...]

    @classmethod
    def parse(cls, text: str) -> WebhookSecrets:
        """The secrets of a text, one a line. Raises ValueError that says what is wrong, without telling a secret."""
        lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
        secrets = tuple(_secret(number, line) for number, line in lines if line)
        if not 1 <= len(secrets) <= SECRETS_MOST:
            raise ValueError(f"must hold 1 to {SECRETS_MOST} secrets, one a line")
        return cls(secrets)

    def __repr__(self) -> str:
        return f"<WebhookSecrets: {len(self._secrets)}>"

    def sign(self, id_: str, body: bytes, *, now: datetime) -> dict[str, str]:
        """The headers that go with `body`. `id_` holds no full stop (`webhook_id` makes one of anything)."""
        seconds = int(now.timestamp())
        signatures = [f"v1,{base64.b64encode(mac).decode()}" for mac in self._macs(id_, str(seconds), body)]
        return {
            "webhook-id": id_,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(signatures),
        }

    def verify(self, headers: Mapping[str, str], body: bytes, *, now: datetime) -> str:
        """The id of a request; the names of `headers` are in lower case.

        Raises UnsignedError where a header is missing, none of the signatures is one of `body` by one of the secrets,
        or it was sent more than TOLERANCE before `now`, or after it.
        """
        id_, seconds, said = (
            headers.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        )
        if not id_ or len(id_) > ID_MOST or not id_.isascii() or not id_.isprintable():
            raise UnsignedError(f"`webhook-id` must be 1 to {ID_MOST} ASCII characters")
        if not seconds.isascii() or not seconds.isdigit() or len(seconds) > len("99999999999"):
            raise UnsignedError("`webhook-timestamp` must be whole seconds since 1970")
        macs = self._macs(id_, seconds, body)
        # All with all, whichever is right: how long it takes tells nothing.
        matches = [hmac.compare_digest(mac, each) for each in _signatures(said) for mac in macs]
        if not any(matches):
            raise UnsignedError("`webhook-signature` holds no `v1` signature of this request by a secret known here")
        if abs(now.timestamp() - int(seconds)) > TOLERANCE.total_seconds():
            raise UnsignedError("`webhook-timestamp` is more than 5 minutes from this service's clock")
        return id_

    def _macs(self, id_: str, seconds: str, body: bytes) -> list[bytes]:
        signed = b".".join((id_.encode(), seconds.encode(), body))
        return [hmac.digest(secret, signed, hashlib.sha256) for secret in self._secrets]


def webhook_id(*parts: str) -> str:
    """One id of several texts, different for different ones, fit for a header and without a full stop."""
    return ":".join(quote(part, safe="").replace(".", "%2E") for part in parts)


def _secret(number: int, line: str) -> bytes:
    secret = _decoded(line.removeprefix(PREFIX)) if line.startswith(PREFIX) else None
    if secret is None:
        raise ValueError(f"line {number} is no secret: `{PREFIX}` and base64")
    if len(secret) not in SECRET_BYTES:
        raise ValueError(f"line {number} is a secret of {len(secret)} bytes; it must have 24 to 64")
    return secret


def _signatures(said: str) -> list[bytes]:
    """Those of the version that is taken; what is none is skipped, as the specification asks."""
    of_v1 = [each.removeprefix("v1,") for each in said.split(" ")[:SIGNATURES_MOST] if each.startswith("v1,")]
    return [decoded for each in of_v1 if (decoded := _decoded(each)) is not None]


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return None
