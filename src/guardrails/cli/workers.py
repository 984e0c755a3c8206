"""The processes that serve, looked after by Granian, but for one thing: a worker that dies is replaced, always.

Granian ends for good where a worker dies within seconds of the one that it replaced, and takes no notice of one that
dies just as it attends to another. Here whoever is dead is replaced, after a pause that grows where they go on dying
young: a worker that can't start now, for want of memory say, or of policies that load, can once that is over.
"""

from __future__ import annotations

import time
from typing import Any

from granian.log import logger
from granian.server.mp import MPServer

__all__ = ["Workers"]

LOOK_SECONDS = 1.0
"""How often the workers are looked at, even if nobody said that one died."""

YOUNG_SECONDS = 5.0
YOUNG_DEATHS = 3
"""So many in a row are no accident, such as a kill or two: from then on the pause doubles."""

PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class Workers(MPServer):
    """Granian's server with a loop of its own."""

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401 - Granian's own
        young_deaths = 0
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(LOOK_SECONDS)
            self.main_loop_interrupt.clear()
            self.interrupt_children.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
            dead = [worker for worker in self.wrks if not worker.is_alive()]  # type: ignore[no-untyped-call]
            if dead and not self.interrupt_signal:
                is_young = any(time.monotonic() - worker.birth < YOUNG_SECONDS for worker in dead)
                young_deaths = young_deaths + 1 if is_young else 0
                self.main_loop_interrupt.wait(_pause_seconds(young_deaths))
                if not self.interrupt_signal:
                    young_deaths += self._replace(dead, spawn_target, target_loader)
        self.main_loop_interrupt.set()  # whoever waits to hear that it is to stop

    def _replace(self, dead: list[Any], spawn_target: Any, target_loader: Any) -> int:  # noqa: ANN401 - Granian's own
        """Replace them; returns how many could not be, which the next look finds dead again."""
        failed = 0
        for worker in dead:
            try:
                self._respawn_workers([worker.idx], spawn_target, target_loader)
            except (OSError, RuntimeError) as error:  # the system has no process, or no thread, to give
                failed += 1
                logger.error(f"worker-{worker.idx + 1} can't be started now: {error}")
                if worker not in self.wrks:
                    self.wrks.insert(worker.idx, worker)
        return failed


def _pause_seconds(young_deaths: int) -> float:
    """How long to wait before the next is tried, after so many in a row that died young."""
    return min(PAUSE_SECONDS * 2.0 ** max(0, young_deaths - YOUNG_DEATHS), LONGEST_PAUSE_SECONDS)
