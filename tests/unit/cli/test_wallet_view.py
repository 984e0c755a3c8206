"""A wallet at a terminal: what is below each other there, and that more follows."""

from __future__ import annotations

import io

from rich.console import Console

from guardrails.cli.wallet_show import show_wallet
from guardrails.ledger.values import Amount, Wallet, WalletEntry
from stores import instant

ENTRIES = (
    WalletEntry(
        id="refund:x-1",
        kind="refund",
        at=instant(13),
        changes=(Amount("EUR", 1900, "19.00"),),
        refers_to="x-1",
        reverses="payment:x-1",
        memo={"why": "late", "nothing": None},
    ),
    WalletEntry(
        id="payment:x-1",
        kind="payment",
        at=instant(12),
        changes=(Amount("EUR", -1900, "-19.00"), Amount("credits", 5, "5")),
    ),
)


def shown(wallet, **options):
    console = Console(file=io.StringIO(), color_system=None, **options)
    show_wallet(wallet, console)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_at_a_terminal_each_transaction_has_lines_of_its_own():
    wallet = Wallet("r-42", (Amount("EUR", 600, "6.00"), Amount("credits", 5, "5")), ENTRIES, "payment:x-1")
    assert shown(wallet, width=80, force_terminal=True) == [
        "r-42  6.00 EUR, 5 credits",
        "  +19.00 EUR  refund  for x-1, takes back payment:x-1, late",
        "    2026-12-01 13:00:00+00:00, refund:x-1",
        "  -19.00 EUR, +5 credits  payment",
        "    2026-12-01 12:00:00+00:00, payment:x-1",
        "older than these: --after payment:x-1",
    ]


def test_in_a_pipe_each_transaction_is_a_line():
    wallet = Wallet("r-42", (Amount("EUR", 0, "0.00"),), ENTRIES[1:])
    assert shown(wallet, width=200) == [
        "r-42  0.00 EUR",
        "at                         changes                 kind     transaction  why",
        "2026-12-01 12:00:00+00:00  -19.00 EUR, +5 credits  payment  payment:x-1",
    ]
