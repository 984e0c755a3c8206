from __future__ import annotations

import json
import re
from typing import Annotated

import msgspec
import pytest

from guardrails.attribution.values import RevenueRequest, ReversalRequest
from guardrails.consent.values import ConsentRequest
from guardrails.core.candidate import CURRENCY_FORM, Candidate
from guardrails.decoding import _PATTERNS, MAX_ERRORS, Decoder
from guardrails.errors import CandidateError, MalformedError
from guardrails.ledger.values import TopUpRequest
from guardrails.offers.conversions import ConversionRequest, StepReport
from guardrails.offers.redemptions import RedemptionRequest, RefundRequest
from guardrails.offers.values import OfferRequest
from guardrails.preferences.values import PreferenceRequest
from guardrails.web.offers import OfferQuery

CANDIDATE = {
    "id": "c",
    "lane": "monetized",
    "channel": "push",
    "recipient": {"id": "r"},
    "content": {"class": "sponsored"},
}
DECODER = Decoder(Candidate)
YEARS = "lies outside the years 1970 to 2199"


def errors_of(value):
    with pytest.raises(CandidateError) as refused:
        DECODER.decode(json.dumps(value).encode())
    assert not isinstance(refused.value, MalformedError)
    return list(refused.value.problems)


def test_a_right_value_is_decoded():
    assert DECODER.decode(json.dumps(CANDIDATE).encode()) == msgspec.convert(CANDIDATE, Candidate)


def test_a_host_that_is_none_is_told_by_its_place():
    port = {**CANDIDATE, "conversion": {"hosts": ["pay.example.com", "pay.example.com:8443"]}}
    sharp_s = {**CANDIDATE, "conversion": {"hosts": ["straße.example"]}}
    no_host = "is not the name of a host, such as `pay.example.com`, without scheme, port or path"
    no_label = "has characters that versions of IDNA read differently; write it as an A-label, `xn--...`"
    assert errors_of(port) == [("/conversion/hosts/1", no_host)]
    assert errors_of(sharp_s) == [("/conversion/hosts/0", no_label)]


def test_every_error_is_told_at_once_by_pointer():
    wrong = {
        "id": "",
        "lane": "monetised",
        "chanel": "push",
        "recipient": {"id": "r", "age": 30.5, "country": "deu", "email": "x@example.org"},
        "content": {"class": "sponsored", "tags": ["a", 3], "steps": 101},
        "send_at": "2026-12-01T12:00:00",
        "attributes": [],
    }
    assert sorted(errors_of(wrong)) == [
        ("/attributes", "expected an object, got an array"),
        ("/chanel", "unknown field `chanel`; did you mean `channel`?"),
        ("/channel", "is required"),
        ("/content/steps", "`101` is more than 100"),
        ("/content/tags/1", "expected a string, got an integer"),
        ("/id", "is empty"),
        ("/lane", "`monetised` is not one of `monetized`, `transactional`; did you mean `monetized`?"),
        ("/recipient/age", "expected an integer, got a number"),
        ("/recipient/country", "`deu` is not two capital letters, such as `DE`"),
        ("/recipient/email", "unknown field `email`"),
        (
            "/send_at",
            "`2026-12-01T12:00:00` is not an RFC 3339 date and time with a zone, such as `2026-12-01T12:00:00Z`",
        ),
    ]


def test_a_single_error_is_the_message():
    with pytest.raises(CandidateError) as refused:
        DECODER.decode(json.dumps(CANDIDATE | {"recipient": {}}).encode())
    assert str(refused.value) == "`/recipient/id`: is required"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], [("", "expected an object, got an array")]),
        (None, [("", "expected an object, got null")]),
        (CANDIDATE | {"recipient": None}, [("/recipient", "expected an object, got null")]),
        (CANDIDATE | {"x/y~z": 1}, [("/x~1y~0z", "unknown field `x/y~z`")]),
        (
            CANDIDATE | {"recipient": {"id": "r", "age": 30.0}},
            [("/recipient/age", "expected an integer, got a number")],
        ),
        (
            CANDIDATE | {"recipient": {"id": "r", "age": True}},
            [("/recipient/age", "expected an integer, got a boolean")],
        ),
        (CANDIDATE | {"id": "i" * 201}, [("/id", "is 201 characters long; at most 200 are taken")]),
    ],
    ids=["array", "null", "null-part", "escaped", "whole-float", "boolean", "long"],
)
def test_one_error_by_pointer(value, expected):
    assert errors_of(value) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"send_at": "3000-01-01T00:00:00Z"}, ("/send_at", YEARS)),
        ({"offer": {"id": "o", "expires_at": "1969-12-31T23:59:59Z"}}, ("/offer/expires_at", YEARS)),
        ({"context": {"kind": "k", "at": "2200-01-01T00:00:00Z"}}, ("/context/at", YEARS)),
        ({"attributes": {"a": {"b/c": "x" * 1001}}}, ("/attributes/a/b~1c", "is longer than 1000")),
        (
            {"attributes": {"a": {"b.c": 1}}},
            ("/attributes/a", "has the name `b.c`; names are 1 to 100 characters without a dot"),
        ),
    ],
)
def test_what_only_the_type_itself_knows_is_told_by_pointer_too(change, expected):
    assert errors_of(CANDIDATE | change) == [expected]


def test_what_only_the_type_of_a_part_knows_is_told_by_the_pointer_of_the_whole():
    with pytest.raises(CandidateError) as refused:
        Decoder(list[Candidate]).convert([CANDIDATE, CANDIDATE | {"send_at": "3000-01-01T00:00:00Z"}])
    assert refused.value.problems == (("/1/send_at", YEARS),)


def test_a_number_out_of_range_is_told_by_pointer():
    with pytest.raises(CandidateError) as refused:
        DECODER.decode(json.dumps(CANDIDATE).replace('"c"', '"c", "attributes": {"a": 1e999}').encode())
    assert refused.value.problems == (("/attributes", "number out of range"),)


def test_errors_are_bounded_however_many_there_are():
    many = CANDIDATE | {f"x{number}": 1 for number in range(500)}
    assert len(errors_of(many)) == MAX_ERRORS


def test_what_is_shown_back_is_bounded_and_printable():
    ((_, detail),) = errors_of(CANDIDATE | {"lane": "\u202e\x00" + "x" * 5000})
    assert detail.isprintable()
    assert len(detail) < 300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "there is nothing where JSON should be"),
        (b'{"id": ', "the JSON is cut short: it ends within a value"),
        (
            b'{"id": "\\ud800x"}',
            "the JSON is cut short, or holds one half of a surrogate pair (`\\ud800`), which is no character",
        ),
        (b'{"id": 1,}', "JSON is malformed: trailing comma in object (byte 9)"),
        (b"{'id': 1}", "JSON is malformed: object keys must be strings (byte 1)"),
        (b'{"id": NaN}', "JSON is malformed: invalid character (byte 7)"),
        (b"\xef\xbb\xbf{}", "JSON is malformed: invalid character (byte 0)"),
        (b'{"id": "\xff"}', "the JSON is not UTF-8 (byte 8)"),
        (b'{"id": "c"}x', "JSON is malformed: trailing characters (byte 12)"),
        (b'{"attributes":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "the JSON is nested too deep"),
    ],
    ids=["empty", "cut", "half a pair", "comma", "quotes", "nan", "bom", "latin", "trailing", "deep"],
)
def test_what_is_no_json_is_malformed(text, message):
    with pytest.raises(CandidateError) as refused:
        DECODER.decode(text)
    assert (type(refused.value), str(refused.value), refused.value.problems) == (MalformedError, message, ())


def test_a_hostile_id_is_refused_in_words():
    assert errors_of(CANDIDATE | {"id": "a\x00b"}) == [("/id", "`a\\x00b` holds a control character")]


SENT = (
    Candidate, ConsentRequest, PreferenceRequest, OfferRequest, OfferQuery, ConversionRequest, StepReport,
    RedemptionRequest, RefundRequest, RevenueRequest, ReversalRequest, TopUpRequest,
)  # fmt: skip


def test_every_pattern_of_what_callers_send_has_words():
    schema = json.dumps([msgspec.json.schema(type_) for type_ in SENT])
    patterns = {json.loads(f'"{pattern}"') for pattern in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', schema)}
    assert (len(patterns), patterns - _PATTERNS.keys() - {CURRENCY_FORM}) == (10, set())


OFFER = {"id": "upgrade", "title": "Sea view", "amount_minor": 1900, "currency": "EUR", "sponsor": {"id": "hotel"}}


def test_a_currency_that_is_none_is_told_beside_everything_else():
    with pytest.raises(CandidateError) as refused:
        Decoder(OfferRequest).convert(OFFER | {"currency": "BGN", "title": "", "id": "Sea view"})
    assert sorted(refused.value.problems) == [
        ("/currency", "`BGN` is not a currency in use any more: `EUR` took its place"),
        (
            "/id",
            "`Sea view` is not 1 to 64 letters, digits and `.`, `_`, `~`, `-`, of which the first is a letter or digit",
        ),
        ("/title", "is empty"),
    ]


def test_a_currency_that_is_none_hides_nothing_that_only_the_type_itself_finds():
    wrong = {"currency": "BGN", "begins_at": "2026-12-02T00:00:00Z", "ends_at": "2026-12-01T00:00:00Z"}
    with pytest.raises(CandidateError) as refused:
        Decoder(OfferRequest).convert(OFFER | wrong)
    assert refused.value.problems == (
        ("/currency", "`BGN` is not a currency in use any more: `EUR` took its place"),
        ("/ends_at", "does not lie after `begins_at`"),
    )


@pytest.mark.parametrize(
    ("currency", "told"),
    [("BGN", "`BGN` is not a currency in use any more: `EUR` took its place"), ("", "is empty")],
)
def test_a_currency_is_found_wrong_once(currency, told):
    with pytest.raises(CandidateError) as refused:
        Decoder(TopUpRequest).convert({"id": "t", "recipient": "r", "amount_minor": 5, "currency": currency})
    assert refused.value.problems == (("/currency", told),)


def test_all_that_only_a_type_itself_finds_wrong_is_told_at_once():
    wrong = {"begins_at": "2026-12-02T00:00:00Z", "ends_at": "2026-12-01T00:00:00Z", "steps": ["pay", "view", "view"]}
    with pytest.raises(CandidateError) as refused:
        Decoder(OfferRequest).convert(OFFER | wrong | {"payment": "none"})
    assert refused.value.problems == (
        ("/ends_at", "does not lie after `begins_at`"),
        ("/steps/2", "`view` stands in the list already"),
        ("/steps/0", "`pay` is the payment: no step comes after it"),
        ("/payment", "is `none`, and there is something to pay: it is `wallet` or `provider`"),
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"amount_minor": 19.99}, "expected an integer, got a number; it is in whole minor units: 1900 are 19.00 EUR"),
        ({"commission_bps": "15%"}, "expected an integer, got a string; it is in whole basis points: 500 are 5 %"),
        ({"session_seconds": "5m"}, "expected an integer, got a string; it is in whole seconds"),
        ({"session_seconds": 3601}, "`3601` is more than 3600; it is in whole seconds"),
    ],
)
def test_a_number_in_other_units_is_told_which_it_is_in(wrong, told):
    with pytest.raises(CandidateError) as refused:
        Decoder(OfferRequest).convert(OFFER | wrong)
    (field,) = wrong
    assert refused.value.problems == ((f"/{field}", told),)


def test_what_revenue_is_owed_to_is_said_in_one_way():
    said = {"id": "order", "amount_minor": 5, "currency": "EUR", "sponsor": "hotel", "decision_id": "d-1"}
    with pytest.raises(CandidateError) as refused:
        Decoder(RevenueRequest).convert(said)
    message = "is another way than `decision_id` to say what it is owed to: give one of them"
    assert refused.value.problems == (("/sponsor", message),)


def test_what_is_empty_is_told_so_once():
    with pytest.raises(CandidateError) as refused:
        Decoder(RefundRequest).convert({"kind": "refund", "reason": ""})
    assert refused.value.problems == (("/reason", "is empty"),)


def test_a_pattern_without_words_is_shown_as_it_is():
    with pytest.raises(CandidateError, match="`x` does not match `\\^y\\$`"):
        Decoder(Annotated[str, msgspec.Meta(pattern="^y$")]).convert("x")
