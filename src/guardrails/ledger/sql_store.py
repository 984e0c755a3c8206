"""The ledger in SQL: three tables, each call as many statements whatever it is of.

Of what is read and appended `together` balances are read once, and everything is written by one write at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, Row, Text, bindparam, func, insert, select, true

from guardrails.core.bookkeeping import Account, AccountKind, Posting, Transaction
from guardrails.ledger.store import KeptAccount, KeptTransaction, changes_of, in_order
from guardrails.storage.inserts import insert_rows
from guardrails.storage.instants import from_micros, to_micros
from guardrails.storage.json_rows import encode_rows, json_rows
from guardrails.storage.tables import ledger_accounts, ledger_postings, ledger_transactions

__all__ = ["SqlLedger"]

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
        changed = [(each.key, each.kind, each.unit, change) for each, change in changes_of(transactions).items()]
        self._connection.execute(_CHANGE, {"changed": encode_rows(changed)})

    def _gather(self, gathered: _Gathered, transactions: Sequence[Transaction]) -> None:
        changes = changes_of(transactions)
        before = self.balances(list(changes))
        gathered.balances.update({account: before[account] + change for account, change in changes.items()})
        gathered.transactions.extend(transactions)

    def by_id(self, ids: Sequence[str], /) -> Mapping[str, Transaction]:
        """The transaction for each id that has one, in one statement."""
        wanted, gathered = set(ids), () if self._gathered is None else self._gathered.transactions
        rows = self._connection.execute(_BY_ID, {"ids": encode_rows([(each,) for each in ids])})
        found = {each.id: each for each in _from_rows(rows)}
        return found | {each.id: in_order(each) for each in gathered if each.id in wanted}

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
