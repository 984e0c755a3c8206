"""The words that withdraw a consent by replying: STOP, QUIT, END, REVOKE, OPT OUT, CANCEL, UNSUBSCRIBE, STOP ALL.

    keyword_in(" S.T.O.P!! ")    # "stop"
    keyword_in("don't stop")     # None

The reply must be the word and nothing else but punctuation and space, in any case; the words are those of 47 CFR
64.1200(a)(10), and STOPALL, which carriers take as well (CTIA). Letters that only look different (full width,
ligatures, invisible ones between them) are the same.
"""

from __future__ import annotations

import unicodedata

__all__ = ["KEYWORDS", "keyword_in", "letters"]

KEYWORDS = ("STOP", "QUIT", "END", "REVOKE", "OPT OUT", "CANCEL", "UNSUBSCRIBE", "STOP ALL")

_LENGTH_MOST = 200
"""Characters of a reply that is looked at; what is longer says more than one word."""


def keyword_in(text: str) -> str | None:
    """The keyword that a reply consists of, in lower case, or None."""
    return _BY_LETTERS.get(letters(text)) if len(text) <= _LENGTH_MOST else None


def letters(text: str) -> str:
    """Letters and digits as they compare: by NFKC, without case. All else is gone, marks and invisible ones too."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(filter(str.isalnum, folded))


_BY_LETTERS = {letters(keyword): keyword.lower() for keyword in KEYWORDS}
