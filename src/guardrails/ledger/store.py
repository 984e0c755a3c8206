"""Where the ledger stays: in memory, or in SQL. Transactions are only ever added, numbered 1, 2, 3 ... without a gap.

INVARIANT: an account's balance is the sum of its postings, told on its own side, and never below zero. Books refuse
such a transaction before it comes here; the store is the second line, and fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import msgspec
from sqlalchemy import BigInteger, Connection, Row, Text, bindparam, func, insert, select, true

from guardrails.core.bookkeeping import Account, AccountKind, Posting, Transaction
from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.memory import Journal
from guardrails.storage.tables import ledger_accounts, ledger_postings, ledger_transactions

__all__ = ["KeptAccount", "KeptTransaction", "LedgerStore", "MemoryLedger", "SqlLedger"]


class KeptTransaction(NamedTuple):
    """A transaction as it is kept: its number, and the key and amount of each posting, whatever they are.

    `id` is None where there are postings of a number that no transaction has.
    """

    seq: int
    id: str | None
    postings: tuple[tuple[str, int], ...]


class KeptAccount(NamedTuple):
    """An account as it is kept, and the sum of its postings in transactions after the one that was asked about."""

    account: str
    balance: int
    posted_since: int


class LedgerStore(Protocol):
    """Accounts and transactions. The postings of a transaction that is read stand in the order of their accounts."""

    def balances(self, accounts: Sequence[Account], /) -> dict[Account, int]:
        """The balance of each account, on its own side; 0 where nothing was posted to it."""

    def of_owner(self, kind: AccountKind, owner: str, /) -> dict[Account, int]:
        """The accounts that somebody has, with their balances, by unit."""

    def append(self, transactions: Sequence[Transaction], /) -> None:
        """Keep new transactions, in order, and bring the balances up to date; none of their ids is kept."""

    def together(self, accounts: Sequence[Account], /) -> AbstractContextManager[None]:
        """Read the balances of `accounts` at once, and write all that is appended meanwhile at once, at the end.

        Until then `balances` and `by_id` see it, and nothing else does. Within another it is part of that one.
        """

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Transaction]:
        """The transaction for each id that has one."""

    def referring_to(self, causes: Sequence[str], /) -> Mapping[str, tuple[Transaction, ...]]:
        """For each id the transactions that refer to it, oldest first."""

    def statement(self, kind: AccountKind, owner: str, /, *, before: str | None, most: int) -> tuple[Transaction, ...]:
        """At most `most` transactions that touch the accounts of somebody, the newest first.

        Where `before` is the id of a transaction, only those that are older.
        """

    def totals(self) -> Mapping[tuple[AccountKind, str], int]:
        """The sum of all balances, by kind and unit."""

    def last_seq(self) -> int:
        """The number of the newest transaction; 0 where there is none."""

    def transactions(self, after: int, most: int, /) -> Sequence[KeptTransaction]:
        """The transactions numbered `after + 1` to `after + most`, by number."""

    def posted(
        self, since: datetime, until: datetime, /, *, after: int, most: int
    ) -> Sequence[tuple[int, Transaction]]:
        """At most `most` transactions of `since <= at < until` whose numbers are greater than `after`, with these."""

    def accounts(self, after: str, most: int, /, *, since: int) -> Sequence[KeptAccount]:
        """At most `most` accounts whose keys are greater than `after`, by key; what they are is not looked at."""


def _in_order(transaction: Transaction) -> Transaction:
    """As a store gives it back."""
    postings = sorted(transaction.postings, key=lambda posting: posting.account.key)
    return msgspec.structs.replace(transaction, postings=tuple(postings))


def _changes(transactions: Iterable[Transaction]) -> dict[Account, int]:
    """What they change of each account's balance."""
    changes: dict[Account, int] = {}
    for posting in (posting for transaction in transactions for posting in transaction.postings):
        account = posting.account
        changes[account] = changes.get(account, 0) + account.sign * posting.amount
    return changes


class MemoryLedger:
    """The ledger in a list, and balances in a dict."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._transactions: list[Transaction] = []
        self._places: dict[str, int] = {}
        self._reversed: dict[str | None, None] = {}
        self._balances: dict[Account, int] = {}

    def balances(self, accounts: Sequence[Account], /) -> dict[Account, int]:
        """The balance of each account."""
        return {account: self._balances.get(account, 0) for account in accounts}

    def of_owner(self, kind: AccountKind, owner: str, /) -> dict[Account, int]:
        """The accounts that somebody has, with their balances."""
        return {
            account: self._balances[account]
            for account in sorted(self._balances)
            if (account.kind, account.owner) == (kind, owner)
        }

    def append(self, transactions: Sequence[Transaction], /) -> None:
        """Keep new transactions. Raises ValueError where one is kept already, or a balance would fall below zero."""
        for place, transaction in enumerate(transactions, start=len(self._transactions)):
            if transaction.id in self._places or transaction.reverses in self._reversed:
                raise ValueError(f"transaction `{transaction.id}`, or what it reverses, is kept already")
            self._journal.put(self._places, transaction.id, place)
            if transaction.reverses is not None:
                self._journal.put(self._reversed, transaction.reverses, None)
        self._journal.extend(self._transactions, map(_in_order, transactions))
        for account, change in _changes(transactions).items():
            balance = self._balances.get(account, 0) + change
            if balance < 0:
                raise ValueError(f"the balance of {account.key} would be {balance}")
            self._journal.put(self._balances, account, balance)

    def together(self, accounts: Sequence[Account], /) -> AbstractContextManager[None]:
        """Nothing is gained by it here."""
        del accounts
        return nullcontext()

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Transaction]:
        """The transaction for each id that has one."""
        return {each: self._transactions[self._places[each]] for each in ids if each in self._places}

    def referring_to(self, causes: Sequence[str], /) -> Mapping[str, tuple[Transaction, ...]]:
        """For each id the transactions that refer to it."""
        return {cause: tuple(each for each in self._transactions if each.refers_to == cause) for cause in causes}

    def statement(self, kind: AccountKind, owner: str, /, *, before: str | None, most: int) -> tuple[Transaction, ...]:
        """At most `most` transactions that touch the accounts of somebody."""
        end = None if before is None else self._places.get(before)
        theirs = [
            transaction
            for transaction in reversed(self._transactions[:end])
            if any((each.account.kind, each.account.owner) == (kind, owner) for each in transaction.postings)
        ]
        return tuple(theirs[:most])

    def totals(self) -> Mapping[tuple[AccountKind, str], int]:
        """The sum of all balances, by kind and unit."""
        totals: dict[tuple[AccountKind, str], int] = {}
        for account, balance in self._balances.items():
            of = account.kind, account.unit
            totals[of] = totals.get(of, 0) + balance
        return totals

    def last_seq(self) -> int:
        """The number of the newest transaction."""
        return len(self._transactions)

    def transactions(self, after: int, most: int, /) -> Sequence[KeptTransaction]:
        """The transactions numbered `after + 1` to `after + most`."""
        return [
            KeptTransaction(seq, each.id, tuple((posting.account.key, posting.amount) for posting in each.postings))
            for seq, each in enumerate(self._transactions[after : after + most], start=after + 1)
        ]

    def posted(
        self, since: datetime, until: datetime, /, *, after: int, most: int
    ) -> Sequence[tuple[int, Transaction]]:
        """At most `most` transactions of a span of time."""
        numbered = enumerate(self._transactions[after:], start=after + 1)
        return [(seq, each) for seq, each in numbered if since <= each.at < until][:most]

    def accounts(self, after: str, most: int, /, *, since: int) -> Sequence[KeptAccount]:
        """At most `most` accounts whose keys are greater than `after`."""
        kept = sorted((account.key, account) for account in self._balances if account.key > after)
        return [
            KeptAccount(key, self._balances[account], self._posted_since(account, since))
            for key, account in kept[:most]
        ]

    def _posted_since(self, account: Account, since: int) -> int:
        later = (posting for each in self._transactions[since:] for posting in each.postings)
        return sum(posting.amount for posting in later if posting.account == account)


_ids = json_rows("ids", id=Text())
_keys = json_rows("keys", account=Text())

_BALANCES = select(ledger_accounts.c.account, ledger_accounts.c.balance).where(
    ledger_accounts.c.account.in_(select(_keys.c.account))
)
_OF_OWNER = (
    select(ledger_accounts.c.account, ledger_accounts.c.balance)
    .where(ledger_accounts.c.account > bindparam("first"), ledger_accounts.c.account < bindparam("last"))
    .order_by(ledger_accounts.c.account)
)

_LAST_SEQ = select(func.coalesce(func.max(ledger_transactions.c.seq), 0))

_changed = json_rows("changed", account=Text(), kind=Text(), unit=Text(), change=BigInteger())
# The balance as it will be is what is inserted, so that the table's own check sees it; both databases spell it alike.
_CHANGE = insert(ledger_accounts).from_select(
    ["account", "kind", "unit", "balance"],
    select(
        _changed.c.account,
        _changed.c.kind,
        _changed.c.unit,
        func.coalesce(ledger_accounts.c.balance, 0) + _changed.c.change,
    )
    .join_from(_changed, ledger_accounts, ledger_accounts.c.account == _changed.c.account, isouter=True)
    .where(true())  # without a condition SQLite would read ON CONFLICT as that of the join
    .suffix_with("ON CONFLICT (account) DO UPDATE SET balance = excluded.balance"),
)

_WHOLE = (
    select(ledger_transactions, ledger_postings.c.account, ledger_postings.c.amount)
    .join_from(ledger_transactions, ledger_postings, ledger_postings.c.seq == ledger_transactions.c.seq, isouter=True)
    .order_by(ledger_transactions.c.seq, ledger_postings.c.account)
)
_BY_ID = _WHOLE.where(ledger_transactions.c.id.in_(select(_ids.c.id)))
_REFERRING = _WHOLE.where(ledger_transactions.c.refers_to.in_(select(_ids.c.id)))
_seq_before = select(ledger_transactions.c.seq).where(ledger_transactions.c.id == bindparam("before", type_=Text))
_STATEMENT = _WHOLE.where(
    ledger_transactions.c.seq.in_(
        select(ledger_postings.c.seq)
        .distinct()
        .where(
            ledger_postings.c.account > bindparam("first"),
            ledger_postings.c.account < bindparam("last"),
            ledger_postings.c.seq < func.coalesce(_seq_before.scalar_subquery(), bindparam("end", type_=BigInteger)),
        )
        .order_by(ledger_postings.c.seq.desc())
        .limit(bindparam("most"))
    )
)
_NO_END = 2**63 - 1
_POSTED = _WHOLE.where(
    ledger_transactions.c.seq.in_(
        select(ledger_transactions.c.seq)
        .where(
            ledger_transactions.c.at >= bindparam("since", type_=BigInteger),
            ledger_transactions.c.at < bindparam("until", type_=BigInteger),
            ledger_transactions.c.seq > bindparam("after"),
        )
        .order_by(ledger_transactions.c.seq)
        .limit(bindparam("most"))
    )
)

# A sum of many balances may be more than 64 bits hold: it is made of the sums of their halves.
_HALF = 2**32
_TOTALS = select(
    ledger_accounts.c.kind,
    ledger_accounts.c.unit,
    func.sum(ledger_accounts.c.balance // _HALF),
    func.sum(ledger_accounts.c.balance % _HALF),
).group_by(ledger_accounts.c.kind, ledger_accounts.c.unit)

_IDS = select(ledger_transactions.c.seq, ledger_transactions.c.id).where(
    ledger_transactions.c.seq > bindparam("after"), ledger_transactions.c.seq <= bindparam("until")
)
_POSTINGS = (
    select(ledger_postings.c.seq, ledger_postings.c.account, ledger_postings.c.amount)
    .where(ledger_postings.c.seq > bindparam("after"), ledger_postings.c.seq <= bindparam("until"))
    .order_by(ledger_postings.c.seq, ledger_postings.c.account)
)
_ACCOUNTS = (
    select(
        ledger_accounts.c.account,
        ledger_accounts.c.balance,
        select(func.coalesce(func.sum(ledger_postings.c.amount), 0))
        .where(ledger_postings.c.account == ledger_accounts.c.account, ledger_postings.c.seq > bindparam("since"))
        .correlate(ledger_accounts)
        .scalar_subquery(),
    )
    .where(ledger_accounts.c.account > bindparam("after"))
    .order_by(ledger_accounts.c.account)
    .limit(bindparam("most"))
)


class _Gathered(NamedTuple):
    """What is to be written together, and the balances as they are with it."""

    balances: dict[Account, int]
    transactions: list[Transaction]


class SqlLedger:
    """The ledger in three tables: `ledger_transactions`, `ledger_postings`, and `ledger_accounts` for the balances."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._gathered: _Gathered | None = None

    @contextmanager
    def together(self, accounts: Sequence[Account], /) -> Iterator[None]:
        """Read the balances of `accounts` at once, and write all that is appended meanwhile at once, at the end."""
        if self._gathered is not None:
            yield
            return
        self._gathered = gathered = _Gathered({}, [])
        try:
            self.balances(accounts)
            yield
        finally:
            self._gathered = None
        self.append(gathered.transactions)

    def balances(self, accounts: Sequence[Account], /) -> dict[Account, int]:
        """The balance of each account, in one statement; of those that were read together, in none."""
        if self._gathered is None:
            return self._read_balances(accounts)
        known = self._gathered.balances
        unread = [each for each in accounts if each not in known]
        if unread:
            known.update(self._read_balances(unread))
        return {each: known[each] for each in accounts}

    def _read_balances(self, accounts: Sequence[Account]) -> dict[Account, int]:
        by_key = {account.key: account for account in accounts}
        rows = self._connection.execute(_BALANCES, {"keys": encode_rows([(key,) for key in by_key])})
        return dict.fromkeys(accounts, 0) | {by_key[key]: balance for key, balance in rows}

    def of_owner(self, kind: AccountKind, owner: str, /) -> dict[Account, int]:
        """The accounts that somebody has, with their balances, in one statement."""
        rows = self._connection.execute(_OF_OWNER, _range_of(kind, owner))
        return {Account.of_key(key): balance for key, balance in rows}

    def append(self, transactions: Sequence[Transaction], /) -> None:
        """Keep new transactions, in four statements."""
        if not transactions:
            return
        if self._gathered is not None:
            self._gather(self._gathered, transactions)
            return
        numbered = list(enumerate(transactions, start=self.last_seq() + 1))
        insert_rows(self._connection, ledger_transactions, [_to_row(seq, each) for seq, each in numbered])
        postings = [(posting.account.key, seq, posting.amount) for seq, each in numbered for posting in each.postings]
        if not postings:
            return
        insert_rows(self._connection, ledger_postings, postings)
        changed = [(each.key, each.kind, each.unit, change) for each, change in _changes(transactions).items()]
        self._connection.execute(_CHANGE, {"changed": encode_rows(changed)})

    def _gather(self, gathered: _Gathered, transactions: Sequence[Transaction]) -> None:
        changes = _changes(transactions)
        before = self.balances(list(changes))
        gathered.balances.update({account: before[account] + change for account, change in changes.items()})
        gathered.transactions.extend(transactions)

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Transaction]:
        """The transaction for each id that has one, in one statement."""
        wanted, gathered = set(ids), () if self._gathered is None else self._gathered.transactions
        rows = self._connection.execute(_BY_ID, {"ids": encode_rows([(each,) for each in ids])})
        found = {each.id: each for each in _from_rows(rows)}
        return found | {each.id: _in_order(each) for each in gathered if each.id in wanted}

    def referring_to(self, causes: Sequence[str], /) -> Mapping[str, tuple[Transaction, ...]]:
        """For each id the transactions that refer to it, in one statement."""
        rows = self._connection.execute(_REFERRING, {"ids": encode_rows([(each,) for each in causes])})
        found = _from_rows(rows)
        return {cause: tuple(each for each in found if each.refers_to == cause) for cause in causes}

    def statement(self, kind: AccountKind, owner: str, /, *, before: str | None, most: int) -> tuple[Transaction, ...]:
        """At most `most` transactions that touch the accounts of somebody, in one statement."""
        asked = {**_range_of(kind, owner), "before": before, "end": _NO_END, "most": most}
        return tuple(reversed(_from_rows(self._connection.execute(_STATEMENT, asked))))

    def totals(self) -> Mapping[tuple[AccountKind, str], int]:
        """The sum of all balances, by kind and unit; every account is read."""
        rows = self._connection.execute(_TOTALS)
        return {(kind, unit): int(upper) * _HALF + int(lower) for kind, unit, upper, lower in rows}

    def last_seq(self) -> int:
        """The number of the newest transaction."""
        return int(self._connection.execute(_LAST_SEQ).scalar_one())

    def transactions(self, after: int, most: int, /) -> Sequence[KeptTransaction]:
        """The transactions numbered `after + 1` to `after + most`, in two statements."""
        asked = {"after": after, "until": after + most}
        ids = {row.seq: row.id for row in self._connection.execute(_IDS, asked)}
        postings: dict[int, list[tuple[str, int]]] = {seq: [] for seq in ids}
        for seq, account, amount in self._connection.execute(_POSTINGS, asked):
            postings.setdefault(seq, []).append((account, amount))
        return [KeptTransaction(seq, ids.get(seq), tuple(postings[seq])) for seq in sorted(postings)]

    def posted(
        self, since: datetime, until: datetime, /, *, after: int, most: int
    ) -> Sequence[tuple[int, Transaction]]:
        """At most `most` transactions of a span of time, in one statement."""
        asked = {"since": to_micros(since), "until": to_micros(until), "after": after, "most": most}
        rows = self._connection.execute(_POSTED, asked)
        return [(seq, _from_group(list(group))) for seq, group in groupby(rows, key=lambda row: row.seq)]

    def accounts(self, after: str, most: int, /, *, since: int) -> Sequence[KeptAccount]:
        """At most `most` accounts whose keys are greater than `after`."""
        rows = self._connection.execute(_ACCOUNTS, {"after": after, "most": most, "since": since})
        return [KeptAccount(account, balance, int(posted)) for account, balance, posted in rows]


def _range_of(kind: AccountKind, owner: str) -> dict[str, str]:
    """Between which keys all accounts of an owner stand: they differ in the unit, which is in quotes."""
    start = msgspec.json.encode((kind, owner)).decode().removesuffix("]") + ","
    return {"first": start, "last": f"{start}#"}


def _to_row(seq: int, transaction: Transaction) -> tuple[object, ...]:
    """In the order of the table's columns."""
    memo = msgspec.json.encode(transaction.memo, order="deterministic").decode()
    at = to_micros(transaction.at)
    return seq, transaction.id, transaction.kind, transaction.refers_to, transaction.reverses, memo, at


def _from_rows(rows: Iterable[Row[Any]]) -> list[Transaction]:
    """The transactions, whose postings stand together."""
    return [_from_group(list(group)) for _, group in groupby(rows, key=lambda row: row.seq)]


def _from_group(rows: list[Row[Any]]) -> Transaction:
    first = rows[0]
    return Transaction(
        id=first.id,
        kind=first.kind,
        postings=tuple(Posting(Account.of_key(row.account), row.amount) for row in rows if row.account is not None),
        at=from_micros(first.at),
        refers_to=first.refers_to,
        reverses=first.reverses,
        memo=msgspec.json.decode(first.memo),
    )
