from __future__ import annotations

import pytest

from guardrails.consent.keywords import KEYWORDS, keyword_in


def test_the_keywords_are_those_that_people_are_told():
    assert KEYWORDS == ("STOP", "QUIT", "END", "REVOKE", "OPT OUT", "CANCEL", "UNSUBSCRIBE", "STOP ALL")
    assert [keyword_in(keyword) for keyword in KEYWORDS] == [
        "stop", "quit", "end", "revoke", "opt out", "cancel", "unsubscribe", "stop all",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "stop",
        "Stop",
        "sToP",
        "STOP!",
        '"STOP".',
        "  stop \r\n",
        "s.t.o.p",
        "\u201eStop\u201c \u2026",
        "\uff33\uff34\uff2f\uff30",  # full width
        "\ufb06op",  # the ligature of s and t
        "S\u200bT\u200cO\u200dP\ufeff",  # zero-width letters between them
        "\u202eSTOP\u202c",  # written from the right
        "ST\u00adOP",  # a soft hyphen
        "\u00a0STOP\u3000",
        "STOP \U0001f6d1",
    ],
    ids=ascii,
)
def test_case_punctuation_space_and_disguise_make_no_difference(text):
    assert keyword_in(text) == "stop"


@pytest.mark.parametrize("text", ["opt out", "OPT-OUT", "optout", "Opt  Out.", "opt\nout", "OPT_OUT", "opt\u00a0out"])
def test_opt_out_is_one_word_or_two(text):
    assert keyword_in(text) == "opt out"


@pytest.mark.parametrize("text", ["STOP ALL", "stopall", "Stop-All!"])
def test_stop_all_is_one_word_or_two(text):
    assert keyword_in(text) == "stop all"


@pytest.mark.parametrize("text", ["QU\u0130T", "q\u0075\u0307it"], ids=ascii)
def test_marks_make_no_difference(text):
    assert keyword_in(text) == "quit"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "!?",
        "START",
        "please stop",
        "don't stop",
        "stop it",
        "stop all please",
        "stopped",
        "stop1",
        "nonstop",
        "the end",
        "stop stop",
        "st\u00f3p",  # another letter, not a mark of its own under NFKC
        "\u0455top",  # a Cyrillic letter
        "STOPPEN",
        "stop" + " " * 300,
    ],
    ids=ascii,
)
def test_whatever_says_more_or_something_else_is_no_keyword(text):
    assert keyword_in(text) is None
