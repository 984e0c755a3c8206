"""The file that the keys stand in: a JWK set that nobody but its owner may read, made with its first use.

Every change is a new file in the place of the old one, whole and on the disk first, so that whoever reads sees either.
Processes that start at once on no file agree on the keys of one of them, and two changes never cross.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from guardrails.errors import SettingsError
from guardrails.signing.jwk import KeySet

__all__ = ["change_keys", "open_keys", "read_keys"]

FILE_MODE = 0o600
FILE_BYTES = 1024 * 1024
_NOT_THE_OWNER = stat.S_IRWXG | stat.S_IRWXO
_decode = msgspec.json.Decoder(KeySet).decode


def open_keys(path: Path, new: Callable[[], KeySet]) -> KeySet:
    """The keys in the file at `path`, which gets those that `new` makes where there is none.

    Raises SettingsError that names the file where it can't be made or read, is open to others, or holds no such keys.
    """
    try:
        return read_keys(path)
    except FileNotFoundError:
        _make(path, new())
    return read_keys(path)


def read_keys(path: Path) -> KeySet:
    """The keys in the file at `path`. Raises FileNotFoundError where none is, SettingsError as `open_keys`."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(FILE_BYTES)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsError(f"{path}: the signing keys can't be read: {error.strerror}") from error
    if mode & _NOT_THE_OWNER:
        raise SettingsError(
            f"{path}: the signing keys are open to others than their owner (mode {mode:04o}); run `chmod 600 {path}`, "
            "and `guardrails keys rotate` if somebody may have read them"
        )
    try:
        return _decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path}: this is no file of signing keys: {error}; put back a copy of it, since without its keys receipts "
            "and links that are out can't be verified"
        ) from None


def change_keys(path: Path, change: Callable[[KeySet], KeySet]) -> KeySet:
    """Put in place what `change` makes of the keys in the file, and return it. Raises SettingsError."""
    new = path.with_name(path.name + ".new")
    try:
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    except FileExistsError:
        raise SettingsError(f"somebody else is changing {path}, or was cut off: then remove `{new}`") from None
    except OSError as error:
        raise SettingsError(f"{path}: the signing keys can't be changed: {error.strerror}") from error
    # INVARIANT: `new` is ours alone from here on, so that what is read now is what is replaced.
    try:
        with os.fdopen(file, "wb") as stream:
            keys = change(read_keys(path))
            _write(stream, keys)
        new.replace(path)
    except BaseException:
        new.unlink()
        raise
    _sync_directory(path.parent)
    return keys


def _make(path: Path, keys: KeySet) -> None:
    """Put the keys at `path`, unless somebody else has put theirs there meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # made with mode 0600
        try:
            with os.fdopen(file, "wb") as stream:
                _write(stream, keys)
            os.link(draft, path)  # unlike a rename, it never takes the place of another file
            _sync_directory(path.parent)
        finally:
            Path(draft).unlink()
    except FileExistsError:
        return
    except OSError as error:
        raise SettingsError(f"{path}: the signing keys can't be made: {error.strerror}") from error


def _write(stream: BinaryIO, keys: KeySet) -> None:
    stream.write(msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n")
    stream.flush()
    os.fsync(stream.fileno())


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
