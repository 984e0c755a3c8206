"""Purposes: what a recipient can consent to, as the project declares it once for all policies, notices and receipts.

Also the two methods of a consent record that mean something to every purpose; all others are the project's own words.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["DOUBLE_OPT_IN", "LAWFUL_BASES", "OS_PERMISSION", "LawfulBasis", "Purpose", "Sharing"]

LawfulBasis = Literal[
    "consent", "contract", "legal_obligation", "vital_interests", "public_task", "legitimate_interests"
]
"""The six of GDPR Art. 6(1), in its order."""

LAWFUL_BASES: tuple[LawfulBasis, ...] = (
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
)

DOUBLE_OPT_IN = "double_opt_in"
"""The method of a grant that the recipient confirmed by a link sent to them."""

OS_PERMISSION = "os_permission"
"""The method of a grant that is an operating system's permission to notify: recorded, and never a consent."""


class Sharing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who else gets to know what."""

    whom: str
    what: str


class Purpose(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One purpose. All texts are for the recipient to read.

    `data` is what is used of the recipient's personal data. `benefit` is what the recipient gets for it, without which
    no monetized content may be sent under it. `retention_seconds` is how long the operator means to have the proof of a
    consent after it ended; nothing is deleted by it. Where `double_opt_in`, a grant counts once it is confirmed.
    """

    id: str
    title: str
    lawful_basis: LawfulBasis = "consent"
    data: tuple[str, ...] = ()
    shared_with: tuple[Sharing, ...] = ()
    benefit: str | None = None
    retention_seconds: int | None = None
    double_opt_in: bool = False
