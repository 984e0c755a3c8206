"""The page of a month's statements, as people open, read on a phone and print it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from earned import Earnings, allow
from guardrails.attribution.settlement import Settlements
from guardrails.attribution.settlement_files import to_html
from guardrails.attribution.statements import Difference
from guardrails.core.zones import zone_named
from guardrails.storage.memory import MemoryTransactor
from stores import instant, memory_session

LONG = "a-name-without-a-space-" * 8
SHARED = {"benefit_bps": 1000, "affiliate": LONG, "affiliate_bps": 500, "offer": "same-day-upgrade", "campaign": LONG}


@pytest.fixture(scope="module")
def settlement():
    earnings = Earnings(MemoryTransactor(memory_session))
    forms = {number: "discount" if number % 3 else "credits" for number in range(30)}
    earnings.allowed(*(allow(number, form=form, **SHARED) for number, form in forms.items()))
    for number in forms:
        earnings.report(f"order-{number}", 10**number if number < 12 else 999, decision_id=f"d-{number}")
    earnings.take_back("order-3")
    earnings.report("yen", 7000, "JPY", recipient="r-9", sponsor=LONG)
    settlements = Settlements(earnings.transactor, zone=lambda: zone_named("Europe/Berlin"))
    return settlements.settle("2026-12", now=instant(12) + timedelta(days=60))


@pytest.fixture
def page_of(tmp_path):
    def page_of(settlement) -> str:
        path = tmp_path / "settlement.html"
        path.write_text(to_html(settlement), encoding="utf-8")
        return path.as_uri()

    return page_of


def test_axe_finds_nothing_wrong(settlement, page_of, faults_of):
    assert faults_of("settlement", page_of(settlement)) == []


def test_axe_finds_nothing_wrong_where_the_ledger_differs_and_the_month_is_not_over(settlement, page_of, faults_of):
    difference = Difference(kind="sponsor", owner=LONG, currency="EUR", statement_minor=1, ledger_minor=-2)
    until = datetime(2026, 12, 9, tzinfo=UTC)
    running = msgspec.structs.replace(settlement, differences=(difference,), is_over=False, until=until)
    assert faults_of("settlement-differs", page_of(running)) == []


@pytest.mark.parametrize("width", [320, 360, 1000])
def test_it_is_read_without_scrolling_sideways_and_asks_for_nothing(settlement, page_of, open_page, width):
    url = page_of(settlement)
    page = open_page(url, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.asked == [url]


def test_it_prints_on_a4_with_each_statement_on_a_page_of_its_own(settlement, page_of, open_page):
    page = open_page(page_of(settlement))
    printed = page.pdf(prefer_css_page_size=True)
    pages = printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") + printed.count(b"/Type /Page/")
    assert pages >= len(settlement.statements)
    assert b"/MediaBox [0 0 595" in printed or b"/MediaBox [0 0 594" in printed


@pytest.mark.parametrize("width", [320, 360, 1280])
def test_no_instant_is_smaller_than_the_sentence_it_stands_in(settlement, page_of, open_page, width):
    page = open_page(page_of(settlement), scripts=True, viewport={"width": width, "height": 800})
    sizes = page.eval_on_selector_all(
        "p time", "all => all.map(each => [each, each.parentElement].map(one => getComputedStyle(one).fontSize))"
    )
    assert sizes
    assert [own for own, sentences in sizes if own != sentences] == []


def test_what_remains_is_said_above_the_lines_as_below_them(settlement, page_of, open_page):
    page = open_page(page_of(settlement))
    above = [text.split(". ", 1)[1] for text in page.locator(".statement > p").all_inner_texts()]
    below = page.locator(".statement tfoot tr:last-child").all_inner_texts()
    assert len(above) == len(settlement.statements)
    shown = [
        f"{text.replace(chr(9), ': ')} {each.currency}" for text, each in zip(below, settlement.statements, strict=True)
    ]
    assert above == shown
