"""Purposes: what a recipient can consent to, as the project declares it once for all policies, notices and receipts.

Also the two methods of a consent record that mean something to every purpose; all others are the project's own words.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "DEFAULT_LANGUAGE",
    "DOUBLE_OPT_IN",
    "LAWFUL_BASES",
    "OS_PERMISSION",
    "LawfulBasis",
    "Purpose",
    "Sharing",
    "Translation",
    "Words",
]

DEFAULT_LANGUAGE = "en"
"""What a set is written in that does not say."""

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


class Translation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a purpose says to the recipient, in another language: no less and no more."""

    title: str
    data: tuple[str, ...] = ()
    shared_with: tuple[Sharing, ...] = ()
    benefit: str | None = None


class Words(Translation, frozen=True, kw_only=True):
    """What a recipient is told of a purpose, all of it in one `language` (BCP 47)."""

    language: str


class Purpose(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One purpose. All texts are for the recipient to read, in `language` or, by language, in `translations`.

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
    language: str = DEFAULT_LANGUAGE
    translations: dict[str, Translation] = {}

    def words_in(self, language: str) -> Words:
        """What it says in a language (BCP 47) or in one less special, as `de` for `de-AT`; else as it was written.

        That is the lookup of RFC 4647.
        """
        wanted = language.lower()
        written: dict[str, tuple[str, Purpose | Translation]] = {
            tag.lower(): (tag, said) for tag, said in self.translations.items()
        }
        written[self.language.lower()] = (self.language, self)
        while wanted and wanted not in written:
            wanted = wanted.rpartition("-")[0]
        tag, said = written.get(wanted, (self.language, self))
        return Words(language=tag, title=said.title, data=said.data, shared_with=said.shared_with, benefit=said.benefit)
