"""The pages for recipients: HTML made here, without script, without cookies and without anything from elsewhere.

Whoever opens one was sent its link; the signed token in it is the only credential. A page is looked at by link scanners
too, so a GET never changes what the recipient chose or agreed to.
"""

from __future__ import annotations

from guardrails.web.page.html import Html
from guardrails.web.page.link_room import PreferenceLinkRoom
from guardrails.web.page.room import PageRoom

__all__ = ["Html", "PageRoom", "PreferenceLinkRoom"]
