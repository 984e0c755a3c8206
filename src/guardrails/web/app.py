"""The app factory: rooms in, a Flask application behind the front out."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from datetime import timedelta

import flask
import msgspec
from werkzeug.exceptions import HTTPException

from guardrails.bootstrap import Application, utc_now
from guardrails.core.purposes import Purpose
from guardrails.settings import Settings
from guardrails.web.confirmations import ConfirmationRoom
from guardrails.web.consents import ConsentRoom
from guardrails.web.conversions import ConversionRoom
from guardrails.web.decisions import Decisions
from guardrails.web.docs_page import docs_reply
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.front import Admission, Front, http_problem
from guardrails.web.inbound import InboundRoom
from guardrails.web.keys import Keyring
from guardrails.web.metrics import Metrics
from guardrails.web.notices import NoticeRoom
from guardrails.web.offers import OfferRoom
from guardrails.web.openapi import openapi_document
from guardrails.web.outcomes import OutcomeRoom
from guardrails.web.page import Html, PageRoom, PreferenceLinkRoom
from guardrails.web.payment_events import PaymentEventRoom
from guardrails.web.policies import Policies
from guardrails.web.preferences import PreferenceRoom
from guardrails.web.receipts import ReceiptRoom
from guardrails.web.records import RecordRoom
from guardrails.web.redemptions import RedemptionCount, RedemptionRoom
from guardrails.web.revenue import RevenueRoom
from guardrails.web.route import Route, blueprint
from guardrails.web.service import Service
from guardrails.web.settlements import SettlementRoom
from guardrails.web.stores import Stores
from guardrails.web.unsubscribe import UnsubscribeRoom
from guardrails.web.usage import UsageRoom
from guardrails.web.wallet import WalletRoom

__all__ = ["create_app"]


def create_app(application: Application, settings: Settings, metrics: Metrics) -> flask.Flask:
    """The HTTP service over `application`."""
    application.redemptions.watch(RedemptionCount(metrics, application.conversions, application.revenue, clock=utc_now))
    keyring = None if settings.is_open else Keyring(settings.keys)
    app = flask.Flask("guardrails", static_folder=None, template_folder=None)
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False  # `a//b` is an id, too
    app.register_error_handler(HTTPException, http_problem)
    front = Front(
        app.wsgi_app, admission=Admission(keyring=keyring, replay_clock=settings.replay_clock), metrics=metrics
    )
    app.wsgi_app = front  # type: ignore[method-assign]  # the way Flask documents to put middleware in front
    rooms = _rooms(application, settings, metrics) | _pages(application, settings)
    rooms["about"] = _about(tuple(route for room in rooms.values() for route in room), with_keys=keyring is not None)
    for name, routes in rooms.items():
        front.add(routes)
        app.register_blueprint(blueprint(name, routes, front.answer))
    return app


def _rooms(application: Application, settings: Settings, metrics: Metrics) -> dict[str, tuple[Route, ...]]:
    """Every room's routes: a new resource is one line here and one module."""
    return {
        "decisions": Decisions(application.decider, application.explainer, application.records, metrics).routes(),
        "outcomes": OutcomeRoom(application.outcomes, utc_now, metrics).routes(),
        "conversions": ConversionRoom(application.conversions, utc_now, metrics).routes(),
        "consents": ConsentRoom(application.consents, application.links, utc_now).routes(),
        "inbound": InboundRoom(application.withdrawals, utc_now).routes(),
        "notices": NoticeRoom(application.notices, utc_now).routes(),
        "receipts": ReceiptRoom(application.receipts, utc_now).routes(),
        "preferences": PreferenceRoom(application.preferences, utc_now).routes(),
        "usage": UsageRoom(application.usage).routes(),
        "offers": OfferRoom(application.offers, utc_now).routes(),
        "redemptions": RedemptionRoom(application.redemptions, utc_now, metrics).routes(),
        "payments": PaymentEventRoom(application.payment_events, settings.payments_secrets, clock=utc_now).routes(),
        "revenue": RevenueRoom(application.revenue, utc_now, metrics).routes(),
        "settlements": SettlementRoom(application.settlements, utc_now).routes(),
        "wallet": WalletRoom(application.ledger, utc_now).routes(),
        "records": RecordRoom(application, utc_now).routes(),
        "policies": Policies(application.policies).routes(),
        "service": Service(Stores(application.transactor), application.policies, metrics).routes(),
    }


def _pages(application: Application, settings: Settings) -> dict[str, tuple[Route, ...]]:
    """What recipients reach by links, and what makes these."""
    html = Html(settings.controller)

    def purposes() -> Mapping[str, Purpose]:
        return application.policies.snapshot.policy_set.purposes

    lifetime = timedelta(seconds=settings.page_link_seconds)
    return {
        "page": PageRoom(application, settings, utc_now, html).routes(),
        "unsubscribe": UnsubscribeRoom(application, html, purposes=purposes, clock=utc_now).routes(),
        "confirmations": ConfirmationRoom(application, html, purposes=purposes, clock=utc_now).routes(),
        "preference_links": PreferenceLinkRoom(application.links, lifetime=lifetime, clock=utc_now).routes(),
        "html": html.routes(),
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
