"""The account that PostgreSQL runs as: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isocenter.core.errors import ConfigurationError

CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """User and group of a server process."""

    name: str
    uid: int
    gid: int

    @property
    def is_self(self) -> bool:
        return self.uid == os.geteuid()

    def process_options(self) -> dict[str, Any]:
        """Arguments for `subprocess.Popen` that make the child run as this account."""
        if self.is_self:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give a folder to this account, for itself alone."""
        if not self.is_self:
            os.chown(path, self.uid, self.gid)
        path.chmod(0o700)

    def can_read(self, path: Path) -> bool:
        """Whether every folder on the way can be crossed and the path itself be read."""
        if self.is_self:
            return os.access(path, os.R_OK)
        real = path.resolve()
        return self._allowed(real, 4) and self.can_enter(real.parent)

    def can_enter(self, folder: Path) -> bool:
        """Whether this folder and every one above it can be crossed."""
        real = folder.resolve()
        return all(self._allowed(each, 1) for each in (real, *real.parents))

    def _allowed(self, path: Path, bit: int) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        mode = stat.S_IMODE(status.st_mode)
        if status.st_uid == self.uid:
            return bool(mode >> 6 & bit)
        if status.st_gid == self.gid:
            return bool(mode >> 3 & bit)
        return bool(mode & bit)


def server_account() -> Account:
    """Ourselves; for root an existing account without rights.

    Raises:
        ConfigurationError: we are root and there is no such account.
    """
    if os.geteuid() != 0:
        return Account(str(os.geteuid()), os.geteuid(), os.getegid())
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and there is neither a user 'postgres' nor 'nobody'",
        hint="add a user 'postgres', or start Isocenter as an ordinary user",
    )
