"""HTML for recipients: a template, a catalogue of texts and what is to be told, made into a reply.

    html.reply(exchange, "preferences.html", catalogue, view=view)
    html.message(exchange, "expired", catalogue, status=410)

Every page is sent with the same headers. INVARIANT: no page holds or loads a script, a cookie or anything of a third
party, none may be framed, stored or indexed, and none tells its own address, which is a secret, to anybody.
"""

from __future__ import annotations

from pathlib import Path

import jinja2

from guardrails.core.controller import Controller
from guardrails.web.exchange import Exchange, Reply
from guardrails.web.page.texts import CATALOGUES, Catalogue, choose_language
from guardrails.web.route import Route

__all__ = ["HEADERS", "HTML", "STYLE_ROUTE", "Html", "language_of"]

HERE = Path(__file__).parent
HTML = "text/html; charset=utf-8"
STYLE_ROUTE = "/page.css"

HEADERS = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Robots-Tag", "noindex, nofollow"),
)
"""Beside those that every answer has: `Cache-Control: no-store` and `X-Content-Type-Options: nosniff`."""


class Html:
    """Makes pages. `controller` is who answers for the recipients' data; the foot of every page says so."""

    def __init__(self, controller: Controller | None = None) -> None:
        self._controller = controller
        self._style = (HERE / "page.css").read_bytes()
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )

    def reply(
        self, exchange: Exchange, template: str, catalogue: Catalogue, *, status: int = 200, **values: object
    ) -> Reply:
        """The page that `template` makes of `values`."""
        page = self._templates.get_template(template).render(
            say=catalogue.say,
            word=catalogue.word,
            language=catalogue.language,
            languages={language: each.say("language") for language, each in CATALOGUES.items()},
            root="../" * (exchange.route.count("/") - 1),  # the service may stand below a path of its public URL
            controller=self._controller,
            **values,
        )
        return Reply(status, page.encode(), HTML, HEADERS)

    def message(self, exchange: Exchange, name: str, catalogue: Catalogue, *, status: int, **places: object) -> Reply:
        """A page that says one thing: the texts `<name>.title` and `<name>.text`."""
        title, text = catalogue.say(f"{name}.title", **places), catalogue.say(f"{name}.text", **places)
        return self.reply(exchange, "message.html", catalogue, status=status, title=title, text=text)

    def style(self, exchange: Exchange) -> Reply:
        """`GET /page.css`."""
        del exchange
        return Reply(200, self._style, "text/css; charset=utf-8")

    def routes(self) -> tuple[Route, ...]:
        """What all pages share."""
        return (
            Route(
                method="GET",
                path=STYLE_ROUTE,
                handler=self.style,
                name="page_style",
                tag="pages",
                summary="The style sheet of the recipients' pages",
                scope=None,
                for_recipients=True,
                answers="text/css",
            ),
        )


def language_of(exchange: Exchange, *wishes: str | None) -> Catalogue:
    """The catalogue for the first of the wishes, or else for what the browser asks for."""
    return choose_language(*wishes, exchange.environ.get("HTTP_ACCEPT_LANGUAGE"))
