"""What purposes are called on a page: in its language where the policies say it, else marked as what it is in.

A title in another language carries `lang`, so that it is read out as what it is (WCAG 3.1.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from guardrails.consent.notices import Notice
from guardrails.core.purposes import Purpose, Words
from guardrails.web.page.texts import Catalogue

__all__ = ["in_language", "title_of", "titles_of", "words_of", "words_shown"]


def words_of(purpose: str, declared: Mapping[str, Purpose], catalogue: Catalogue) -> Words | None:
    """What is said of a purpose, None where nobody declares it."""
    found = declared.get(purpose)
    return None if found is None else found.words_in(catalogue.language)


def words_shown(notice: Notice, purpose: str, declared: Mapping[str, Purpose], catalogue: Catalogue) -> Words | None:
    """What a notice says of a purpose, in its own words; as the policies say the very same in the page's language.

    What is declared where the notice doesn't tell of the purpose.
    """
    now = words_of(purpose, declared, catalogue)
    for told in notice.purposes:
        if told.id == purpose:
            then = Words(
                language=told.language or notice.language,
                title=told.title,
                benefit=told.benefit,
                data=told.data,
                shared_with=told.shared_with,
            )
            is_the_same = now is not None and _said(then) == _said(declared[purpose].words_in(then.language))
            return now if is_the_same else then
    return now


def _said(words: Words) -> tuple[object, ...]:
    return words.title, words.benefit, words.data, words.shared_with


def title_of(purpose: str, declared: Mapping[str, Purpose], catalogue: Catalogue) -> Markup:
    """What a recipient knows a purpose by; its id, made readable, where nobody declares it."""
    words = words_of(purpose, declared, catalogue)
    return catalogue.word("purpose", purpose) if words is None else in_language(words.title, words.language, catalogue)


def titles_of(purposes: Iterable[str], declared: Mapping[str, Purpose], catalogue: Catalogue) -> Markup:
    """All of them in one line."""
    return Markup("; ").join(title_of(each, declared, catalogue) for each in purposes)


def in_language(text: str, language: str, catalogue: Catalogue) -> Markup:
    """A text, marked with its language where that is not the page's."""
    template = Markup("{text}") if language == catalogue.language else Markup('<span lang="{language}">{text}</span>')
    return template.format(text=text, language=language)
