"""A month's statements over every store: they sum, they agree with the ledger, and a month ends where it should."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from unicodedata import normalize
from zoneinfo import ZoneInfo

import msgspec
import pytest

from earned import Earnings, allow
from guardrails.attribution.settlement import Settlement, Settlements, TooLongError
from guardrails.attribution.settlement_files import file_name, only, to_csv, to_html, to_json
from guardrails.core.bookkeeping import Account, Transaction, moved, reversal_of
from guardrails.errors import CandidateError
from stores import instant, run

BERLIN = ZoneInfo("Europe/Berlin")
LATER = datetime(2027, 2, 1, tzinfo=UTC)
SHARED = {"benefit_bps": 1000, "affiliate": "blog", "affiliate_bps": 500, "offer": "upgrade"}


@pytest.fixture
def earnings(transactor) -> Earnings:
    return Earnings(transactor)


def settle(earnings, month="2026-12", *, now=LATER, zone=BERLIN, most=None) -> Settlement:
    return Settlements(earnings.transactor, zone=lambda: zone).settle(month, now=now, most=most)


def pay(earnings, id_, amount, *, sponsor="acme", currency="EUR", at=None, source="outside") -> Transaction:
    owner = "provider" if source == "outside" else "r-1"
    postings = moved(amount, source=Account(source, owner, currency), target=Account("sponsor", sponsor, currency))
    transaction = Transaction(
        id=f"payment:{id_}",
        kind="payment",
        postings=postings,
        at=at or instant(11),
        refers_to=id_,
        memo={"offer": "upgrade"},
    )
    post(earnings, transaction)
    return transaction


def post(earnings, transaction):
    run(earnings.transactor, lambda session: session.ledger.append([transaction]))


def told(settlement) -> dict[tuple[str, str | None, str], int]:
    return {(each.kind, each.party, each.currency): each.total_minor for each in settlement.statements}


def lines(settlement, kind, party):
    (statement,) = (each for each in settlement.statements if (each.kind, each.party) == (kind, party))
    return [(line.what, line.reference, line.amount_minor) for line in statement.lines]


def test_a_month_has_a_statement_of_each_sponsor_affiliate_and_offer(earnings):
    earnings.allowed(allow(1, **SHARED))
    pay(earnings, "red-1", 20_000)
    earnings.report("a", 999, decision_id="d-1")
    earnings.report("b", 100, recipient="r-9", sponsor="acme")
    settlement = settle(earnings)
    assert told(settlement) == {
        ("sponsor", "acme", "EUR"): 20_000 - 999 - 100,
        ("affiliate", "blog", "EUR"): 50,
        ("benefit", "upgrade", "EUR"): 100,
    }
    assert lines(settlement, "sponsor", "acme") == [
        ("payment", "red-1", 20_000),
        ("revenue", "a", -999),
        ("revenue", "b", -100),
    ]
    assert settlement.differences == ()
    for statement in settlement.statements:
        assert sum(line.amount_minor for line in statement.lines) == statement.total_minor


def test_each_line_has_the_index_of_what_proves_it(earnings):
    earnings.allowed(allow(1, **SHARED))
    revenue = earnings.report("a", decision_id="d-1")
    reversal = earnings.take_back("a")
    log = earnings.log()
    for statement in settle(earnings).statements:
        proven = [(line.reference, line.audit_index, line.decision_audit_index) for line in statement.lines]
        assert proven == [("a", revenue.audit_index, 1), (reversal.id, reversal.audit_index, 1)]
        for line in statement.lines:
            assert log[line.audit_index]["body"]["id"] == line.reference


def test_what_takes_another_months_line_back_says_which(earnings):
    earnings.allowed(allow(1, **SHARED))
    booked = earnings.report("a", decision_id="d-1")
    earnings.take_back("a", id="back", now=datetime(2027, 1, 5, tzinfo=UTC))
    january = settle(earnings, "2027-01")
    for statement in january.statements:
        (line,) = statement.lines
        origin = (line.reverses, line.reverses_audit_index, line.reverses_recorded_at)
        assert origin == ("a", booked.audit_index, booked.recorded_at)
        assert (line.decision_id, line.offer) == ("d-1", "upgrade")
    assert "takes back a, entry 0 of <time datetime" in to_html(january)
    (row, *_) = csv.DictReader(io.StringIO(to_csv(january), newline=""))
    assert (row["reverses_audit_index"], row["reverses_booked_at"]) == ("0", "2026-12-01T13:00:00+01:00")


def test_what_is_attributed_to_no_decision_says_why_and_what_it_came_with(earnings):
    earnings.allowed(allow(1, state="failed", campaign="winter", offer="upgrade"))
    earnings.report("a", decision_id="d-1")
    earnings.report("b", recipient="r-9", sponsor="acme", campaign="spring")
    earnings.report("c", decision_id="d-404")
    earnings.take_back("a")
    told = [
        (line.reference, line.why, line.decision_id, line.campaign, line.offer)
        for statement in settle(earnings).statements
        for line in statement.lines
    ]
    assert told == [
        ("a", "not_sent", "d-1", "winter", "upgrade"),
        ("b", "nothing_eligible", None, "spring", None),
        ("made-1", "not_sent", "d-1", "winter", "upgrade"),
        ("c", "no_such_decision", "d-404", None, None),
    ]


def test_the_totals_of_a_currency_add_up(earnings):
    earnings.allowed(allow(1, **SHARED), allow(2, form="discount", benefit_bps=2500))
    earnings.report("a", 999, decision_id="d-1")
    earnings.report("b", 1000, decision_id="d-2")
    earnings.report("c", 77, decision_id="d-404")
    earnings.report("d", 500, decision_id="d-1")
    earnings.take_back("d")
    earnings.report("yen", 3, "JPY", decision_id="d-404")
    settlement = settle(earnings)
    euro, yen = settlement.totals
    assert (euro.booked_minor, euro.reversed_minor) == (999 + 1000 + 77 + 500, 500)
    assert euro.attributed_minor + euro.unattributed_minor == euro.booked_minor - euro.reversed_minor
    shares = (euro.credits_minor, euro.discounts_minor, euro.affiliates_minor, euro.platform_minor)
    assert (shares, sum(shares)) == ((100, 250, 50, 1599), euro.attributed_minor)
    assert (yen.currency, yen.booked_minor, yen.unattributed_minor) == ("JPY", 3, 3)
    assert told(settlement)["sponsor", None, "JPY"] == -3
    assert settlement.differences == ()


def test_a_discount_is_a_line_of_its_own_that_its_sponsor_gets(earnings):
    earnings.allowed(allow(1, form="discount", benefit_bps=2500, offer="upgrade"))
    earnings.report("a", decision_id="d-1")
    settlement = settle(earnings)
    assert lines(settlement, "sponsor", "acme") == [("revenue", "a", -1000), ("discount", "a", 250)]
    (benefit,) = (each for each in settlement.statements if each.kind == "benefit")
    assert [(line.recipient, line.form, line.amount_minor) for line in benefit.lines] == [("r-1", "discount", 250)]
    assert settlement.differences == ()


def test_what_was_spent_and_taken_back_is_borne_and_still_agrees(earnings):
    earnings.allowed(allow(1, **SHARED))
    earnings.report("a", decision_id="d-1")
    pay(earnings, "red-1", 90, sponsor="other", source="recipient", at=instant(12, 30))
    earnings.take_back("a")
    settlement = settle(earnings)
    assert told(settlement)["benefit", "upgrade", "EUR"] == 0
    assert settlement.totals[0].shortfall_minor == 90
    assert settlement.differences == ()


def test_a_refund_whose_money_the_sponsor_no_longer_has_still_agrees(earnings):
    payment = pay(earnings, "red-1", 1000, at=instant(9))
    earnings.report("a", 600)
    balances = run(earnings.transactor, lambda session: session.ledger.balances(accounts_of(payment)))
    refund = reversal_of(payment, balances, id="refund:red-1", at=instant(13), kind="refund")
    post(earnings, refund)
    settlement = settle(earnings)
    assert lines(settlement, "sponsor", "acme") == [
        ("payment", "red-1", 1000),
        ("revenue", "a", -600),
        ("refund", "red-1", -1000),
    ]
    assert settlement.differences == ()


def accounts_of(payment):
    kinds = [Account("sponsor", "acme", "EUR"), Account("shortfall", "sponsor:acme", "EUR")]
    return [
        *kinds,
        Account("payable", "provider", "EUR"),
        Account("shortfall", "payable:provider", "EUR"),
        *(each.account for each in payment.postings),
    ]


@pytest.mark.parametrize(
    ("zone", "month", "start", "end"),
    [
        ("Europe/Berlin", "2026-03", "2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00"),
        ("Europe/Berlin", "2026-10", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
        ("Europe/Berlin", "2026-12", "2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
        # The last day of March 2024 has 23 hours in London.
        ("Europe/London", "2024-03", "2024-03-01T00:00:00+00:00", "2024-04-01T00:00:00+01:00"),
        ("Europe/London", "2024-10", "2024-10-01T00:00:00+01:00", "2024-11-01T00:00:00+00:00"),
        # A midnight is skipped within the month, and another comes twice.
        ("America/Sao_Paulo", "2018-11", "2018-11-01T00:00:00-03:00", "2018-12-01T00:00:00-02:00"),
        ("America/Sao_Paulo", "2018-02", "2018-02-01T00:00:00-02:00", "2018-03-01T00:00:00-03:00"),
        # The first midnight of August 2014 is skipped in Cairo, as that of October 2017 is in Asuncion.
        ("Africa/Cairo", "2014-07", "2014-07-01T00:00:00+02:00", "2014-08-01T01:00:00+03:00"),
        ("Africa/Cairo", "2014-08", "2014-08-01T01:00:00+03:00", "2014-09-01T00:00:00+03:00"),
        ("America/Asuncion", "2017-09", "2017-09-01T00:00:00-04:00", "2017-10-01T01:00:00-03:00"),
        # The last hour of September 2010 comes twice in Cairo, the first of November 2015 in Havana.
        ("Africa/Cairo", "2010-09", "2010-09-01T00:00:00+02:00", "2010-10-01T00:00:00+02:00"),
        ("America/Havana", "2015-10", "2015-10-01T00:00:00-04:00", "2015-11-01T00:00:00-04:00"),
        ("America/Havana", "2015-11", "2015-11-01T00:00:00-04:00", "2015-12-01T00:00:00-05:00"),
    ],
)
def test_a_month_is_the_zones_own_and_half_open(earnings, zone, month, start, end):
    first, after = datetime.fromisoformat(start), datetime.fromisoformat(end)
    moment = timedelta(microseconds=1)
    for id_, now in {"before": first - moment, "first": first, "last": after - moment, "after": after}.items():
        earnings.report(id_, 5, now=now.astimezone(UTC))
        pay(earnings, f"red-{id_}", 7, at=now.astimezone(UTC))
    settlement = settle(earnings, month, zone=ZoneInfo(zone))
    assert (settlement.starts_at, settlement.ends_at) == (first, after)
    assert (settlement.starts_at.isoformat(), settlement.ends_at.isoformat()) == (start, end)
    assert {each[1] for each in lines(settlement, "sponsor", "acme")} == {"first", "last", "red-first", "red-last"}
    assert settlement.differences == ()


def test_a_reversal_is_of_the_month_in_which_it_happens(earnings):
    earnings.allowed(allow(1, **SHARED))
    earnings.report("a", decision_id="d-1")
    earnings.take_back("a", id="back", now=datetime(2027, 1, 5, tzinfo=UTC))
    december, january = settle(earnings), settle(earnings, "2027-01")
    assert told(december) == {key: -total for key, total in told(january).items()}
    assert (december.differences, january.differences) == ((), ())
    assert (january.totals[0].booked_minor, january.totals[0].reversed_minor) == (0, 1000)


def test_a_revenue_is_of_the_month_in_which_it_was_booked_whenever_it_was_earned(earnings):
    earnings.report("a", at=instant(0), now=datetime(2027, 1, 2, tzinfo=UTC))
    assert told(settle(earnings)) == {}
    assert told(settle(earnings, "2027-01")) == {("sponsor", "acme", "EUR"): -1000}


@pytest.mark.parametrize("month", ["2026-13", "2026-00", "26-11", "2026-11-01", "", "٢٠٢٦-11", "1969-01", "2027-03"])
def test_what_is_no_month_that_has_begun_is_refused(earnings, month):
    with pytest.raises(CandidateError) as refused:
        settle(earnings, month)
    assert refused.value.problems[0][0] == "/month"


def test_a_month_that_is_not_over_is_told_as_of_now(earnings):
    earnings.report("a")
    settlement = settle(earnings, now=instant(15))
    assert (settlement.is_over, settlement.until) == (False, instant(15))
    assert settle(earnings).is_over


def test_a_month_with_nothing_is_empty(earnings):
    settlement = settle(earnings, zone=UTC)
    assert (settlement.statements, settlement.totals, settlement.differences, settlement.zone) == ((), (), (), "UTC")
    assert "Nothing was booked" in to_html(settlement)


def test_more_than_is_asked_for_is_refused(earnings):
    earnings.report("a")
    earnings.report("b")
    with pytest.raises(TooLongError):
        settle(earnings, most=1)
    assert settle(earnings, most=2).differences == ()


def test_many_are_read_in_pages(earnings, monkeypatch):
    monkeypatch.setattr("guardrails.attribution.settlement.PAGE", 3)
    said = {"amount_minor": 10, "currency": "EUR", "recipient": "r-1", "sponsor": "acme"}
    earnings.record([{"id": f"r{n}", **said} for n in range(10)])
    settlement = settle(earnings)
    assert (told(settlement), settlement.differences) == ({("sponsor", "acme", "EUR"): -100}, ())


def test_what_the_ledger_has_otherwise_is_told(earnings):
    earnings.report("a")
    extra = moved(1, source=Account("receivable", "acme", "EUR"), target=Account("platform", "revenue", "EUR"))
    post(earnings, Transaction(id="revenue:forged", kind="revenue.booked", postings=extra, at=instant(12)))
    found = settle(earnings).differences
    differing = {(each.kind, each.owner): (each.statement_minor, each.ledger_minor) for each in found}
    assert differing == {("platform", "revenue"): (0, 1), ("sponsor", "acme"): (-1000, -1001)}


@pytest.mark.parametrize(
    ("currency", "amount", "text", "grouped"),
    [
        ("EUR", 1250, "-12.50", "\N{MINUS SIGN}12.50"),
        ("JPY", 5000, "-5000", "\N{MINUS SIGN}5 000<"),
        ("KWD", 2**53, "-9007199254740.992", "\N{MINUS SIGN}9 007 199 254 740.992"),
    ],
)
def test_amounts_are_told_in_the_currencys_own_digits(earnings, currency, amount, text, grouped):
    earnings.report("a", amount, currency)
    settlement = settle(earnings)
    (row,) = csv.DictReader(io.StringIO(to_csv(settlement), newline=""))
    assert row["amount"] == text
    (statement,) = msgspec.json.decode(to_json(settlement))["statements"]
    assert (statement["total"], statement["lines"][0]["amount"]) == (text, text)
    assert grouped in to_html(settlement).replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\N{FULLWIDTH EQUALS SIGN}"])
def test_no_cell_of_a_csv_is_a_formula(earnings, start):
    name = f'{start}cmd|"/C calc",\'!A0'.replace("\t", "\N{FULLWIDTH PLUS SIGN}")
    earnings.report(name, sponsor=name, recipient="r-1")
    (row,) = csv.DictReader(io.StringIO(to_csv(settle(earnings)), newline=""))
    assert (row["party"], row["reference"], row["amount"]) == (f"'{name}", f"'{name}", "-10.00")


@pytest.mark.parametrize("separator", [";", "|", "\t", "; ", ","])
def test_no_cell_is_a_formula_whatever_separates_them(earnings, separator):
    name = f"o{separator}=cmd|'/C calc'!A0".replace("\t", "|")
    earnings.report(name, sponsor="acme", recipient="r-1")
    (row,) = csv.DictReader(io.StringIO(to_csv(settle(earnings)), newline=""))
    cells = re.split(r"[;|,\t]", row["reference"])
    assert [cell for cell in cells if cell.lstrip()[:1] in {"=", "+", "-", "@"}] == []


def test_ids_of_any_length_have_files_of_their_own(earnings):
    names = [f"{'東' * 60}{number}" for number in (1, 2)]
    for name in names:
        earnings.report(name, sponsor=name, recipient="r-1")
    settlement = settle(earnings)
    files = {file_name(settlement, each, "csv") for each in settlement.statements}
    assert len(files) == len(names) == len(settlement.statements)
    assert max(map(len, files)) < 255


def test_no_two_ids_share_a_file_where_case_and_composition_are_ignored(earnings):
    names = [
        "acme",
        "Acme",
        "aCme",
        "ACME",
        "acme~1",
        "Acme~1",
        "acme%7E1",
        "\u00e9",
        "e\u0301",
        "\u00c9",
        "stra\u00dfe",
        "strasse",
    ]
    for name in names:
        earnings.report(name, sponsor=name, recipient="r-1")
    settlement = settle(earnings)
    files = [file_name(settlement, each, "csv") for each in settlement.statements]
    alike = {normalize("NFC", normalize("NFKD", each).casefold()) for each in files}
    assert len(alike) == len(files) == len(names)
    assert "settlement-2026-12-sponsor-id-acme-EUR.csv" in files


def test_a_page_escapes_what_it_is_told(earnings):
    name = "<script>alert('x')</script>"
    earnings.report(name, sponsor=name, recipient="r-1")
    assert "<script" not in to_html(settle(earnings))


def test_the_file_of_one_party_tells_nothing_of_others(earnings):
    earnings.allowed(allow(1, **SHARED))
    earnings.report("a", decision_id="d-1")
    earnings.report("b", sponsor="other/../x", recipient="r-1")
    settlement = settle(earnings)
    (others,) = (each for each in settlement.statements if each.party == "other/../x")
    name = file_name(settlement, others, "csv")
    assert name == "settlement-2026-12-sponsor-id-other%2F..%2Fx-EUR.csv"
    for text in (
        to_csv(only(settlement, others)),
        to_html(only(settlement, others)),
        to_json(only(settlement, others)),
    ):
        assert "acme" not in text
        assert "r-1" not in text


class Meanwhile:
    """A transactor beside which something else happens, once, after the first call."""

    def __init__(self, transactor, work):
        self.transactor = transactor
        self.work = [work]

    def call(self, handler, item, **options):
        result = self.transactor.call(handler, item, **options)
        while self.work:
            self.work.pop()()
        return result


def test_what_is_booked_while_it_reads_is_in_nothing_of_it(earnings):
    earnings.report("a")
    beside = Meanwhile(earnings.transactor, lambda: earnings.report("b"))
    settlement = Settlements(beside, zone=lambda: BERLIN).settle("2026-12", now=instant(15))
    assert told(settlement) == {("sponsor", "acme", "EUR"): -1000}
    assert settlement.differences == ()


@pytest.mark.parametrize(("minutes", "is_over"), [(0, False), (4.99, False), (5, True)])
def test_a_month_is_over_once_nothing_is_booked_in_it_any_more(earnings, minutes, is_over):
    settlement = settle(earnings, now=datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes), zone=UTC)
    assert (settlement.is_over, settlement.until) == (is_over, datetime(2027, 1, 1, tzinfo=UTC))
