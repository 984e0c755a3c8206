"""Money as authors write it: whole minor units by ISO 4217 code, and as a message tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from guardrails.core.amount_rule import LIMIT_MOST
from guardrails.core.money import CURRENCIES, WITHDRAWN, decimal_text
from guardrails.policyfile.currencies import currency_problem
from guardrails.policyfile.kinds._kind import Doubt, Lowering, Path

__all__ = ["AMOUNT", "AMOUNTS", "CURRENCY", "check_currency", "doubts_about", "money_words"]

AMOUNT: Mapping[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "maximum": LIMIT_MOST,
    "errorMessage": "amounts are whole minor units: `5000` is 50.00 EUR",
}
"""A limit, in minor units."""

AMOUNTS: Mapping[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 32,
    "additionalProperties": AMOUNT,
    "errorMessage": "write it like `{EUR: 5000}`, which is 50.00 EUR",
}
"""Limits by currency."""

CURRENCY: Mapping[str, Any] = {
    "title": "currency",
    "type": "string",
    "pattern": "^[A-Z]{3}$",
    "patternErrorMessage": "a currency is three capital letters by ISO 4217, such as `EUR`",
}


def check_currency(code: str, path: Path, lowering: Lowering) -> bool:
    """Report a code that is no currency's; whether it is one's.

    One that was withdrawn is for `lint`: a set that loaded once loads for good, or what it decided can't be recomputed.
    """
    problem = None if code in WITHDRAWN else currency_problem(code)
    if problem is not None:
        lowering.problem("unknown-currency", problem[0], path, problem[1])
    return problem is None


def doubts_about(code: str, path: Path) -> Iterator[Doubt]:
    """Of a currency that was withdrawn since."""
    problem = currency_problem(code)
    if problem is not None:
        yield Doubt("withdrawn-currency", problem[0], path, "nothing new is offered or paid in it")


def money_words(amount_minor: int, currency: str) -> str:
    """The amount as people read it, such as `12.50 EUR`; of what is no currency, its minor units."""
    is_known = currency in CURRENCIES or currency in WITHDRAWN
    return f"{decimal_text(amount_minor, currency) if is_known else amount_minor} {currency}"
