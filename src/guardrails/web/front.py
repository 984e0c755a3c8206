"""The front: the WSGI application that every request passes, in front of Flask's router.

It gives the request its ids, asks for a key, runs the handler, turns whatever was raised into problem details, counts
and logs, in one place and once. A route without parameters in its path is found by one dictionary look-up and never
builds Flask's contexts, which would cost several times what the route itself does; everything else (parameters, HEAD,
unknown paths, wrong methods) goes through Flask as in any Flask application. See docs/adr/0004.
"""

from __future__ import annotations

import http
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import flask
import msgspec
import structlog
from werkzeug.exceptions import HTTPException

from guardrails.core.candidate import YEARS, Instant
from guardrails.errors import CandidateError, DependencyError, GuardrailsError
from guardrails.settings import is_loopback
from guardrails.web import problems
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.keys import Keyring
from guardrails.web.logs import Recurring
from guardrails.web.metrics import Metrics
from guardrails.web.problems import Refusal, problem_for
from guardrails.web.route import EXCHANGE, Route, as_response

__all__ = ["Admission", "Front", "problem_reply"]

StartResponse = Callable[..., Any]
Wsgi = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_log = structlog.get_logger()
_encoder = msgspec.json.Encoder()

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in http.HTTPStatus}
_HEADERS = ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")
"""Of every answer, unless it says otherwise."""

_OF_HTTP = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media-type"}
RETRY_AFTER_SECONDS = "1"


class Admission:
    """Decides whether a request may be handled at all: its host, its key, its clock."""

    def __init__(self, *, keyring: Keyring | None, replay_clock: bool) -> None:
        self._keyring = keyring
        self._replay_clock = replay_clock

    def admit(self, route: Route, exchange: Exchange) -> None:
        """Fill in the exchange's `scopes` and `replay_at`. Raises Refusal: 400, 401, 403 or 421."""
        environ = exchange.environ
        if not route.for_recipients:  # who has the link may; a web page elsewhere doesn't have it, whatever its name
            self._admit_sender(route, exchange)
        if "HTTP_REPLAY_AT" in environ:
            exchange.replay_at = self._instant(environ["HTTP_REPLAY_AT"])

    def _admit_sender(self, route: Route, exchange: Exchange) -> None:
        environ = exchange.environ
        if self._keyring is None:
            exchange.scopes = None
            _demand_loopback_name(environ.get("HTTP_HOST"))
        elif route.scope is not None or "HTTP_AUTHORIZATION" in environ:
            key = self._keyring.find(environ.get("HTTP_AUTHORIZATION"))
            exchange.scopes = key.scopes
            exchange.log["key"] = key.name
            if route.scope is not None and route.scope not in key.scopes:
                raise Refusal("forbidden", f"the key `{key.name}` has no scope `{route.scope}`")

    def _instant(self, text: str) -> datetime:
        if not self._replay_clock:
            raise Refusal("malformed", "the header `Replay-At` is only taken where the replay clock is switched on")
        try:
            instant = _convert_instant(text)
        except msgspec.ValidationError:
            raise Refusal("malformed", "the header `Replay-At` is not an RFC 3339 date and time with a zone") from None
        if instant.year not in YEARS:
            years = f"{YEARS.start} to {YEARS.stop - 1}"
            raise Refusal("malformed", f"the header `Replay-At` lies outside the years {years}")
        return instant


def _convert_instant(text: str) -> datetime:
    instant: datetime = msgspec.convert(text, Instant)
    return instant


def _demand_loopback_name(host: str | None) -> None:
    """Refuse a request that came under another name: a web page whose name was made to point at this machine."""
    if host is None or host.startswith(("127.0.0.1:", "localhost:")):
        return
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not is_loopback(name):
        raise Refusal("misdirected", "without keys the service answers to loopback names only, such as `127.0.0.1`")


class Front:
    """The WSGI application."""

    def __init__(self, flask_app: Wsgi, *, admission: Admission, metrics: Metrics) -> None:
        self._flask_app = flask_app
        self._admission = admission
        self._metrics = metrics
        self._outages = Recurring("fault")
        self._direct: dict[tuple[str, str], Route] = {}

    def add(self, routes: Iterable[Route]) -> None:
        """Answer these routes; those without parameters directly."""
        self._direct.update({(route.method, route.path): route for route in routes if not route.parameters})

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        started = time.perf_counter()
        exchange = Exchange(environ)
        route = self._direct.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
        reply = self._through_flask(environ, exchange) if route is None else self.answer(route, exchange, {})
        headers = [
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
            ("X-Request-Id", exchange.request_id),
            *(each for each in _HEADERS if each[0] not in dict(reply.headers)),
            *reply.headers,
        ]
        start_response(_STATUS_LINES[reply.status], headers)
        self._record(environ["REQUEST_METHOD"], exchange, reply.status, time.perf_counter() - started)
        return [reply.body]

    def answer(self, route: Route, exchange: Exchange, parameters: Mapping[str, str]) -> Reply:
        """Run the route's handler; whatever it raises becomes problem details."""
        exchange.route = route.path
        try:
            self._admission.admit(route, exchange)
            return route.handler(exchange, **parameters)
        except Exception as error:  # noqa: BLE001 - the last resort: nobody is answered with a traceback
            self._tell_fault(error, exchange)
            return problem_reply(error, exchange)

    def _through_flask(self, environ: dict[str, Any], exchange: Exchange) -> Reply:
        if not _is_utf8(environ["PATH_INFO"]):  # Flask would put a U+FFFD where it is not: another id
            return problem_reply(Refusal("malformed", "the path is not UTF-8, percent-encoded"), exchange)
        environ[EXCHANGE] = exchange
        status, headers = 500, []

        def start_response(line: str, given: list[tuple[str, str]], _: object = None) -> None:
            nonlocal status, headers
            status, headers = int(line[:3]), given

        body = b"".join(self._flask_app(environ, start_response))
        content_type = next((value for name, value in headers if name == "Content-Type"), "text/plain")
        kept = tuple((name, value) for name, value in headers if name not in {"Content-Type", "Content-Length"})
        return Reply(status, body, content_type, kept)

    def _tell_fault(self, error: Exception, exchange: Exchange) -> None:
        """Log, with all that is known, what is not the caller's fault."""
        if isinstance(error, Refusal | CandidateError):
            return
        told: dict[str, object] = {
            "request_id": exchange.request_id,
            "trace_id": exchange.trace_id,
            "error": str(error),
        }
        if isinstance(error, DependencyError):
            self._outages.tell(error.dependency, **told)
        else:
            _log.error("fault", exc_info=None if isinstance(error, GuardrailsError) else error, **told)

    def _record(self, method: str, exchange: Exchange, status: int, seconds: float) -> None:
        self._metrics.request(exchange.route, status, seconds)
        log = _log.debug if exchange.route in _QUIET else _log.info
        log(
            "request",
            method=method,
            route=exchange.route,
            status=status,
            ms=round(seconds * 1000, 3),
            request_id=exchange.request_id,
            trace_id=exchange.trace_id,
            **exchange.log,
        )


def _is_utf8(path: str) -> bool:
    """Whether a path says characters; by WSGI each of its bytes stands there as one (PEP 3333)."""
    try:
        path.encode("latin-1").decode()
    except UnicodeError:
        return False
    return True


_QUIET = frozenset({"/livez", "/readyz", "/metrics"})
"""What is asked every few seconds by machines is logged at `debug` only."""


def problem_reply(error: BaseException, exchange: Exchange) -> Reply:
    """The answer that tells `error`."""
    problem = problem_for(error, request_id=exchange.request_id)
    exchange.log["problem"] = problem.type.rpartition("problem-")[2]
    headers = error.headers if isinstance(error, Refusal) else ()
    if problem.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        headers = (("Retry-After", RETRY_AFTER_SECONDS),)
    return Reply(problem.status, _encoder.encode(problem), problems.CONTENT_TYPE, headers)


def http_problem(error: HTTPException) -> flask.Response:
    """Flask's and Werkzeug's own refusals, such as an unknown path, as problem details."""
    exchange: Exchange = flask.request.environ[EXCHANGE]
    kind = _OF_HTTP.get(error.code or 500, "malformed" if (error.code or 500) < 500 else "internal")  # noqa: PLR2004 - 5xx
    detail = {
        "not-found": f"no route `{flask.request.path[:100]}`",
        "method-not-allowed": f"`{flask.request.path[:100]}` has no method {flask.request.method[:20]}",
    }.get(kind, error.description or "")
    allowed = tuple((name, value) for name, value in error.get_headers() if name == "Allow")
    return as_response(problem_reply(Refusal(kind, detail, headers=allowed), exchange))
