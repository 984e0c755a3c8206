"""The controller: who answers for what is done with a recipient's data, as consent receipts name it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from guardrails.core.candidate import CountryOrRegion

__all__ = ["Controller"]

_Text = Annotated[str, Meta(min_length=1, max_length=500)]
_Url = Annotated[str, Meta(pattern=r"^https?://[^\s]+$", max_length=500)]


class Controller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What ISO/IEC TS 27560 asks to be said of the party that is responsible, and of where its data are.

    `contact` is how to reach whoever answers questions on privacy, `withdraw_at` where a consent is withdrawn,
    `rights_at` where it says what other rights there are and how to use them.
    """

    name: _Text
    address: _Text
    contact: _Text
    url: _Url | None = None
    withdraw_at: _Url | None = None
    rights_at: _Url | None = None
    storage_locations: tuple[CountryOrRegion, ...] = ()
