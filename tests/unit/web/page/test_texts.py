from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from guardrails.consent.fold import CHANNELS
from guardrails.web.page.texts import CATALOGUES, choose_language

TEMPLATES = Path(__file__).parents[4] / "src" / "guardrails" / "web" / "page" / "templates"
ENGLISH, GERMAN = CATALOGUES["en"], CATALOGUES["de"]


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_language_has_the_same_texts_with_the_same_places(language):
    def places(catalogue):
        return {key: sorted(re.findall(r"{(\w+)}", text)) for key, text in catalogue.texts.items()}

    assert places(CATALOGUES[language]) == places(ENGLISH)


def test_every_text_that_a_template_asks_for_by_name_is_there():
    written = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html"))
    asked = set(re.findall(r"""say\(["']([a-z_.0-9]+)["'][,)]""", written))
    assert asked - ENGLISH.texts.keys() == set()


def test_every_channel_has_a_name_in_every_language():
    assert [
        channel for channel in CHANNELS for each in CATALOGUES.values() if f"channel.{channel}" not in each.texts
    ] == []


def test_what_is_put_into_a_text_is_escaped_and_the_text_is_not():
    said = ENGLISH.say("consent.sharing", whom="<b>", what="x & y")
    assert said == "<strong>&lt;b&gt;</strong>: x &amp; y"


def test_a_thing_without_a_name_is_called_what_it_is():
    assert ENGLISH.word("toggle", "late_<night>") == "late &lt;night&gt;"


def test_dates_are_written_as_people_write_them_where_they_are():
    instant = datetime(2026, 3, 3, 23, 5, tzinfo=UTC)
    assert ENGLISH.moment(instant, ZoneInfo("Europe/Berlin")) == "4 March 2026, 00:05"
    assert GERMAN.day(instant, UTC) == "3. März 2026"


@pytest.mark.parametrize("wish", ["", None, "x" * 5000, "de;q=x", ",,,", "*"])
def test_no_wish_is_too_strange(wish):
    assert choose_language(wish).language in CATALOGUES
