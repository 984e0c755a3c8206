"""`LedgerCheck` finds whatever the books and the postings don't agree on, and nothing where they do."""

from __future__ import annotations

from random import Random

import pytest
from sqlalchemy import text

from guardrails.core.bookkeeping import Account, Books, Transaction, accounts_to_reverse, moved, reversal_of
from guardrails.ledger import check
from guardrails.ledger.check import Difference, LedgerCheck
from guardrails.storage.connections import Database
from stores import instant, make_database, open_stores, run, sqlite_url

KINDS = ("recipient", "sponsor", "affiliate", "platform", "receivable", "outside")
ACCOUNTS = tuple(Account(kind, f"o-{number}", unit) for kind in KINDS for number in range(3) for unit in ("EUR", "JPY"))
WALLET, BANK = Account("recipient", "r-1", "EUR"), Account("outside", "bank", "EUR")
MADE_UP = Account("recipient", "r-2", "EUR")


def move(id_, amount, source, target):
    return Transaction(id=id_, kind="test", at=instant(12), postings=moved(amount, source=source, target=target))


def random_history(session, random, number):
    """A hundred transactions and reversals, as handlers post them."""
    for place in range(100):
        id_ = f"t-{number}-{place}"
        source, target = random.choice(ACCOUNTS), random.choice(ACCOUNTS)
        if source.unit != target.unit or source == target:
            continue
        wanted = move(id_, random.randrange(1, 100), source, target)
        books = Books(session.ledger.balances([source, target]))
        if books.post(wanted) is None and random.random() < 0.2:
            session.ledger.append(books.posted)
            books = Books(session.ledger.balances(accounts_to_reverse(wanted)))
            assert books.post(reversal_of(wanted, books.balances, id=f"{id_}-back", at=instant(13))) is None
        session.ledger.append(books.posted)


def test_after_any_history_every_balance_is_the_sum_of_its_postings(transactor, do, monkeypatch):
    """Read in pages so small that a page ends everywhere."""
    monkeypatch.setattr(check, "TRANSACTIONS_AT_ONCE", 7)
    monkeypatch.setattr(check, "ACCOUNTS_AT_ONCE", 3)
    random = Random(5)
    for number in range(3):
        do(lambda session, number=number: random_history(session, random, number))
        looked = LedgerCheck(transactor)
        assert list(looked.differences()) == []
    assert looked.transactions == do(lambda session: session.ledger.last_seq()) > 50
    assert looked.accounts > 20


def test_what_is_posted_meanwhile_is_no_difference(transactor, do, monkeypatch):
    monkeypatch.setattr(check, "TRANSACTIONS_AT_ONCE", 1)
    do(lambda session: session.ledger.append([move(f"t-{place}", 5, BANK, WALLET) for place in range(3)]))
    found = LedgerCheck(transactor).differences()
    do(lambda session: session.ledger.append([move("t-3", 5, BANK, WALLET)]))
    assert list(found) == []


class Meanwhile:
    """A transactor under which somebody posts whenever it has been asked something."""

    def __init__(self, transactor):
        self.transactor, self.number = transactor, 100

    def call(self, handler, item):
        result = self.transactor.call(handler, item)
        self.number += 1
        if self.number < 110:
            added = move(f"t-{self.number}", 5, BANK, Account("recipient", f"r-{self.number % 4}", "EUR"))
            run(self.transactor, lambda session: session.ledger.append([added]))
        return result


def test_what_is_posted_between_any_two_looks_is_no_difference(transactor, do, monkeypatch):
    monkeypatch.setattr(check, "TRANSACTIONS_AT_ONCE", 2)
    monkeypatch.setattr(check, "ACCOUNTS_AT_ONCE", 1)
    do(lambda session: session.ledger.append([move(f"t-{place}", 5, BANK, WALLET) for place in range(5)]))
    assert list(LedgerCheck(Meanwhile(transactor)).differences()) == []


def test_an_empty_ledger_has_no_differences(transactor):
    assert list(LedgerCheck(transactor).differences()) == []


UNGUARDED = {
    "sqlite": ("DROP TRIGGER {table}_no_update", "DROP TRIGGER {table}_no_delete"),
    "postgresql": ("DROP TRIGGER {table}_append_only ON {table}",),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def broken(request, tmp_path):
    """Differences that are found where somebody ran statements on the database behind the service's back."""
    url = sqlite_url(tmp_path / "guardrails.db")
    url = url if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    make_database(url)

    def differences(*statements):
        transactor = open_stores(url)
        posted = [move(f"t-{place}", 5, BANK, WALLET) for place in range(1, 4)]
        run(transactor, lambda session: session.ledger.append(posted))
        database = Database(url)
        with database.engine.begin() as connection:
            for table in ("ledger_transactions", "ledger_postings"):
                for statement in UNGUARDED[request.param]:
                    connection.execute(text(statement.format(table=table)))
            for statement in statements:
                connection.execute(text(statement), {"wallet": WALLET.key, "bank": BANK.key, "made_up": MADE_UP.key})
        database.close()
        found = list(LedgerCheck(transactor).differences())
        transactor.close()
        return found

    return differences


def test_a_balance_that_was_changed_is_named(broken):
    assert broken("UPDATE ledger_accounts SET balance = 14 WHERE account = :wallet") == [
        Difference(WALLET.key, "14 are kept, the postings come to 15")
    ]


def test_a_balance_that_was_removed_is_named(broken):
    assert broken("DELETE FROM ledger_accounts WHERE account = :bank") == [
        Difference(BANK.key, "has postings, and no balance is kept")
    ]


def test_a_balance_that_nothing_was_posted_to_is_named(broken):
    assert broken("INSERT INTO ledger_accounts VALUES (:made_up, 'recipient', 'EUR', 3)") == [
        Difference(MADE_UP.key, "3 are kept, the postings come to 0")
    ]


def test_a_posting_that_was_changed_is_named_with_its_transaction(broken):
    assert broken("UPDATE ledger_postings SET amount = 6 WHERE account = :wallet AND seq = 2") == [
        Difference("transaction t-2", "sums to 1 in EUR, not to zero"),
        Difference(WALLET.key, "15 are kept, the postings come to 16"),
    ]


def test_a_transaction_that_was_removed_is_named(broken):
    assert broken("DELETE FROM ledger_transactions WHERE seq = 1") == [Difference("transaction 1", "is missing")]


def test_a_transaction_that_was_removed_with_its_postings_is_named(broken):
    found = broken("DELETE FROM ledger_transactions WHERE seq = 2", "DELETE FROM ledger_postings WHERE seq = 2")
    assert found == [
        Difference("transaction 2", "is missing"),
        Difference(BANK.key, "15 are kept, the postings come to 10"),
        Difference(WALLET.key, "15 are kept, the postings come to 10"),
    ]


def test_what_is_no_account_is_named_wherever_it_stands(broken):
    found = broken(
        "INSERT INTO ledger_postings VALUES ('nobody', 3, 1)",
        """INSERT INTO ledger_accounts VALUES ('["recipient","r-1","XXX"]', 'recipient', 'XXX', 1)""",
    )
    assert found == [
        Difference("nobody", "is no account"),
        Difference('["recipient","r-1","XXX"]', "is no account"),
        Difference("nobody", "has postings, and no balance is kept"),
    ]
