from __future__ import annotations

import pytest

from guardrails.core.money import CURRENCIES, WITHDRAWN
from guardrails.policyfile.currencies import currency_problem, currency_words

FORM = "is not a currency in use: ISO 4217 codes are three capital letters, such as `EUR`"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("eur", f"`eur` {FORM}; did you mean `EUR`?"),
        ("Euro", f"`Euro` {FORM}; did you mean `EUR`?"),
        ("€", f"`€` {FORM}"),
        ("", f"`` {FORM}"),
        ("EUR\n", rf"`EUR\n` {FORM}; did you mean `EUR`?"),
        ("ABC", "`ABC` is not a currency in use (ISO 4217)"),
        ("XXX", "`XXX` is not a currency in use: in ISO 4217 it stands for no currency at all"),
        ("XAU", "`XAU` is not a currency in use: in ISO 4217 it stands for a metal"),
        ("bgn", "`bgn` is not a currency in use any more: `EUR` took its place"),
        ("BGN", "`BGN` is not a currency in use any more: `EUR` took its place"),
    ],
)
def test_what_is_wrong_with_a_code_is_said_in_words(code, words):
    assert currency_words(code) == words


def test_nothing_is_wrong_with_what_people_pay_in():
    assert [code for code in CURRENCIES if currency_problem(code)] == []
    assert [code for code in WITHDRAWN if currency_problem(code) is None] == []


def test_a_hostile_code_is_shown_short_and_printable():
    words = currency_words("\x00" * 10_000)
    assert (words.isprintable(), len(words) < 400) == (True, True)
