"""The words of the pages, in every language: one catalogue a language, `texts/<language>.json`, key to text.

    english.say("pause.until", moment="3 March 2026, 14:05")

A text may hold markup of ours; what is put into its `{places}` is escaped. The catalogues have the same keys and the
same places, which a test holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, tzinfo
from pathlib import Path

import markupsafe
import msgspec
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

__all__ = ["CATALOGUES", "DEFAULT_LANGUAGE", "Catalogue", "choose_language"]

HERE = Path(__file__).parent / "texts"
DEFAULT_LANGUAGE = "en"


class Catalogue:
    """The words of one language."""

    def __init__(self, language: str, texts: Mapping[str, str]) -> None:
        self.language = language
        self.texts = dict(texts)

    def say(self, key: str, /, **places: object) -> markupsafe.Markup:
        """The text of this key. Raises KeyError where there is none, or where one of its places is not given."""
        return markupsafe.Markup(self.texts[key]).format(**places)  # noqa: S704 - our own texts; places are escaped

    def word(self, kind: str, name: str) -> markupsafe.Markup:
        """What a thing with this name is called; its name, made readable, where the catalogue doesn't know it."""
        text = self.texts.get(f"{kind}.{name}")
        return markupsafe.escape(name.replace("_", " ")) if text is None else markupsafe.Markup(text)  # noqa: S704

    def date(self, day: date) -> markupsafe.Markup:
        """A day of the calendar, such as `3 March 2026`."""
        return self._dated("form.day", datetime.combine(day, time()))

    def day(self, instant: datetime, zone: tzinfo) -> markupsafe.Markup:
        """The day of an instant, such as `3 March 2026`."""
        return self._dated("form.day", instant.astimezone(zone))

    def moment(self, instant: datetime, zone: tzinfo) -> markupsafe.Markup:
        """An instant to the minute, such as `3 March 2026, 14:05`."""
        return self._dated("form.moment", instant.astimezone(zone))

    def _dated(self, form: str, local: datetime) -> markupsafe.Markup:
        month = self.say(f"month.{local.month}")
        return self.say(form, day=local.day, month=month, year=local.year, time=f"{local:%H:%M}")


def _read(path: Path) -> Catalogue:
    return Catalogue(path.stem, msgspec.json.decode(path.read_bytes(), type=dict[str, str]))


CATALOGUES: Mapping[str, Catalogue] = {path.stem: _read(path) for path in sorted(HERE.glob("*.json"))}
"""By language, each under its ISO 639 code."""


def choose_language(*wishes: str | None) -> Catalogue:
    """The catalogue for the first wish that can be met, else English.

    A wish is a language (BCP 47) or the value of an `Accept-Language` header (RFC 9110).
    """
    for wish in wishes:
        accepted = parse_accept_header(wish, LanguageAccept)
        language = accepted.best_match(CATALOGUES)
        if language is not None:
            return CATALOGUES[language]
    return CATALOGUES[DEFAULT_LANGUAGE]
