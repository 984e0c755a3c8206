"""Hosts: one way to write a name, and which names a pattern means."""

from __future__ import annotations

import pytest

from guardrails.core.hosts import LONGEST_HOST, canonical_host, canonical_pattern, matches_host

LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("pay.example.com", "pay.example.com"),
        ("Pay.EXAMPLE.com", "pay.example.com"),
        ("pay.example.com.", "pay.example.com"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("XN--Bcher-KVA.example", "xn--bcher-kva.example"),
        ("例え.jp", "xn--r8jz45g.jp"),
        (LONGEST, LONGEST),
        (f"{LONGEST}.", LONGEST),
    ],
)
def test_a_host_has_one_form_however_it_is_written(text, host):
    assert host == canonical_host(text)
    assert host == canonical_host(host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "pay..example",
        ".example",
        "example..",
        "pay.example.com:443",
        "https://pay.example.com",
        "pay.example.com/checkout",
        "someone@pay.example.com",
        "[2001:db8::1]",
        "2001:db8::1",
        "pay example.com",
        " pay.example.com",
        "pay.example.com\n",
        "-pay.example.com",
        "pay-.example.com",
        "pay_me.example.com",
        "*.example.com",
        "pay%2eexample.com",
        "a" * 64 + ".example",
        f"{LONGEST}b",
        "ü" * 63 + ".example",
        "a\u3002example",  # a full stop to IDNA, none to others
    ],
)
def test_what_is_more_or_less_than_a_host_is_refused(text):
    with pytest.raises(ValueError, match=r"is not the name of a host|is longer than|versions of IDNA"):
        canonical_host(text)


UNCERTAIN = [
    "straße",
    "λόγος",
    "a\u200cb",
    "a\u200db",
    "\uff50ay",
    "a\uff0eb",
    "\ud800",
    "\u0378",
    "i\u2665u",
    "\u05d0b",
]


@pytest.mark.parametrize("label", UNCERTAIN)
def test_a_label_that_versions_of_idna_read_differently_is_refused(label):
    with pytest.raises(ValueError, match="write it as an A-label"):
        canonical_host(f"{label}.example")


def test_a_host_is_no_longer_than_names_can_be():
    assert len(LONGEST) == LONGEST_HOST


def test_a_pattern_is_a_host_or_all_below_one():
    assert canonical_pattern("Pay.Example.com.") == "pay.example.com"
    assert canonical_pattern("*.BÜCHER.example") == "*.xn--bcher-kva.example"


@pytest.mark.parametrize("text", ["*", "*.", "**.example", "*.*.example", "pay*.example", "a.*.example", "*example"])
def test_a_star_stands_for_whole_labels_at_the_start_alone(text):
    with pytest.raises(ValueError, match="is not the name of a host"):
        canonical_pattern(text)


@pytest.mark.parametrize(
    ("pattern", "host", "means"),
    [
        ("pay.example", "pay.example", True),
        ("pay.example", "eu.pay.example", False),
        ("pay.example", "pay.example.evil", False),
        ("*.pay.example", "eu.pay.example", True),
        ("*.pay.example", "a.eu.pay.example", True),
        ("*.pay.example", "pay.example", False),
        ("*.pay.example", "evilpay.example", False),
    ],
)
def test_a_pattern_means_the_host_itself_or_what_is_below_it(pattern, host, means):
    assert means is matches_host(pattern, host)
