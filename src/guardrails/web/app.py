"""The app factory: rooms in, a Flask application behind the front out."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping

import flask
import msgspec
from werkzeug.exceptions import HTTPException

from guardrails.bootstrap import Application, utc_now
from guardrails.settings import Settings
from guardrails.web.consents import ConsentRoom
from guardrails.web.decisions import Decisions
from guardrails.web.docs_page import docs_reply
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.front import Admission, Front, http_problem
from guardrails.web.keys import Keyring
from guardrails.web.metrics import Metrics
from guardrails.web.openapi import openapi_document
from guardrails.web.outcomes import OutcomeRoom
from guardrails.web.policies import Policies
from guardrails.web.preferences import PreferenceRoom
from guardrails.web.route import Route, blueprint
from guardrails.web.service import Service
from guardrails.web.stores import Stores
from guardrails.web.usage import UsageRoom

__all__ = ["create_app"]


def create_app(application: Application, settings: Settings, metrics: Metrics) -> flask.Flask:
    """The HTTP service over `application`."""
    keyring = None if settings.is_open else Keyring(settings.keys)
    app = flask.Flask("guardrails", static_folder=None, template_folder=None)
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False  # `a//b` is an id, too
    app.register_error_handler(HTTPException, http_problem)
    front = Front(
        app.wsgi_app, admission=Admission(keyring=keyring, replay_clock=settings.replay_clock), metrics=metrics
    )
    app.wsgi_app = front  # type: ignore[method-assign]  # the way Flask documents to put middleware in front
    rooms = _rooms(application, metrics)
    rooms["about"] = _about(tuple(route for room in rooms.values() for route in room), with_keys=keyring is not None)
    for name, routes in rooms.items():
        front.add(routes)
        app.register_blueprint(blueprint(name, routes, front.answer))
    return app


def _rooms(application: Application, metrics: Metrics) -> dict[str, tuple[Route, ...]]:
    """Every room's routes: a new resource is one line here and one module."""
    return {
        "decisions": Decisions(application.decider, application.explainer, application.records, metrics).routes(),
        "outcomes": OutcomeRoom(application.outcomes, utc_now, metrics).routes(),
        "consents": ConsentRoom(application.consents, utc_now).routes(),
        "preferences": PreferenceRoom(application.preferences, utc_now).routes(),
        "usage": UsageRoom(application.usage).routes(),
        "policies": Policies(application.policies).routes(),
        "service": Service(Stores(application.transactor), application.policies, metrics).routes(),
    }


def _about(routes: tuple[Route, ...], *, with_keys: bool) -> tuple[Route, ...]:
    """The routes that describe the others; both answers are made once."""
    document = openapi_document(
        routes, version=importlib.metadata.version("notification-guardrails"), with_keys=with_keys
    )
    replies: Mapping[str, Reply] = {
        "/openapi.json": Reply(200, msgspec.json.encode(document)),
        "/docs": docs_reply(document),
    }

    def describe(exchange: Exchange) -> Reply:
        return replies[exchange.route]

    def route(path: str, name: str) -> Route:
        return Route(method="GET", path=path, handler=describe, name=name, tag="about", summary=name, scope=None)

    return route("/openapi.json", "openapi"), route("/docs", "docs")
