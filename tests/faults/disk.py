"""A disk of half a gigabyte that a test fills, write-protects or freezes under a running service.

A real file system (ext4 in a file, on a loop device), so what programs see is what the kernel tells them: ENOSPC,
EPERM, and calls that do not return. Only root may mount one.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

_SIZE = 512 << 20


@dataclass(frozen=True)
class SmallDisk:
    """The file system at `path`, which anybody may enter."""

    path: Path

    @contextmanager
    def filled(self) -> Iterator[None]:
        """No byte is free within the block."""
        ballast = self.path / "ballast"
        with ballast.open("wb") as file:
            size = 0
            for step in (1 << 24, 1 << 20, 1 << 12):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), size, step)
                        size += step
        try:
            yield
        finally:
            ballast.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Nothing can be changed within the block, through files that are open already neither.

        (The kernel refuses to remount what is open for writing; the files are made immutable instead.)
        """
        self._change("+i")
        try:
            yield
        finally:
            self._change("-i")

    def freeze(self, seconds: float) -> None:
        """Whoever writes, or waits for the disk, goes on once the time is over - also where this process is gone."""
        frozen = f"fsfreeze --freeze {self.path} && {{ sleep {seconds}; fsfreeze --unfreeze {self.path}; }}"
        subprocess.run(["sh", "-c", frozen], check=True, start_new_session=True)

    def _change(self, attribute: str) -> None:
        subprocess.run(["chattr", "-R", attribute, self.path], check=True)


@contextmanager
def mount_small_disk() -> Iterator[SmallDisk]:
    """A disk for the block. Its path is short, and open to the user that PostgreSQL runs as."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    with tempfile.TemporaryDirectory(prefix="gr-disk-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        image, path = Path(directory) / "image", Path(directory) / "disk"
        path.mkdir()
        with image.open("wb") as file:
            file.truncate(_SIZE)
        # Blocks as large as pages, as on disks of today. Of smaller ones SQLite reserves the last of each page only,
        # for the memory that processes share, and the process is killed (SIGBUS) where the others can't be had.
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-b", "4096", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, path], check=True)
        try:
            yield SmallDisk(path)
        finally:
            subprocess.run(["umount", "--lazy", path], check=True)
