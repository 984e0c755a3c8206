"""Problem details (RFC 9457): every answer that is not what was asked for, in one shape.

    {"type": "/docs#problem-invalid", "title": "The request is not what it must be", "status": 422,
     "detail": "2 errors", "errors": [{"pointer": "/lane", "detail": "`fast` is not one of ..."}],
     "request_id": "5c1d..."}

400 says that the request can't be read, 422 that it was read and is not what it must be. A deny is neither: it is an
answer. `type` leads to the words for it on the service's own docs page and is stable.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from guardrails.errors import (
    CandidateError,
    CatchingUpError,
    ConflictError,
    DependencyError,
    GoneError,
    GuardrailsError,
    MalformedError,
    NotFoundError,
)

__all__ = ["CONTENT_TYPE", "PROBLEMS", "FieldError", "Problem", "ProblemKind", "Refusal", "problem_for", "problem_type"]

CONTENT_TYPE = "application/problem+json"


class ProblemKind(msgspec.Struct, frozen=True):
    """A kind of problem: its HTTP status, its title, and what the caller does about it."""

    status: int
    title: str
    meaning: str


PROBLEMS: Mapping[str, ProblemKind] = {
    "malformed": ProblemKind(
        400,
        "The request can't be read",
        "The body is no JSON, is cut short or too deep, or the path, the query or a header can't be read.",
    ),
    "unauthenticated": ProblemKind(
        401, "A valid key is needed", "Send `Authorization: Bearer <key>` with a key that the operator gave out."
    ),
    "unsigned": ProblemKind(
        401,
        "The signature does not hold",
        "Sign the request by Standard Webhooks, with a secret that is shared with this service and by a clock that is "
        "right.",
    ),
    "forbidden": ProblemKind(
        403, "The key does not allow this", "The key is valid; the scope named in `detail` is not its."
    ),
    "not-found": ProblemKind(404, "There is no such thing", "The path, or the id in it, names nothing."),
    "method-not-allowed": ProblemKind(405, "The path has no such method", "`Allow` in the answer lists what it has."),
    "conflict": ProblemKind(
        409,
        "It contradicts what is recorded",
        "The same id was used with another body, or an outcome follows one that it can't follow. Don't retry.",
    ),
    "gone": ProblemKind(
        410, "It is too late for that", "What the request names had its time, which is over; `detail` says since when."
    ),
    "too-large": ProblemKind(413, "The body is too large", "Split the batch; `detail` says how much is taken."),
    "unsupported-media-type": ProblemKind(
        415, "The body is not declared as JSON", "Send `Content-Type: application/json`."
    ),
    "misdirected": ProblemKind(
        421,
        "The service is not meant by that name",
        "Without keys only requests to a loopback name are answered, so that no web page can reach the service "
        "through a name of its own.",
    ),
    "invalid": ProblemKind(
        422,
        "The request is not what it must be",
        "`errors` names every place by JSON pointer, a parameter of the query as `/name`; mend them and send it again.",
    ),
    "too-long": ProblemKind(
        422,
        "The answer is too long",
        "There is more than one answer holds; `detail` says how all of it is had.",
    ),
    "busy": ProblemKind(
        429,
        "It is done for one at a time",
        "Somebody else's request is in hand: ask again after `Retry-After` seconds.",
    ),
    "internal": ProblemKind(
        500, "The service failed", "A fault of ours. The request id finds it in the log; nothing was allowed."
    ),
    "unavailable": ProblemKind(
        503,
        "A store is out of reach",
        "It may not have been recorded; the same request can be sent again, after `Retry-After` seconds.",
    ),
}


class FieldError(msgspec.Struct, frozen=True):
    """One thing that is wrong: where, by JSON pointer (RFC 6901; empty for the whole body), and what."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a problem answer. `code`, where there is one, is the refusal's own stable word."""

    type: str
    title: str
    status: int
    detail: str
    code: str | None = None
    errors: tuple[FieldError, ...] = ()
    request_id: str | None = None


class Refusal(GuardrailsError):  # noqa: N818 - it refuses a request; `Error` would say that something broke
    """The web's own refusal of a request: `kind` is a key of PROBLEMS."""

    def __init__(
        self, kind: str, detail: str, *, errors: tuple[FieldError, ...] = (), headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = headers


def problem_type(kind: str) -> str:
    """The `type` of a kind: where the docs page explains it."""
    return f"/docs#problem-{kind}"


def problem_for(error: BaseException, *, request_id: str | None = None) -> Problem:
    """The problem that tells `error` to the caller; of a fault of ours only that it is one."""
    kind, detail, errors = _said(error)
    known = PROBLEMS[kind]
    return Problem(
        type=problem_type(kind),
        title=known.title,
        status=known.status,
        detail=detail,
        code=error.code if isinstance(error, CandidateError) else None,
        errors=errors,
        request_id=request_id,
    )


def _said(error: BaseException) -> tuple[str, str, tuple[FieldError, ...]]:
    if isinstance(error, Refusal):
        return error.kind, error.detail, error.errors
    if isinstance(error, CandidateError):
        errors = tuple(FieldError(pointer, detail) for pointer, detail in error.problems)
        return _caller_kind(error), str(error), errors
    if isinstance(error, CatchingUpError):
        return "unavailable", str(error), ()
    if isinstance(error, DependencyError):
        return "unavailable", f"`{error.dependency}` does not answer", ()
    return "internal", "an unexpected fault; it is in the log under the request id", ()


def _caller_kind(error: CandidateError) -> str:
    if isinstance(error, MalformedError):
        return "malformed"
    if isinstance(error, NotFoundError):
        return "not-found"
    if isinstance(error, GoneError):
        return "gone"
    return "conflict" if isinstance(error, ConflictError) else "invalid"
