"""Money as authors write it: whole minor units by ISO 4217 code, and as a message tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from guardrails.core.amount_rule import LIMIT_MOST
from guardrails.core.money import CURRENCIES, decimal_text
from guardrails.policyfile.kinds._kind import Lowering, Path
from guardrails.policyfile.problems import did_you_mean, quote

__all__ = ["AMOUNT", "AMOUNTS", "CURRENCY", "check_currency", "money_words"]

AMOUNT: Mapping[str, Any] = {"type": "integer", "minimum": 1, "maximum": LIMIT_MOST}
"""A limit, in minor units."""

AMOUNTS: Mapping[str, Any] = {"type": "object", "minProperties": 1, "maxProperties": 32, "additionalProperties": AMOUNT}
"""Limits by currency."""

CURRENCY: Mapping[str, Any] = {
    "title": "currency",
    "type": "string",
    "pattern": "^[A-Z]{3}$",
    "patternErrorMessage": "a currency is written like `EUR`",
}


def check_currency(code: str, path: Path, lowering: Lowering) -> None:
    """Report a code that is no currency's."""
    if code not in CURRENCIES:
        hint = did_you_mean(code, CURRENCIES) or "a currency is written like `EUR`"
        lowering.problem("unknown-currency", f"unknown currency {quote(code)}", path, hint)


def money_words(amount_minor: int, currency: str) -> str:
    """The amount as people read it, such as `12.50 EUR`; of what is no currency, its minor units."""
    return f"{decimal_text(amount_minor, currency) if currency in CURRENCIES else amount_minor} {currency}"
