"""What purposes are called on a page: in its language where the policies say it, else marked as what it is in.

A title in another language carries `lang`, so that it is read out as what it is (WCAG 3.1.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from guardrails.core.purposes import Purpose, Words
from guardrails.web.page.texts import Catalogue

__all__ = ["in_language", "title_of", "titles_of", "words_of"]


def words_of(purpose: str, declared: Mapping[str, Purpose], catalogue: Catalogue) -> Words | None:
    """What is said of a purpose, None where nobody declares it."""
    found = declared.get(purpose)
    return None if found is None else found.words_in(catalogue.language)


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
