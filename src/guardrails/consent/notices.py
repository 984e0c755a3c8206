"""Notices: the texts that recipients were shown when they were asked, each kept for ever under the hash of all of it.

    sha256 of {"id": "privacy", "language": "de", "purposes": [{"benefit": ..., ...}], "text": ..., "version": "3"}

A notice says what the policies declared of its purposes at that time, in its language where they have it: title,
benefit, which data is used (where that is declared), and what is shared with whom. So the record of a consent, which
carries the hash, proves what was promised, whatever is declared later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from guardrails.core.candidate import Language, Word
from guardrails.core.purposes import Purpose, Sharing
from guardrails.decoding import invalid
from guardrails.policyfile.problems import did_you_mean, quote

__all__ = ["Notice", "NoticeContent", "NoticeKey", "NoticePurpose", "NoticeRequest", "NoticeRow", "content_of"]

TEXT_LENGTH = 50_000
PURPOSES_MOST = 50

_Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]


class NoticeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice to keep: the `text` as recipients are shown it, in one `language` (BCP 47), and the purposes it is for.

    What the policies declare of the purposes becomes part of it.
    """

    id: Word
    version: Word
    language: Language
    purposes: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=PURPOSES_MOST)]
    text: _Text


class NoticePurpose(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the notice says of a purpose: all texts are for the recipient.

    `data` is left out where it is empty, and `language` where it is the notice's own.
    """

    id: str
    title: str
    benefit: str | None
    shared_with: tuple[Sharing, ...]
    data: tuple[str, ...] = ()
    language: str | None = None


class NoticeContent(msgspec.Struct, frozen=True, kw_only=True):
    """All that the hash is of."""

    id: str
    version: str
    language: str
    purposes: tuple[NoticePurpose, ...]
    text: str

    @property
    def canonical(self) -> bytes:
        """The JSON that is hashed: names sorted, no space, UTF-8 (RFC 8785)."""
        return msgspec.json.encode(self, order="sorted")


class NoticeRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice as another ledger keeps it: what it says, with the declarations of that time, and the hash of all that.

    `recorded_at` is that ledger's own time, and is no other's.
    """

    id: Word
    version: Word
    language: Language
    purposes: Annotated[tuple[NoticePurpose, ...], Meta(min_length=1, max_length=PURPOSES_MOST)]
    text: _Text
    hash: str
    recorded_at: datetime | None = None

    @property
    def content(self) -> NoticeContent:
        """All that the hash is of."""
        return NoticeContent(**{name: getattr(self, name) for name in NoticeContent.__struct_fields__})


class NoticeKey(msgspec.Struct, frozen=True):
    """What a request names: a version of a notice, in a language or in whichever there is."""

    id: str
    version: str
    language: str | None


class Notice(NoticeContent, frozen=True, kw_only=True):
    """A notice as it is kept. `hash` is `sha256:` and the hash of its content, in hexadecimal."""

    hash: str
    recorded_at: datetime

    @classmethod
    def of(cls, content: NoticeContent, *, recorded_at: datetime) -> Notice:
        """The notice that says this."""
        digest = hashlib.sha256(content.canonical).hexdigest()
        return cls(**msgspec.structs.asdict(content), hash=f"sha256:{digest}", recorded_at=recorded_at)

    @property
    def content(self) -> NoticeContent:
        """All that the hash is of."""
        return NoticeContent(**{name: getattr(self, name) for name in NoticeContent.__struct_fields__})

    def is_about(self, purpose: str) -> bool:
        """Whether it tells of the purpose."""
        return any(each.id == purpose for each in self.purposes)


def content_of(request: NoticeRequest, declared: Mapping[str, Purpose]) -> NoticeContent:
    """What a notice says, with what is `declared` of its purposes.

    Raises CandidateError where a purpose is not declared, or named twice.
    """
    problems = []
    for place, purpose in enumerate(request.purposes):
        if purpose not in declared:
            problems.append((f"/purposes/{place}", undeclared(purpose, declared)))
        elif purpose in request.purposes[:place]:
            problems.append((f"/purposes/{place}", f"{quote(purpose)} is named twice"))
    if problems:
        raise invalid(tuple(problems))
    return NoticeContent(
        id=request.id,
        version=request.version,
        language=request.language,
        purposes=tuple(_shown(declared[purpose], request.language) for purpose in request.purposes),
        text=request.text,
    )


def undeclared(purpose: str, declared: Mapping[str, Purpose]) -> str:
    """That the active policies declare no such purpose, and which one may be meant."""
    if not declared:
        return f"{quote(purpose)} is not declared: the active policies declare no purposes"
    hint = did_you_mean(purpose, declared)
    return f"{quote(purpose)} is not declared by the active policies{f'; {hint}' if hint else ''}"


def _shown(purpose: Purpose, language: str) -> NoticePurpose:
    words = purpose.words_in(language)
    is_in_it = words.language.partition("-")[0].lower() == language.partition("-")[0].lower()
    return NoticePurpose(
        id=purpose.id,
        title=words.title,
        benefit=words.benefit,
        shared_with=words.shared_with,
        data=words.data,
        language=None if is_in_it else words.language,
    )
