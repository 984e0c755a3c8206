"""Money: whole minor units and a currency, told as text and shared out without losing one.

    decimal_text(1250, "EUR")     "12.50"
    split(100, (1, 1, 1))         (34, 33, 33)

Never a float: a binary fraction has no tenth. Rates of exchange are no concern here; units are never mixed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

__all__ = ["AMOUNT_MOST", "BPS", "CURRENCIES", "WITHDRAWN", "decimal_text", "parse_amount", "share", "split"]

_AMOUNT = re.compile(r"(?P<sign>-?)(?P<major>[0-9]{1,20})(?:\.(?P<minor>[0-9]{1,20}))?").fullmatch

BPS = 10_000
"""Basis points in the whole."""

AMOUNT_MOST = 2**53
"""The most minor units that a request names: up to here every JSON reader has the same integer."""

_TWO_DIGITS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK
DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP
PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH
USD UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"

CURRENCIES: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(_TWO_DIGITS.split(), 2)
    | dict.fromkeys(_NO_DIGITS.split(), 0)
    | dict.fromkeys(_THREE_DIGITS.split(), 3)
    | {"UYW": 4}
)
"""The currencies by their ISO 4217 code, with how many digits their minor unit has.

They are those of List One as SIX published it on 2026-01-01, without what nobody pays in: codes of funds, those without
a minor unit (metals, units of account) and those for tests and for no currency (XTS, XXX). Codes that were withdrawn
stand in List Three and are none of these: nothing new is said in them.
"""

WITHDRAWN: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "ANG": (2, "XCG"),
        "BGN": (2, "EUR"),
        "BYR": (0, "BYN"),
        "CUC": (2, "CUP"),
        "HRK": (2, "EUR"),
        "LTL": (2, "EUR"),
        "MRO": (2, "MRU"),
        "SLL": (2, "SLE"),
        "STD": (2, "STN"),
        "VEF": (2, "VES"),
        "ZWL": (2, "ZWG"),
    }
)
"""What List Three withdrew since 2015: the digits that the minor unit had, and the currency that came after it.

What was booked in one while it was in use stays in the books: it is told, settled and taken back in the code that it
has. A code that leaves `CURRENCIES` comes here.
"""

_DIGITS = {**CURRENCIES, **{code: digits for code, (digits, _) in WITHDRAWN.items()}}


def decimal_text(amount_minor: int, currency: str) -> str:
    """The amount in major units, with as many decimals as the currency has, or had: old months are told, too.

    Raises KeyError where it is none.
    """
    digits = _DIGITS[currency]
    sign, text = "-" * (amount_minor < 0), str(abs(amount_minor)).zfill(digits + 1)
    return f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else sign + text


def parse_amount(text: str, currency: str) -> int:
    """The minor units of an amount in major units, as `12.50`, `12.5` or `12`: what people type.

    What is owed in a withdrawn currency is paid out in it, so that it is read as well. Raises KeyError where `currency`
    is none, ValueError where the text is no amount, or has more decimals than the
    currency.
    """
    digits = _DIGITS[currency]
    match = _AMOUNT(text)
    if match is None:
        raise ValueError(
            f"`{text}` is no amount, such as `{decimal_text(10**digits * 12 + 10**digits // 2, currency)}`"
        )
    sign, major, minor = match["sign"], match["major"], match["minor"] or ""
    if len(minor) > digits:
        raise ValueError(f"`{text}` has more decimals than {currency}, which has {digits or 'none'}")
    return int(sign + major + minor.ljust(digits, "0"))


def split(whole: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Parts of `whole` by their weights, by largest remainder: they sum to it, and each is less than 1 off its share.

    Of equal remainders the earlier part is the greater. What is taken back is split as it was given: the parts of
    `-whole` are those of `whole`, negated. Raises ValueError where a weight is negative or all of them are 0.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("weights are zero or positive, and one of them at least is positive")
    sign = -1 if whole < 0 else 1
    shares = [divmod(abs(whole) * weight, total) for weight in weights]
    parts = [floor for floor, _ in shares]
    by_remainder = sorted(range(len(parts)), key=lambda place: -shares[place][1])
    for place in by_remainder[: abs(whole) - sum(parts)]:
        parts[place] += 1
    return tuple(sign * part for part in parts)


def share(whole: int, bps: int) -> tuple[int, int]:
    """The part of `whole` that so many basis points are, and the rest; half a minor unit goes to the part.

    Raises ValueError where `bps` is not in 0..10000.
    """
    part, rest = split(whole, (bps, BPS - bps))
    return part, rest
