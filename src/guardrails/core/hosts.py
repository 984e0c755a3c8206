"""Hosts: the one way to write a host's name, and which hosts a pattern means.

    canonical_host("Pay.Example.COM.")       -> "pay.example.com"
    canonical_host("bücher.example")         -> "xn--bcher-kva.example"
    matches_host("*.partner.example", "eu.partner.example")     -> True

A host is a name alone (RFC 1123, section 2.1): no scheme, port, path or address in brackets. Labels beyond ASCII become
A-labels (RFC 3490), but only those that every version of IDNA reads alike; others must come as A-labels.
"""

from __future__ import annotations

import re
from encodings.idna import ToASCII, nameprep
from unicodedata import ucd_3_2_0 as unicode_of_2003

__all__ = ["LONGEST_HOST", "canonical_host", "canonical_pattern", "is_somebodys", "matches_host"]

LONGEST_HOST = 253
"""How many characters a host's name has at most, without the dot at its end (RFC 1035, section 2.3.4)."""

_ANY_BELOW = "*."
_SUFFIXES = """
ac.uk co.uk gov.uk me.uk net.uk org.uk com.au net.au org.au co.nz co.za co.in co.jp ne.jp or.jp co.kr com.ar com.br
com.cn com.hk com.mx com.sg com.tr com.tw com.ua appspot.com azurewebsites.net blogspot.com cloudfront.net
firebaseapp.com fly.dev github.io gitlab.io herokuapp.com myshopify.com netlify.app ngrok.io onrender.com pages.dev
s3.amazonaws.com vercel.app web.app workers.dev
"""
_ANYBODYS = frozenset(_SUFFIXES.split())
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def canonical_host(text: str) -> str:
    """The host `text` in lower case, as A-labels, without a dot at its end. Raises ValueError where it is no host."""
    labels = [_label(label) for label in text.removesuffix(".").split(".")]
    host = ".".join(labels)
    if len(host) > LONGEST_HOST:
        raise ValueError(f"is longer than {LONGEST_HOST} characters")
    return host


def canonical_pattern(text: str) -> str:
    """The pattern `text`, a host or `*.` and a host, with that host made canonical. Raises ValueError for others."""
    if text.startswith(_ANY_BELOW):
        return _ANY_BELOW + canonical_host(text.removeprefix(_ANY_BELOW))
    return canonical_host(text)


def matches_host(pattern: str, host: str) -> bool:
    """Whether `pattern` means `host`: itself or, after `*.`, everything below it but not it. Both are canonical."""
    if pattern.startswith(_ANY_BELOW):
        return host.endswith(pattern[1:])
    return host == pattern


def is_somebodys(pattern: str) -> bool:
    """Whether somebody in particular has the hosts that a canonical pattern means, as far as can be told.

    False is sure: it is a name without a domain, or it means all below a suffix under which anybody gets a name. Only
    the usual ones of these are known here; publicsuffix.org has some ten thousand, which change from day to day.
    """
    suffix = pattern.removeprefix(_ANY_BELOW)
    return "." in suffix and not (pattern.startswith(_ANY_BELOW) and suffix in _ANYBODYS)


def _label(text: str) -> str:
    label = text.lower()
    if not label.isascii():
        label = _a_label(label)
    if _LABEL.fullmatch(label) is None:
        raise ValueError("is not the name of a host, such as `pay.example.com`, without scheme, port or path")
    return label


def _a_label(label: str) -> str:
    """The A-label of a label in lower case. Raises ValueError where versions of IDNA would read it differently."""
    try:
        # What IDNA 2003 maps to something else (`ß` to `ss`) or did not know, later versions read in their own way.
        is_known = all(character == "-" or unicode_of_2003.category(character)[0] in "LMN" for character in label)
        if is_known and nameprep(label) == label:
            return ToASCII(label).decode("ascii")
    except UnicodeError:  # such as one that is too long, or runs both ways
        pass
    raise ValueError("has characters that versions of IDNA read differently; write it as an A-label, `xn--...`")
