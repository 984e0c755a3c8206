"""The OpenAPI 3.1 document, made of the routes and of the structs that they take and give; nothing is said twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from guardrails.core.candidate import Id
from guardrails.web import problems
from guardrails.web.problems import PROBLEMS, Problem
from guardrails.web.route import ResultsOf, Route

__all__ = ["openapi_document"]

REF = "#/components/schemas/{name}"
Json = dict[str, Any]

TAGS: Mapping[str, str] = {
    "decisions": "The pre-send decision: allow or deny, with reasons, duties and the time to try again.",
    "outcomes": "What became of an allowed send; it settles what the decision reserved.",
    "consents": "Append-only consent records. Silence is never consent.",
    "notices": "The texts that recipients were shown when they were asked, kept for ever under their hash.",
    "preferences": "What recipients switched on or off.",
    "usage": "How far a recipient has used each cap, and when the next slot opens.",
    "offers": "What can be bought or redeemed; its terms never change.",
    "redemptions": "Offer tokens redeemed, exactly once: reserved, paid, settled.",
    "payments": "What a payment service tells; it signs its requests by Standard Webhooks.",
    "revenue": "What was earned, the decisions that it is owed to, and how it is shared.",
    "conversions": "One recipient converts one offer within one notification, in one to three steps.",
    "wallet": "What recipients have, in a ledger that sums to zero.",
    "records": "All that is recorded of a recipient.",
    "pages": "What recipients open by the links that they were sent: HTML, for people.",
    "policies": "The policy set that decides now.",
    "service": "For operators and machines.",
}

_ALWAYS = ("malformed", "internal")
_WITH_BODY = ("unsupported-media-type", "too-large")
_WITH_SCOPE = ("unauthenticated", "forbidden")

REPLAY_AT = {
    "name": "Replay-At",
    "in": "header",
    "required": False,
    "description": "The instant to answer for, where the service runs with the replay clock; a 400 where it doesn't.",
    "schema": {"type": "string", "format": "date-time"},
}
REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Up to 128 letters, digits and `._:@/+=-`; sent back, and on the request's log line.",
    "schema": {"type": "string", "maxLength": 128},
}
TRACEPARENT = {
    "name": "traceparent",
    "in": "header",
    "required": False,
    "description": "W3C Trace Context; its trace id goes to the log line and the audit entry.",
    "schema": {"type": "string"},
}


def openapi_document(routes: Iterable[Route], *, version: str, with_keys: bool) -> Json:
    """The document for these routes. `with_keys`: calls need one."""
    routes = tuple(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, with_keys=with_keys)
    used = {route.tag for route in routes}
    document: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "guardrails",
            "version": version,
            "summary": "Decides every notification before it is sent.",
            "description": "Allow or deny, with reasons, duties, the earliest time at which it would hold, and an "
            "audit trail. A deny is a 200; errors are RFC 9457 problem details.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in used],
        "paths": paths,
        "components": {"schemas": _schemas(routes)},
    }
    if with_keys:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return document


def _schemas(routes: tuple[Route, ...]) -> Json:
    told = (type_ for route in routes for type_ in (route.takes, route.gives))
    types = {type_.type if isinstance(type_, ResultsOf) else type_ for type_ in told if type_ is not None}
    ordered = sorted({*types, Problem}, key=lambda type_: type_.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=REF)
    return dict(sorted(schemas.items()))


def _operation(route: Route, *, with_keys: bool) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*(_parameter(name) for name in route.parameters), *_in_query(route), *_headers(route)],
        "responses": {
            **_problems(route, with_keys=with_keys),
            **{str(status): _answer(route) for status in (route.status, *route.other_statuses)},
        },
    }
    if route.description:
        operation["description"] = route.description
    if route.takes is not None:
        media = {"schema": _schema(route.takes), **_example(route)}
        operation["requestBody"] = {"required": True, "content": {"application/json": media}}
    if with_keys and route.scope is not None:
        operation["security"] = [{"key": []}]
        operation["x-scope"] = route.scope
    return operation


def _headers(route: Route) -> list[Json]:
    return [REPLAY_AT, REQUEST_ID, TRACEPARENT] if route.path.startswith("/v1/") else []


def _in_query(route: Route) -> list[Json]:
    """The query's parameters: the properties of its type, each of which may be left out."""
    if route.query is None:
        return []
    _, schemas = msgspec.json.schema_components((route.query,))
    properties = schemas[route.query.__name__]["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema["description"],
            "schema": next(kind for kind in schema["anyOf"] if kind != {"type": "null"}),
        }
        for name, schema in properties.items()
    ]


def _parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": msgspec.json.schema(Id)}


def _example(route: Route) -> Json:
    return {} if route.example is None else {"example": route.example}


def _schema(type_: type | ResultsOf) -> Json:
    return type_.schema if isinstance(type_, ResultsOf) else {"$ref": REF.format(name=type_.__name__)}


def _answer(route: Route) -> Json:
    media: Json = {} if route.gives is None else {"schema": _schema(route.gives)}
    if route.takes is None:
        media |= _example(route)
    answer: Json = {"description": route.summary, "content": {route.answers: media}}
    if route.headers:
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in route.headers.items()
        }
    return answer


def _problems(route: Route, *, with_keys: bool) -> Json:
    kinds = [*_ALWAYS, *route.problems]
    if route.takes is not None:
        kinds += _WITH_BODY
    if route.parameters:
        kinds.append("not-found")
    if not with_keys:
        kinds += [] if route.for_recipients else ["misdirected"]
    elif route.scope is not None:
        kinds += _WITH_SCOPE
    by_status = {str(PROBLEMS[kind].status): PROBLEMS[kind].title for kind in kinds}
    content = {problems.CONTENT_TYPE: {"schema": {"$ref": REF.format(name="Problem")}}}
    return {status: {"description": title, "content": content} for status, title in sorted(by_status.items())}
