"""The processes that serve, looked after by Granian, but for one thing: a worker that dies is replaced, always.

Granian ends for good where a worker dies within seconds of the one that it replaced, and takes no notice of one that
dies just as it attends to another. Here whoever is dead is replaced, after a pause that grows while they die young: a
worker that can't start now, for want of memory say, or of policies that load, can once that is over.
"""

from __future__ import annotations

import time
from typing import Any

from granian.server.mp import MPServer

__all__ = ["Workers"]

LOOK_SECONDS = 1.0
"""How often the workers are looked at, even if nobody said that one died."""

YOUNG_SECONDS = 5.0
PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0


class Workers(MPServer):
    """Granian's server with a loop of its own."""

    def _serve_loop(self, spawn_target: Any, target_loader: Any) -> None:  # noqa: ANN401 - Granian's own
        pause = PAUSE_SECONDS
        while not self.interrupt_signal:
            self.main_loop_interrupt.wait(LOOK_SECONDS)
            self.main_loop_interrupt.clear()
            self.interrupt_children.clear()
            if self.reload_signal:
                self._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
            dead = [worker for worker in self.wrks if not worker.is_alive()]  # type: ignore[no-untyped-call]
            if dead and not self.interrupt_signal:
                is_young = any(time.monotonic() - worker.birth < YOUNG_SECONDS for worker in dead)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS) if is_young else PAUSE_SECONDS
                self.main_loop_interrupt.wait(pause)
                self._respawn_workers([worker.idx for worker in dead], spawn_target, target_loader)
        self.main_loop_interrupt.set()  # whoever waits to hear that it is to stop
