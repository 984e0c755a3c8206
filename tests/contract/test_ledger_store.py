from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from guardrails.core.bookkeeping import BALANCE_MOST, Account, Posting, Transaction, combined, moved
from guardrails.errors import DependencyError
from guardrails.ledger.store import KeptAccount, KeptTransaction
from stores import instant

ODD = """ä'"; --\\_%🙂"""
BANK = Account("outside", "bank", "EUR")
WALLET = Account("recipient", "r-1", "EUR")
ACME = Account("sponsor", "acme", "EUR")
POINTS = Account("recipient", "r-1", "credits")
GRANTED = Account("shortfall", "us", "credits")
REFUSED = (ValueError, IntegrityError, DependencyError)


def transaction(id_, *postings, **fields):
    """Its postings stand as a store gives them back: in the order of their accounts' keys."""
    in_order = sorted(combined(postings), key=lambda posting: posting.account.key)
    return Transaction(**{"id": id_, "kind": "test", "at": instant(12), "postings": tuple(in_order)} | fields)


def move(id_, amount, source, target, **fields):
    return transaction(id_, *moved(amount, source=source, target=target), **fields)


def append(do, *transactions):
    do(lambda session: session.ledger.append(transactions))


def balances(do, *accounts):
    found = do(lambda session: session.ledger.balances(accounts))
    return [found[account] for account in accounts]


def test_a_transaction_comes_back_as_it_was_kept(do):
    full = transaction(
        f"t-{ODD}",
        *moved(7, source=BANK, target=Account("recipient", ODD, "EUR")),
        *moved(3, source=GRANTED, target=Account("recipient", ODD, "credits")),
        at=instant(12, 0, 0, 1),
        refers_to="redemption-1",
        reverses="t-0",
        memo={"text": ODD, "number": 2**53, "yes": True, "none": None},
    )
    bare = transaction("t-2")
    append(do, full, bare)
    assert dict(do(lambda session: session.ledger.by_id(["t-2", full.id, "t-3"]))) == {full.id: full, "t-2": bare}


def test_balances_are_the_sums_of_the_postings_on_the_accounts_own_side(do):
    append(do, move("t-1", 500, BANK, WALLET), move("t-2", 200, WALLET, ACME))
    append(do, move("t-3", 100, BANK, WALLET), move("t-4", 400, WALLET, BANK))
    assert balances(do, BANK, WALLET, ACME, POINTS) == [200, 0, 200, 0]


def test_who_owns_accounts_is_found_by_kind_and_name_and_nobody_else(do):
    near = ["r", "r-1 ", "r-10", "R-1", 'r-1","EUR', "r-1"]
    for place, owner in enumerate(near, start=1):
        append(do, move(f"t-{place}", place, BANK, Account("recipient", owner, "EUR")))
    append(do, move("t-7", 7, BANK, Account("sponsor", "r-1", "EUR")), move("t-8", 8, GRANTED, POINTS))
    found = [do(lambda session, owner=owner: session.ledger.of_owner("recipient", owner)) for owner in (*near, "x")]
    assert found == [
        *({Account("recipient", owner, "EUR"): place} for place, owner in enumerate(near[:-1], start=1)),
        {WALLET: 6, POINTS: 8},
        {},
    ]


def test_no_balance_falls_below_zero(do):
    append(do, move("t-1", 5, BANK, WALLET))
    with pytest.raises(REFUSED):
        append(do, move("t-2", 5, WALLET, ACME), move("t-3", 1, WALLET, ACME))
    assert balances(do, WALLET, ACME) == [5, 0]
    assert do(lambda session: session.ledger.by_id(["t-2", "t-3"])) == {}


def test_an_id_is_kept_once_and_a_transaction_is_reversed_once(do):
    append(do, move("t-1", 5, BANK, WALLET), move("t-2", 5, WALLET, BANK, reverses="t-1"))
    for again in (move("t-1", 1, BANK, WALLET), move("t-3", 1, BANK, WALLET, reverses="t-1")):
        with pytest.raises(REFUSED):
            append(do, again)
    assert balances(do, BANK, WALLET) == [0, 0]
    assert do(lambda session: session.ledger.last_seq()) == 2


def test_what_refers_to_a_cause_is_found_oldest_first(do):
    paid = move("t-2", 5, BANK, WALLET, refers_to="redemption-1", at=instant(12))
    back = move("t-1", 5, WALLET, BANK, refers_to="redemption-1", reverses="t-2", at=instant(11))
    other = move("t-3", 1, BANK, WALLET, refers_to="redemption-2")
    append(do, paid, back, other, move("t-4", 1, BANK, WALLET))
    assert dict(do(lambda session: session.ledger.referring_to(["redemption-2", "redemption-1", "none"]))) == {
        "redemption-1": (paid, back),
        "redemption-2": (other,),
        "none": (),
    }


def test_a_statement_is_told_newest_first_and_page_by_page(do):
    mine = [
        transaction(
            f"t-{number}",
            *moved(number, source=BANK, target=WALLET),
            *moved(1, source=GRANTED, target=POINTS),
            at=instant(12) - timedelta(hours=number),
        )
        for number in range(1, 6)
    ]
    for each in mine:
        append(do, each, move(f"other-{each.id}", 1, BANK, Account("recipient", "r-10", "EUR")))

    def page(before, most=2):
        return do(lambda session: session.ledger.statement("recipient", "r-1", before=before, most=most))

    assert page(None) == (mine[4], mine[3])
    assert page("t-4") == (mine[2], mine[1])
    assert page("t-2") == (mine[0],)
    assert page("t-1") == ()
    assert page("other-t-2", 9) == (mine[1], mine[0])
    assert do(lambda session: session.ledger.statement("sponsor", "r-1", before=None, most=9)) == ()


def test_totals_are_by_kind_and_unit_and_beyond_64_bits(do):
    others = [Account("recipient", f"r-{number}", "JPY") for number in range(3)]
    banks = [Account("outside", f"bank-{number}", "JPY") for number in range(3)]
    append(do, *(move(f"t-{each.owner}", BALANCE_MOST, bank, each) for each, bank in zip(others, banks, strict=True)))
    append(do, move("t-4", 8, GRANTED, POINTS))
    assert dict(do(lambda session: session.ledger.totals())) == {
        ("recipient", "JPY"): 3 * BALANCE_MOST,
        ("outside", "JPY"): 3 * BALANCE_MOST,
        ("recipient", "credits"): 8,
        ("shortfall", "credits"): 8,
    }


def test_transactions_are_paged_by_their_numbers(do):
    append(do, move("t-b", 5, BANK, WALLET), transaction("t-empty"), move("t-a", 2, WALLET, BANK))

    def page(after, most):
        return do(lambda session: session.ledger.transactions(after, most))

    first = KeptTransaction(1, "t-b", ((BANK.key, -5), (WALLET.key, 5)))
    third = KeptTransaction(3, "t-a", ((BANK.key, 2), (WALLET.key, -2)))
    assert page(0, 2) == [first, KeptTransaction(2, "t-empty", ())]
    assert page(2, 9) == [third]
    assert page(3, 9) == []
    assert do(lambda session: session.ledger.last_seq()) == 3


def test_accounts_are_paged_by_key_with_what_was_posted_since(do):
    append(do, move("t-1", 5, BANK, WALLET), move("t-2", 2, WALLET, ACME), move("t-3", 1, WALLET, ACME))

    def page(after, most, since):
        return do(lambda session: session.ledger.accounts(after, most, since=since))

    assert page("", 2, 1) == [KeptAccount(BANK.key, 5, 0), KeptAccount(WALLET.key, 2, -3)]
    assert page(WALLET.key, 2, 2) == [KeptAccount(ACME.key, 3, 1)]
    assert page(ACME.key, 2, 0) == []


def test_many_are_kept_at_once(do):
    wallets = [Account("recipient", f"r-{number}", "KWD") for number in range(1000)]
    bank = Account("outside", "bank", "KWD")
    append(do, *(move(f"t-{number}", number + 1, bank, each) for number, each in enumerate(wallets)))
    assert balances(do, wallets[0], wallets[999], bank) == [1, 1000, 500_500]
    (last,) = do(lambda session: session.ledger.by_id(["t-999"])).values()
    assert last.postings == (Posting(bank, -1000), Posting(wallets[999], 1000))


def test_what_was_posted_in_a_span_of_time_is_paged_by_number(do):
    at = [instant(9), instant(10), instant(11), instant(10, 30), instant(12)]
    append(do, *(move(f"t-{n}", 1, BANK, WALLET, at=each) for n, each in enumerate(at, start=1)))

    def posted(after, most):
        page = do(lambda session: session.ledger.posted(instant(10), instant(12), after=after, most=most))
        return [(seq, each.id, len(each.postings)) for seq, each in page]

    assert posted(0, 2) == [(2, "t-2", 2), (3, "t-3", 2)]
    assert posted(3, 2) == [(4, "t-4", 2)]
    assert posted(4, 2) == []


def test_nothing_is_kept_where_nothing_was_posted(do):
    append(do)
    assert do(lambda session: session.ledger.last_seq()) == 0


def test_what_is_appended_together_is_seen_at_once_by_balances_and_by_id(do):
    def together(session):
        with session.ledger.together([BANK, WALLET]):
            session.ledger.append([move("t-1", 500, BANK, WALLET)])
            with session.ledger.together([ACME]):  # part of the other
                session.ledger.append([move("t-2", 200, WALLET, ACME)])
            found = session.ledger.by_id(["t-2", "t-3"])
            return session.ledger.balances([BANK, WALLET, ACME]), dict(found)

    assert do(together) == ({BANK: 500, WALLET: 300, ACME: 200}, {"t-2": move("t-2", 200, WALLET, ACME)})
    assert balances(do, BANK, WALLET, ACME) == [500, 300, 200]
    assert do(lambda session: session.ledger.last_seq()) == 2


def test_what_is_appended_together_holds_to_the_constraints(do):
    def overdraw(session):
        with session.ledger.together([]):
            session.ledger.append([move("t-1", 1, WALLET, ACME)])

    with pytest.raises(REFUSED):
        do(overdraw)
    assert do(lambda session: session.ledger.last_seq()) == 0
