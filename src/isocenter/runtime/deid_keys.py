"""The keys that seal secrets and maps of de-identification projects: where they are, and how they
come to be there. Keys of Fernet (AES-128-CBC and HMAC-SHA256), one a line; ``#`` begins a comment.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from isocenter.core.errors import ConfigurationError, IsocenterError
from isocenter.runtime.layout import Layout
from isocenter.runtime.settings import Settings

VARIABLE = "ISOCENTER_DEID_KEYS"
_ANY_SEALED = (
    "select sealed_secret from deid_project union all "
    "select secret from transfers_node where secret <> '' limit 1"
)
_HEAD = """\
# Keys of de-identification projects: the first seals, all open. Without them nobody can say any
# more whose a pseudonym is, and no project can go on. Keep a copy, apart from the database.
"""


@dataclass(frozen=True)
class Keys:
    """Keys in force.

    Attributes:
        where: the file or variable, for messages.
        keys: the first seals; all open.
        file: None for those of the variable.
    """

    where: str
    keys: tuple[str, ...]
    file: Path | None = None

    def __repr__(self) -> str:
        return f"Keys({self.where}, {len(self.keys)})"


def key_file(settings: Settings) -> Path:
    """Where the key file is, or will be."""
    return settings.deid.key_file or Layout(settings.data_dir).keys / "deid.keys"


def retired_file(path: Path) -> Path:
    """Where keys are kept that nothing is sealed with any more, for backups from before."""
    return path.with_name(path.name + ".retired")


def read_keys(settings: Settings) -> Keys | None:
    """The keys in force; None where there is neither a variable nor a file.

    Raises:
        ConfigurationError: they cannot be read, are no keys, or others may read them.
    """
    given = os.environ.get(VARIABLE, "")
    if given.strip():
        return Keys(VARIABLE, _checked(given.split(","), f"environment variable {VARIABLE}"))
    path = key_file(settings)
    try:
        text = path.read_text(encoding="ascii")
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(
            f"the key file {path} cannot be read: {error.strerror}",
            hint="it has to belong to the user who runs Isocenter",
        ) from None
    except UnicodeDecodeError:
        raise _no_keys(f"the key file {path}") from None
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise ConfigurationError(
            f"others may read or change the key file {path}", hint=f"chmod 600 {path}"
        )
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return Keys(str(path), _checked(lines, f"the key file {path}"), path)


def make_keys(settings: Settings) -> Keys:
    """Make a key file with a new key, durably; another process may have been quicker.

    Raises:
        ConfigurationError: it cannot be written.
    """
    path = key_file(settings)
    try:
        _put(path, _written([new_key()]), replace=False)
    except OSError as error:
        raise _unwritable(path, error) from None
    keys = read_keys(settings)
    assert keys is not None
    return keys


def look_at_keys(settings: Settings, sealed: str | None) -> Iterator[tuple[str, str, str]]:
    """What ``isocenter doctor`` says of them: level, text, and how to mend it.

    Args:
        sealed: something out of the database that they have to open; None: there is nothing.
    """
    try:
        keys = read_keys(settings)
    except ConfigurationError as error:
        yield "wrong", error.args[0], error.hint
        return
    if keys is None:
        path = key_file(settings)
        if sealed is None:
            yield "ok", f"{path} will be made with the first project", ""
        else:
            yield (
                "wrong",
                f"there are projects, but their key file {path} is gone",
                (f"restore it from your copy, or give its keys by {VARIABLE}"),
            )
        return
    if sealed is not None and not _opens(keys, sealed):
        yield (
            "wrong",
            f"the keys of {keys.where} do not open what is in the database",
            ("add the keys that belong to this database"),
        )
        return
    yield "ok", f"{len(keys.keys)} in {keys.where}", ""
    if keys.file is not None and _lies_with_database(settings, keys.file):
        yield (
            "note",
            f"{keys.file} lies in the data directory, with the database",
            (
                "leave keys/ out of its backups and keep a copy apart, or set deid.key_file to "
                "another place: who has both can read whose every pseudonym is"
            ),
        )


def _opens(keys: Keys, sealed: str) -> bool:
    try:
        MultiFernet([Fernet(key) for key in keys.keys]).decrypt(sealed.encode())
    except InvalidToken:
        return False
    return True


def _lies_with_database(settings: Settings, path: Path) -> bool:
    """With a database of its own elsewhere, a backup of the data directory has no rows in it."""
    inside = path.resolve().is_relative_to(settings.data_dir.resolve())
    return inside and settings.database_url is None


def new_key() -> str:
    """A key at random."""
    return Fernet.generate_key().decode("ascii")


def replace_keys(path: Path, keys: Iterable[str]) -> None:
    """Write a key file anew, durably.

    Raises:
        ConfigurationError: it cannot be written; the old one stands.
    """
    try:
        _put(path, _written(keys), replace=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def retire_keys(path: Path, keys: Iterable[str]) -> None:
    """Add keys to those that are kept for backups from before.

    Raises:
        ConfigurationError: it cannot be written.
    """
    kept = retired_file(path)
    try:
        before = kept.read_text("ascii") if kept.exists() else ""
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        text = before + f"# out of use since {moment}\n" + "".join(f"{key}\n" for key in keys)
        _put(kept, text, replace=True)
    except OSError as error:
        raise _unwritable(kept, error) from None


def _checked(parts: Iterable[str], where: str) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        raise _no_keys(where) from None
    if not keys:
        raise _no_keys(where)
    return keys


def _no_keys(where: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where} holds something that is no key",
        hint="keys are 44 characters, of 32 random bytes in URL-safe base64; restore the file",
    )


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"the key file {path} cannot be written: {error.strerror}",
        hint=f"mend it, set deid.key_file to another place, or give keys by {VARIABLE}",
    )


def _written(keys: Iterable[str]) -> str:
    return _HEAD + "".join(f"{key}\n" for key in keys)


def _put(path: Path, text: str, *, replace: bool) -> None:
    """A file of this text, whole and durable, for its owner alone; the first one wins unless it is
    to be replaced."""
    made = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        if replace:
            Path(name).replace(path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink()
    for folder in (path.parent, path.parent.parent) if made else (path.parent,):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def something_sealed(settings: Settings) -> str | None:
    """A token that the keys have to open, of a project or a node; None where there is none, or
    nobody to ask."""
    import psycopg

    from isocenter.runtime.boot import database_url

    try:
        with psycopg.connect(database_url(settings), connect_timeout=5) as connection:
            row = connection.execute(_ANY_SEALED).fetchone()
    except (IsocenterError, psycopg.Error):
        return None
    return None if row is None else str(row[0])
