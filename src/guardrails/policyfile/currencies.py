"""What is wrong with the code of a currency, in words that its author mends it by.

    currency_problem("eur")     ("`eur` is not a currency in use: ISO 4217 ...", "did you mean `EUR`?")
    currency_problem("EUR")     None

Which currencies there are is said by `core.money`; whether one may stand somewhere is for whoever asks.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from guardrails.core.money import CURRENCIES, WITHDRAWN
from guardrails.policyfile.problems import quote

__all__ = ["currency_problem", "currency_words"]

_has_form = re.compile(r"[A-Z]{3}").fullmatch

_STANDS_FOR: Mapping[str, str] = {
    "XXX": "no currency at all",
    "XTS": "tests",
    **dict.fromkeys(("XAG", "XAU", "XPD", "XPT"), "a metal"),
    **dict.fromkeys(("XBA", "XBB", "XBC", "XBD", "XDR", "XSU", "XUA"), "a unit of account"),
    **dict.fromkeys(("BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI"), "a fund"),
}
"""The codes of List One that nobody pays in."""


def currency_problem(code: str) -> tuple[str, str] | None:
    """What is wrong with `code`, and a hint (empty where there is none); None where people pay in it today."""
    if code in CURRENCIES:
        return None
    said = quote(code)
    if code.upper() in WITHDRAWN:
        _, successor = WITHDRAWN[code.upper()]
        return f"{said} is not a currency in use any more: {quote(successor)} took its place", ""
    if code in _STANDS_FOR:
        return f"{said} is not a currency in use: in ISO 4217 it stands for {_STANDS_FOR[code]}", ""
    near = difflib.get_close_matches(code[:4].upper(), CURRENCIES, n=1, cutoff=0.8)
    hint = f"did you mean {quote(near[0])}?" if near else ""
    if _has_form(code):
        return f"{said} is not a currency in use (ISO 4217)", hint
    return f"{said} is not a currency in use: ISO 4217 codes are three capital letters, such as `EUR`", hint


def currency_words(code: str) -> str:
    """The problem and its hint in one sentence, of a code that has one."""
    problem = currency_problem(code)
    assert problem is not None  # noqa: S101 - as callers see to
    return "; ".join(filter(None, problem))
