from __future__ import annotations

import pytest

from guardrails.core.money import AMOUNT_MOST, CURRENCIES, WITHDRAWN, decimal_text, parse_amount, share, split


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (1250, "EUR", "12.50"),
        (5, "EUR", "0.05"),
        (0, "EUR", "0.00"),
        (-5, "EUR", "-0.05"),
        (500, "JPY", "500"),
        (-500, "JPY", "-500"),
        (0, "JPY", "0"),
        (1234, "KWD", "1.234"),
        (7, "KWD", "0.007"),
        (7, "UYW", "0.0007"),
        (AMOUNT_MOST, "EUR", "90071992547409.92"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount_minor, currency, text):
    assert decimal_text(amount_minor, currency) == text


def test_there_are_the_157_currencies_that_are_paid_in():
    assert len(CURRENCIES) == 157
    assert {2, 0, 3, 4} == set(CURRENCIES.values())


@pytest.mark.parametrize(
    "code",
    [
        "XTS",  # for tests
        "XXX",  # no currency
        "XAU",  # gold
        "XDR",  # a unit of account
        "CLF",  # a fund
        "DEM",  # historic
        "eur",
        "credits",
        "",
    ],
)
def test_what_nobody_pays_in_is_no_currency(code):
    assert code not in CURRENCIES
    with pytest.raises(KeyError):
        decimal_text(1, code)


@pytest.mark.parametrize(("code", "text"), [("BGN", "12.34"), ("BYR", "1234")])
def test_a_withdrawn_currency_is_not_paid_in_and_what_was_booked_in_it_is_told(code, text):
    assert code not in CURRENCIES
    assert decimal_text(1234, code) == text


def test_another_currency_came_after_each_withdrawn_one():
    assert {successor for _, successor in WITHDRAWN.values()} <= set(CURRENCIES)


@pytest.mark.parametrize(
    ("whole", "weights", "parts"),
    [
        (100, (1, 1, 1), (34, 33, 33)),  # of equal remainders the earlier
        (101, (1, 1, 1), (34, 34, 33)),
        (1, (1, 2), (0, 1)),  # the larger remainder
        (-1, (1, 2), (0, -1)),
        (-100, (1, 1, 1), (-34, -33, -33)),
        (7, (0, 1, 0), (0, 7, 0)),
        (0, (3, 4), (0, 0)),
        (10, (5,), (10,)),
        (AMOUNT_MOST, (1, 9_999), (900_719_925_474, 9_006_298_534_815_518)),
    ],
)
def test_a_whole_is_split_by_largest_remainder(whole, weights, parts):
    assert split(whole, weights) == parts
    assert sum(parts) == whole


@pytest.mark.parametrize("weights", [(), (0,), (0, 0), (1, -1), (3, -1), (-1,)])
def test_there_is_no_split_by_nothing_or_less(weights):
    with pytest.raises(ValueError, match="weights are zero or positive"):
        split(10, weights)


@pytest.mark.parametrize(
    ("whole", "bps", "parts"),
    [
        (1999, 1000, (200, 1799)),
        (5, 1000, (1, 4)),  # half a unit goes to the part
        (4, 1000, (0, 4)),
        (-5, 1000, (-1, -4)),
        (1999, 0, (0, 1999)),
        (1999, 10_000, (1999, 0)),
    ],
)
def test_a_share_and_its_rest_make_the_whole(whole, bps, parts):
    assert share(whole, bps) == parts


@pytest.mark.parametrize("bps", [-1, 10_001])
def test_a_share_is_none_or_all_at_most(bps):
    with pytest.raises(ValueError, match="weights"):
        share(100, bps)


@pytest.mark.parametrize(
    ("text", "currency", "amount_minor"),
    [
        ("12.50", "EUR", 1250),
        ("12.5", "EUR", 1250),
        ("12", "EUR", 1200),
        ("-0.05", "EUR", -5),
        ("007", "JPY", 7),
        ("1.234", "KWD", 1234),
        ("171.00", "BGN", 17100),
        ("7", "BYR", 7),
        ("90071992547409.92", "EUR", AMOUNT_MOST),
    ],
)
def test_what_people_type_is_read(text, currency, amount_minor):
    assert parse_amount(text, currency) == amount_minor


@pytest.mark.parametrize(
    ("text", "currency", "problem"),
    [
        ("12.505", "EUR", "`12.505` has more decimals than EUR, which has 2"),
        ("12.0", "JPY", "`12.0` has more decimals than JPY, which has none"),
        ("12,50", "EUR", "`12,50` is no amount, such as `12.50`"),
        ("", "JPY", "`` is no amount, such as `12`"),
        ("1e3", "EUR", "is no amount"),
        (".5", "EUR", "is no amount"),
        ("5.", "EUR", "is no amount"),
        ("1_000", "EUR", "is no amount"),
        ("\u0661", "EUR", "is no amount"),
        ("5\n", "EUR", "is no amount"),
    ],
)
def test_what_is_no_amount_is_refused(text, currency, problem):
    with pytest.raises(ValueError, match=problem):
        parse_amount(text, currency)


def test_an_amount_of_no_currency_is_refused():
    with pytest.raises(KeyError):
        parse_amount("12", "XXX")
