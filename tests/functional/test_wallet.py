"""Wallets through HTTP and the command line: one ledger, told alike by both."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from guardrails.cli import main
from guardrails.storage.connections import Database
from stores import make_database, sqlite_url


@pytest.fixture
def url(tmp_path):
    url = sqlite_url(tmp_path / "guardrails.db")
    make_database(url)
    return url


@pytest.fixture
def guardrails(url):
    """Run a command on the database."""

    def run(*arguments):
        return CliRunner().invoke(main, [*arguments, "--database", url])

    return run


def test_what_is_added_over_http_and_on_the_command_line_is_one_wallet(start, tmp_path):
    service = start()
    url = sqlite_url(tmp_path / "guardrails.db")
    body = {"id": "gift-card-7", "recipient": "r-42", "amount_minor": 2500, "currency": "EUR"}
    assert service.send("POST", "/v1/wallet/top-ups", body).status == 201
    typed = ["wallet", "top-up", "r-42", "500", "JPY", "--id", "goodwill", "--memo", "ticket 1881", "--database", url]
    added = CliRunner().invoke(main, typed)
    assert (added.exit_code, added.stdout) == (0, "r-42  +500 JPY  goodwill\n")
    shown = CliRunner().invoke(main, ["wallet", "show", "r-42", "--json", "--database", url])
    told = service.send("GET", "/v1/recipients/r-42/wallet").json()
    assert json.loads(shown.stdout) == told
    assert told["balances"] == [
        {"unit": "EUR", "amount_minor": 2500, "amount": "25.00"},
        {"unit": "JPY", "amount_minor": 500, "amount": "500"},
    ]
    checked = CliRunner().invoke(main, ["ledger", "check", "--database", url])
    assert (checked.exit_code, checked.stdout) == (0, "2 transactions, 4 accounts: the books agree\n")


def test_a_wallet_is_shown_newest_first(guardrails):
    guardrails("wallet", "top-up", "r-42", "25", "EUR", "--id", "one")
    guardrails("wallet", "top-up", "r-42", "0.5", "EUR", "--id", "two", "--memo", "goodwill")
    shown = guardrails("wallet", "show", "r-42")
    assert shown.exit_code == 0
    first, header, *lines = shown.stdout.splitlines()
    assert first == "r-42  25.50 EUR"
    assert header.split() == ["at", "changes", "kind", "transaction", "why"]
    assert [line.split()[2:] for line in lines] == [
        ["+0.50", "EUR", "top_up", "top_up:two", "goodwill"],
        ["+25.00", "EUR", "top_up", "top_up:one"],
    ]
    older = guardrails("wallet", "show", "r-42", "--after", "top_up:two")
    assert "top_up:two" not in older.stdout
    assert "top_up:one" in older.stdout


def test_of_whom_nothing_is_recorded_that_is_said(guardrails):
    assert guardrails("wallet", "show", "nobody").stdout == "nobody  nothing was ever posted\n"


def test_a_top_up_with_an_id_is_booked_once_and_contradicted_never(guardrails):
    for _ in range(2):
        assert guardrails("wallet", "top-up", "r-42", "25", "EUR", "--id", "one").exit_code == 0
    other = guardrails("wallet", "top-up", "r-42", "26", "EUR", "--id", "one")
    assert other.exit_code == 1
    assert other.stderr.startswith("guardrails: `one` was recorded with another body")
    assert guardrails("wallet", "show", "r-42").stdout.splitlines()[0] == "r-42  25.00 EUR"


def test_top_ups_without_an_id_are_each_their_own(guardrails):
    for _ in range(2):
        answer = guardrails("wallet", "top-up", "r-42", "1", "EUR", "--json")
    assert json.loads(answer.stdout)["amount_minor"] == 100
    assert guardrails("wallet", "show", "r-42").stdout.splitlines()[0] == "r-42  2.00 EUR"


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        (("r-42", "12.505", "EUR"), "AMOUNT: `12.505` has more decimals than EUR, which has 2"),
        (("r-42", "0", "EUR"), "AMOUNT: `0` is not more than zero"),
        (("r-42", "-5", "EUR"), "AMOUNT: is not more than zero"),
        (("r-42", "-.5", "EUR"), "AMOUNT: is not more than zero"),
        (("r-42", "--idd", "x", "5", "EUR"), "No such option '--idd'"),
        (("r-42", "90071992547409.93", "EUR"), "is more than 90071992547409.92, the most at once"),
        (("r-42", "12", "XTS"), "CURRENCY: `XTS` is not a currency in use: in ISO 4217 it stands for tests"),
        (("", "12", "EUR"), "RECIPIENT: is empty"),
        (("r-42", "12", "EUR", "--id", ""), "--id: is empty"),
        (("r-42", "12", "EUR", "--memo", ""), "--memo: is empty"),
        (("r-42", "12", "EUR", "--id", "x" * 201), "--id: is 201 characters long"),
    ],
)
def test_what_is_typed_wrong_is_named(guardrails, typed, problem):
    answer = guardrails("wallet", "top-up", *typed)
    assert answer.exit_code == 2
    assert problem in answer.stderr


@pytest.mark.parametrize(
    "typed",
    [
        ("wallet", "show", "\udcff"),
        ("wallet", "show", "r-1", "--after", "\udcff"),
        ("wallet", "top-up", "r-1", "5", "EUR", "--id", "\udcff"),
        ("wallet", "top-up", "r-1", "5", "EUR", "--memo", "\udcff"),
    ],
)
def test_what_is_typed_in_no_utf_8_ends_in_a_word_and_not_in_a_traceback(guardrails, typed):
    guardrails("wallet", "top-up", "r-1", "5.00", "EUR")
    answer = guardrails(*typed)
    assert (answer.exit_code, "UTF-8" in answer.stderr or "surrogate" in answer.stderr) == (2, True)


def test_a_page_after_what_is_not_theirs_is_refused(guardrails):
    answer = guardrails("wallet", "show", "r-42", "--after", "top_up:one")
    assert answer.exit_code == 2
    assert "--after: `top_up:one` is no transaction of this recipient's" in answer.stderr


def test_a_balance_that_differs_is_named_and_nothing_is_mended(guardrails, url):
    guardrails("wallet", "top-up", "r-42", "25", "EUR", "--id", "one")
    database = Database(url)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE ledger_accounts SET balance = 9 WHERE kind = 'recipient'"))
    database.close()
    for _ in range(2):
        found = guardrails("ledger", "check")
        assert found.exit_code == 1
        assert found.stdout.splitlines() == [
            '["recipient","r-42","EUR"] 9 are kept, the postings come to 2500',
            "1 transactions, 2 accounts: 1 differences",
        ]
    told = json.loads(guardrails("ledger", "check", "--json").stdout)
    assert told == {
        "transactions": 1,
        "accounts": 2,
        "differences": [{"where": '["recipient","r-42","EUR"]', "what": "9 are kept, the postings come to 2500"}],
    }


@pytest.mark.parametrize(
    "typed", [("wallet", "show", "r-42"), ("wallet", "top-up", "r-42", "1", "EUR"), ("ledger", "check")]
)
def test_no_database_is_made_where_there_is_none(tmp_path, typed):
    url = sqlite_url(tmp_path / "none.db")
    answer = CliRunner().invoke(main, [*typed, "--database", url])
    assert answer.exit_code == 2
    assert "there is no database" in answer.stderr
    assert not (tmp_path / "none.db").exists()


def test_what_is_paid_out_and_comes_in_is_booked_as_far_as_there_is(guardrails):
    guardrails("wallet", "top-up", "r-42", "25", "EUR", "--id", "one")
    owed = (
        "ledger",
        "transfer",
        "20",
        "EUR",
        "--debit",
        "receivable:acme",
        "--credit",
        "affiliate:blog",
        "--id",
        "owed",
    )
    paid_out = ("ledger", "transfer", "12.50", "EUR", "--debit", "affiliate:blog", "--credit", "outside:bank")
    received = ("ledger", "transfer", "20.00", "EUR", "--debit", "outside:bank", "--credit", "receivable:acme")
    first = guardrails(*owed)
    assert (first.exit_code, first.stdout) == (
        0,
        "debit receivable:acme, credit affiliate:blog  20 EUR  transfer:owed\n",
    )
    too_much = guardrails(*paid_out)
    assert too_much.exit_code == 1
    assert guardrails(*received, "--id", "in").exit_code == 0
    for _ in range(2):
        assert guardrails(*paid_out, "--id", "out", "--memo", "by bank").exit_code == 0
    told = json.loads(guardrails(*paid_out, "--id", "out", "--memo", "by bank", "--json").stdout)
    assert (told["id"], told["memo"]) == ("transfer:out", {"text": "by bank"})
    again = guardrails(*paid_out)
    assert (again.exit_code, again.stderr) == (1, "guardrails: `affiliate:blog` has 7.50 EUR: 5.00 EUR are missing\n")
    assert "the books agree" in guardrails("ledger", "check").stdout


def test_what_is_owed_in_a_currency_that_was_withdrawn_is_paid_out_in_it(guardrails):
    owed = guardrails("ledger", "transfer", "171.00", "BGN", "--debit", "outside:bank", "--credit", "sponsor:acme")
    paid_out = ("ledger", "transfer", "171.00", "BGN", "--debit", "sponsor:acme", "--credit", "outside:bank")
    told = guardrails(*paid_out, "--id", "december")
    assert (owed.exit_code, told.exit_code) == (0, 0)
    assert told.stdout == "debit sponsor:acme, credit outside:bank  171.00 BGN  transfer:december\n"
    refused = guardrails("wallet", "top-up", "r-42", "5", "BGN")
    assert refused.exit_code == 2
    assert "CURRENCY: `BGN` is not a currency in use any more: `EUR` took its place" in refused.stderr


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        (
            ("1", "EUR", "--debit", "acme", "--credit", "outside:bank"),
            "--debit: `acme` is no account, such as `sponsor:acme`",
        ),
        (("1", "EUR", "--debit", "sponsor:", "--credit", "outside:bank"), "--debit: the owner is empty"),
        (("1", "EUR", "--debit", "sponsor:a", "--credit", "sponsor:a"), "--credit: is the account that is debited"),
        (("0", "EUR", "--debit", "sponsor:a", "--credit", "outside:bank"), "AMOUNT: `0` is not more than zero"),
        (("-1", "EUR", "--debit", "sponsor:a", "--credit", "outside:bank"), "AMOUNT: is not more than zero"),
        (("1", "EUR", "--debit", "outside:b", "--credit", "sponsor:a", "--id", ""), "--id: is empty"),
        (("1", "EUR", "--debit", "outside:b", "--credit", "sponsor:a", "--id", "x" * 201), "--id: is 201 characters"),
        (
            ("1", "EUR", "--debit", "outside:b", "--credit", "sponsor:a", "--memo", "x" * 201),
            "--memo: is 201 character",
        ),
        (("1", "XTS", "--debit", "sponsor:a", "--credit", "outside:bank"), "CURRENCY: `XTS` is not a currency in use"),
    ],
)
def test_what_is_no_transfer_is_refused(guardrails, typed, problem):
    answer = guardrails("ledger", "transfer", *typed)
    assert answer.exit_code == 2
    assert problem in answer.stderr
