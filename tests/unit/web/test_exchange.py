from __future__ import annotations

import io

import pytest

from guardrails.web.exchange import Exchange
from guardrails.web.problems import Refusal

TRACE = "0af7651916cd43dd8448eb211c80319c"


def environ(body=b"{}", **extra):
    return {
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    } | extra


@pytest.mark.parametrize("given", ["a", "8f14e45f-ea71", "Root=1-67891233-abcdef", "x" * 128])
def test_a_sane_request_id_is_kept(given):
    assert Exchange(environ(HTTP_X_REQUEST_ID=given)).request_id == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "a\nb", 'a"b', "ä", None])
def test_any_other_request_id_is_replaced_by_a_new_one(given):
    extra = {} if given is None else {"HTTP_X_REQUEST_ID": given}
    first, second = Exchange(environ(**extra)).request_id, Exchange(environ(**extra)).request_id
    assert len({given, first, second}) == 3
    assert len(first) == 16


@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [
        (f"00-{TRACE}-b7ad6b7169203331-01", TRACE),
        (f"01-{TRACE}-b7ad6b7169203331-01-more", TRACE),
        (f"ff-{TRACE}-b7ad6b7169203331-01", None),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", None),
        (f"00-{TRACE.upper()}-b7ad6b7169203331-01", None),
        (TRACE, None),
        ("", None),
    ],
    ids=["valid", "later-version", "version-ff", "zeros", "upper", "bare", "empty"],
)
def test_the_trace_id_is_taken_from_a_valid_traceparent(traceparent, expected):
    assert Exchange(environ(HTTP_TRACEPARENT=traceparent)).trace_id == expected


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_json_is_taken(content_type):
    assert Exchange(environ(b"[1]", CONTENT_TYPE=content_type)).read_body(limit=3) == b"[1]"


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", "application/jsonp"],
)
def test_anything_else_is_refused(content_type):
    with pytest.raises(Refusal) as refused:
        Exchange(environ(b"[1]", CONTENT_TYPE=content_type)).read_body(limit=3)
    assert refused.value.kind == "unsupported-media-type"


@pytest.mark.parametrize(
    ("body", "length"),
    [(b"x" * 11, "11"), (b"", "11"), (b"x" * 11, None), (b"x" * 11, "many"), (b"", "9" * 400)],
    ids=["declared", "declared-only", "chunked", "no-number", "huge"],
)
def test_a_body_over_the_limit_is_refused(body, length):
    extra = environ(body)
    extra["CONTENT_LENGTH"] = length
    with pytest.raises(Refusal) as refused:
        Exchange(extra).read_body(limit=10)
    assert refused.value.kind == "too-large"


def test_a_chunked_body_within_the_limit_is_read():
    extra = environ(b"x" * 10)
    del extra["CONTENT_LENGTH"]
    assert Exchange(extra).read_body(limit=10) == b"x" * 10


def test_a_body_cut_short_is_malformed():
    with pytest.raises(Refusal) as refused:
        Exchange(environ(b"abc", CONTENT_LENGTH="5")).read_body(limit=10)
    assert (refused.value.kind, refused.value.detail) == ("malformed", "the body ended after 3 of 5 bytes")


@pytest.mark.parametrize("body", [b"", b" \r\n"])
@pytest.mark.parametrize("is_declared", [True, False])
def test_an_empty_body_is_called_empty(body, is_declared):
    extra = environ(body)
    if not is_declared:
        del extra["CONTENT_LENGTH"]
    with pytest.raises(Refusal) as refused:
        Exchange(extra).read_body(limit=10)
    assert (refused.value.kind, refused.value.detail) == ("malformed", "the body is empty")
