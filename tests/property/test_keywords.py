"""Keywords in whatever dress recipients, phones and gateways send them."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from guardrails.consent.keywords import KEYWORDS, keyword_in

NOTHING = st.text(
    st.characters(categories=["Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Zs", "Zl", "Zp", "Cc", "Cf"]), max_size=4
).filter(lambda text: not any(map(str.isalnum, unicodedata.normalize("NFKC", text))))
LETTERS = st.characters(categories=["Lu", "Ll", "Nd"], exclude_characters="\ufb06")


def full_width(letter: str) -> str:
    return chr(ord(letter) + 0xFEE0) if letter != " " else "\u3000"


@st.composite
def dressed(draw):
    """A keyword and a way to write it."""
    keyword = draw(st.sampled_from(KEYWORDS))
    ways = st.sampled_from([str.upper, str.lower, full_width])
    return keyword.lower(), "".join(draw(NOTHING) + draw(ways)(letter) for letter in keyword) + draw(NOTHING)


@given(dressed())
def test_a_keyword_is_one_in_any_dress(case):
    keyword, text = case
    assert keyword_in(text) == keyword


@given(dressed(), LETTERS, st.booleans())
def test_with_a_letter_more_it_is_none(case, letter, before):
    _, text = case
    assert keyword_in(letter + text if before else text + letter) is None


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text):
    assert keyword_in(text) in {None, *map(str.lower, KEYWORDS)}
