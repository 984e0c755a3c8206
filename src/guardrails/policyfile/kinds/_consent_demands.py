"""What `consent_required` can demand of a grant beyond that it is one: how it was given, on which notice, for what.

A demand is a frozen value: `holds` judges a record, `refusal` is what the state is called where it doesn't hold, and
`words` say it to the sender. What a record lacks it lacks for good; only a new record helps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

import msgspec

from guardrails.core.needs import ConsentState
from guardrails.core.purposes import DOUBLE_OPT_IN, OS_PERMISSION
from guardrails.core.versions import is_at_least

__all__ = ["ByMethod", "Confirmed", "Demand", "IsConsent", "NamesChannel", "OfNotice", "SinceVersion", "UnderLaw"]


class Demand(Protocol):
    """One demand on the record of a grant."""

    @property
    def refusal(self) -> str:
        """The state where it doesn't hold, and the last part of the reason's code."""

    @property
    def words(self) -> str:
        """What is demanded, as it goes on after "consent is required"; empty where it goes without saying."""

    def holds(self, record: ConsentState, /) -> bool:
        """Whether the record is as demanded."""


class _Demand(msgspec.Struct, frozen=True):
    """A value, equal to another that demands the same."""


class IsConsent(_Demand, frozen=True):
    """A person agreed to something, not only a device to show it."""

    refusal: ClassVar[str] = "not_a_consent"
    words: ClassVar[str] = ""

    def holds(self, record: ConsentState, /) -> bool:
        """Whether it is more than an operating system's permission."""
        return record.method != OS_PERMISSION


class Confirmed(_Demand, frozen=True):
    """The recipient confirmed it by a link that only they got."""

    refusal: ClassVar[str] = "unconfirmed"
    words: ClassVar[str] = "confirmed by double opt-in"

    def holds(self, record: ConsentState, /) -> bool:
        """Whether it was confirmed."""
        return record.method == DOUBLE_OPT_IN


class ByMethod(_Demand, frozen=True):
    """It was given in one of these ways."""

    refusal: ClassVar[str] = "wrong_method"
    methods: tuple[str, ...]

    @property
    def words(self) -> str:
        """The ways."""
        return f"given by {_either(self.methods)}"

    def holds(self, record: ConsentState, /) -> bool:
        """Whether it was given in one of them."""
        return record.method in self.methods


class OfNotice(_Demand, frozen=True):
    """The recipient was shown this notice."""

    refusal: ClassVar[str] = "wrong_notice"
    notice_id: str

    @property
    def words(self) -> str:
        """The notice."""
        return f"given on the notice `{self.notice_id}`"

    def holds(self, record: ConsentState, /) -> bool:
        """Whether they were shown it."""
        return record.notice_id == self.notice_id


class SinceVersion(_Demand, frozen=True):
    """The notice that the recipient was shown is of this version or a later one."""

    refusal: ClassVar[str] = "old_notice"
    minimum: str

    @property
    def words(self) -> str:
        """The version."""
        return f"given on version `{self.minimum}` of the notice or later"

    def holds(self, record: ConsentState, /) -> bool:
        """Whether it is; a version that was not recorded is not."""
        return is_at_least(record.notice_version, self.minimum)


class UnderLaw(_Demand, frozen=True):
    """The recipient was asked under the law of one of these; a country covers its regions."""

    refusal: ClassVar[str] = "wrong_jurisdiction"
    jurisdictions: tuple[str, ...]

    @property
    def words(self) -> str:
        """The countries and regions."""
        return f"given under the law of {_either(self.jurisdictions)}"

    def holds(self, record: ConsentState, /) -> bool:
        """Whether they were; where it was not recorded they were not."""
        place = record.jurisdiction
        return place is not None and (place in self.jurisdictions or place.partition("-")[0] in self.jurisdictions)


class NamesChannel(_Demand, frozen=True):
    """The record names the candidate's channel; one for all channels is not enough."""

    refusal: ClassVar[str] = "channel_not_named"
    words: ClassVar[str] = "given for the channel by name"

    def holds(self, record: ConsentState, /) -> bool:
        """Whether it does."""
        return record.names_channel


def _either(names: Iterable[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)
