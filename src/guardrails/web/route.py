"""Routes: a method, a path, a handler, and what the OpenAPI document says of them, in one value.

    Route("POST", "/v1/decisions", self.decide, name="decide", summary="Decide one candidate", scope="decide",
          takes=Candidate, gives=Decision)

A room of the API is a tuple of routes; `blueprint` makes it a Flask blueprint. Parameters stand in the path as
`{recipient_id}` and arrive as keyword arguments. They may hold slashes, since WSGI servers hand them on decoded; one of
our own making at the end of a path holds none. So an id may look like a route below it: it is looked for first, and
where there is none, that route's methods are told.
"""

from __future__ import annotations

import http
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import flask
import msgspec
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import PathConverter

from guardrails.core.candidate import Id
from guardrails.errors import GuardrailsError
from guardrails.settings import Scope
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.problems import Refusal, problem_for

__all__ = ["EXCHANGE", "ResultsOf", "Route", "as_response", "blueprint", "path_id", "results_reply"]

EXCHANGE = "guardrails.exchange"
"""Where the exchange travels in the WSGI environ when a request goes through Flask."""

_encoder = msgspec.json.Encoder()

Handler = Callable[..., Reply]
Answerer = Callable[["Route", Exchange, Mapping[str, str]], Reply]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of the API.

    `takes` and `gives` are the types of the bodies, `query` is that of the query's parameters; `answers` tells of
    bodies that are no JSON value of ours, by content type; `other_statuses` come with the same body as `status`.
    `headers` are those that may come with it, with what they say.
    `problems` are the kinds that the operation adds to those that any has. `example` is one of the body that it takes
    or, where it takes none, gives. `scope` None is open to all. What is `for_recipients` is reached by the public URL,
    under whatever name that is, and asks for nothing but the signed token in its path, where there is one.
    """

    method: Literal["GET", "POST", "PUT"]
    path: str
    handler: Handler
    name: str
    summary: str
    tag: str
    scope: Scope | None
    for_recipients: bool = False
    description: str = ""
    query: type[msgspec.Struct] | None = None
    takes: Any = None
    gives: Any = None
    answers: str = "application/json"
    status: int = 200
    other_statuses: tuple[int, ...] = ()
    headers: Mapping[str, str] = {}
    problems: tuple[str, ...] = ()
    example: Any = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in the path, in order."""
        return tuple(re.findall(r"{(\w+)}", self.path))


def blueprint(name: str, routes: Iterable[Route], answer: Answerer) -> flask.Blueprint:
    """The routes of one room as a Flask blueprint; `answer` runs a route's handler and never raises."""
    room = flask.Blueprint(name, __name__)
    room.record(lambda state: state.app.url_map.converters.update(inner=_Inner))
    routes = tuple(routes)
    for route in routes:
        rule = re.sub(r"{(decision_id|token)}$", r"<\1>", route.path)  # we make them, without a slash
        rule = re.sub(r"{(\w+)}", r"<inner:\1>", rule)
        room.add_url_rule(rule, route.name, _view(route, answer, _below(route, routes)), methods=[route.method])
    return room


class _Inner(PathConverter):
    """An id in a path: anything; Werkzeug's own would not begin with a slash."""

    regex = ".+?"
    part_isolating = False


def _below(route: Route, routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes of other methods whose paths a parameter at the end of this one's takes in."""
    if not route.path.endswith("}"):
        return ()
    stem = route.path[: route.path.rindex("{")]
    return tuple(
        each
        for each in routes
        if each.path.startswith(stem) and each.path != route.path and each.method != route.method
    )


def _view(route: Route, answer: Answerer, below: tuple[Route, ...]) -> Callable[..., flask.Response]:
    patterns = [(re.compile(re.sub(r"{\w+}", ".+", each.path)), each.method) for each in below]

    def view(**parameters: str) -> flask.Response:
        exchange: Exchange = flask.request.environ[EXCHANGE]
        reply = answer(route, exchange, parameters)
        if patterns and reply.status == http.HTTPStatus.NOT_FOUND:
            methods = {method for pattern, method in patterns if pattern.fullmatch(flask.request.path)}
            if methods:
                raise MethodNotAllowed([*sorted(methods), "OPTIONS"])
        return as_response(reply)

    return view


def as_response(reply: Reply) -> flask.Response:
    """A reply as Flask hands it on."""
    return flask.Response(reply.body, reply.status, list(reply.headers), content_type=reply.content_type)


def path_id(text: str) -> str:
    """An id as it stands in a path. Raises Refusal (404) where no id can be like that."""
    try:
        return _convert_id(text)
    except msgspec.ValidationError:
        raise Refusal("not-found", "no id can be like this: it is too long, or holds control characters") from None


def _convert_id(text: str) -> str:
    id_: str = msgspec.convert(text, Id)
    return id_


def results_reply(results: Iterable[object], exchange: Exchange) -> Reply:
    """The answer to a batch: each result, or the problem that stands in its place, in order."""
    said = [
        problem_for(result, request_id=exchange.request_id) if isinstance(result, GuardrailsError) else result
        for result in results
    ]
    return Reply(200, _encoder.encode({"results": said}))


class ResultsOf(msgspec.Struct, frozen=True):
    """A batch's answer: one result an item, in order, a `type` or a problem."""

    type: type

    @property
    def schema(self) -> dict[str, Any]:
        """What OpenAPI says of it."""
        either = [{"$ref": f"#/components/schemas/{name}"} for name in (self.type.__name__, "Problem")]
        return {
            "type": "object",
            "required": ["results"],
            "properties": {"results": {"type": "array", "items": {"anyOf": either}}},
        }
