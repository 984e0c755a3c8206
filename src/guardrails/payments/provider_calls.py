"""How a payment service is called: one signed POST, one answer, in a bounded time and of a bounded size.

By the standard library, since nothing more is asked for: TLS is verified against the machine's authorities, a redirect
is not followed (a signed request is for one URL), and no connection is kept, so none is found dead later.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

from guardrails.payments.provider import NoAnswerError
from guardrails.payments.standard_webhooks import WebhookSecrets

__all__ = ["ANSWER_BYTES", "SignedCalls"]

ANSWER_BYTES = 1 << 20


class SignedCalls:
    """The caller for one URL. Safe to use from several threads."""

    def __init__(
        self, url: str, *, secrets: WebhookSecrets, timeout_seconds: float, clock: Callable[[], datetime]
    ) -> None:
        """`url` is https, or http on this machine.

        Connecting takes at most `timeout_seconds`, and so does all that follows together.
        """
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secrets = secrets
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    def __call__(self, id_: str, body: bytes) -> bytes:
        """The body of the answer. Raises NoAnswerError where there is none, or it is none of 2xx, in time."""
        connection = self._connection()
        headers = self._secrets.sign(id_, body, now=self._clock())
        try:
            connection.connect()
            with _Deadline(connection.sock, self._timeout_seconds):
                connection.request(
                    "POST", self._target, body, {"Content-Type": "application/json", "Connection": "close", **headers}
                )
                answer = connection.getresponse()
                said = answer.read(ANSWER_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(f"{type(error).__name__}: {error}") from None
        finally:
            connection.close()
        if not http.HTTPStatus.OK <= answer.status < http.HTTPStatus.MULTIPLE_CHOICES:
            raise NoAnswerError(f"status {answer.status}", retry_after_seconds=_retry_after(answer))
        if len(said) > ANSWER_BYTES:
            raise NoAnswerError(f"the answer is larger than {ANSWER_BYTES} bytes")
        if answer.length:
            raise NoAnswerError(f"the answer ended {answer.length} bytes early")
        return said

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_seconds, context=self._tls)


class _Deadline:
    """Ends a connection after so many seconds, where somebody sends an answer drop by drop.

    A socket's own timeout is for each read: it begins anew with every byte.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


def _retry_after(answer: http.client.HTTPResponse) -> float | None:
    """The seconds of `Retry-After` (RFC 9110, 10.2.3). One that is a date is passed over: our own pause is as good."""
    text = answer.headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < len("999999999") else None
