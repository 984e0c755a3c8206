"""What is left of former epochs: removed in small steps, once for each epoch that a process sees.

All of it would end by itself, but only when the longest window does, and until then Redis would hold the caps twice.
"""

from __future__ import annotations

from typing import Any, cast

from guardrails.caps.redis.epochs import lineage_of, number_of
from guardrails.caps.redis.layout import epoch_of, epoch_pattern
from guardrails.caps.redis.node import Node
from guardrails.caps.redis.servers import Servers

__all__ = ["Leftovers"]

PAGES = 10
"""How many pages of keys are looked through in one step where none holds anything to remove."""


class Leftovers:
    """Looks through the servers' keys for those of former epochs of the same database."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._epoch = ""
        self._cursors: dict[str, int] = {}
        self._done: set[str] = set()

    def remove(self, epoch: str, most: int) -> int:
        """Remove at most `most` keys that are older than `epoch`; returns how many."""
        if epoch != self._epoch:
            self._epoch, self._cursors, self._done = epoch, {}, set()
        for node in self._servers.nodes():
            for _ in range(PAGES):
                if node.address in self._done:
                    break
                if removed := self._remove_page(node, most):
                    return removed
        return 0

    def _remove_page(self, node: Node, most: int) -> int:
        cursor = self._cursors.get(node.address, 0)
        following, keys = cast(
            "tuple[int, list[bytes]]",
            node.client.scan(cursor, match=epoch_pattern(lineage_of(self._epoch)), count=most),
        )
        old = [key for key in keys if number_of(epoch_of(key.decode())) < number_of(self._epoch)]
        # One by one, because a cluster takes no two keys of different slots in one command.
        pipeline: Any = node.client.pipeline(transaction=False)
        for key in old[:most]:
            pipeline.unlink(key)
        pipeline.execute()
        if len(old) > most:
            return most  # and look at the page again
        self._cursors[node.address] = following
        if following == 0:
            self._done.add(node.address)
        return len(old)
