"""The secret of ``isocenter deidentify``, and what it calls the patients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from isocenter.cli.platform import USAGE, fail
from isocenter.core.errors import ConfigurationError

if TYPE_CHECKING:
    from isocenter.core.deid.policy import Policy
    from isocenter.core.deid.pseudonyms.issuing import Pseudonyms
    from isocenter.core.deid.pseudonyms.secrets import Secret
    from isocenter.core.deid.pseudonyms.store import MemoryStore

#: Where projects have their secrets and pseudonyms.
PROJECT_FOLDERS = Path("~/.config/isocenter/projects")
_KEY_FILE, _MAP_FILE = "secret.key", "pseudonyms.csv"


@dataclass(frozen=True)
class Keys:
    """A secret, and the file for the pseudonyms that are issued with it."""

    secret: Secret
    map_file: Path


def keys_of(project: str | None, projects: Path, secret_file: Path | None, *, create: bool) -> Keys:
    """The secret that the options name; a mistake ends the command.

    Args:
        project: of `projects`; a new one gets a secret.
        projects: folder of all of them.
        secret_file: in place of a project.
        create: make the secret file where there is none.
    """
    from isocenter.core.deid.pseudonyms.secrets import Secret

    if (project is None) == (secret_file is None):
        fail("give either --project NAME or --secret-file FILE", USAGE)
    try:
        if secret_file is not None:
            is_new = create and not secret_file.exists()
            secret = Secret.create(secret_file) if is_new else Secret.from_file(secret_file)
            return Keys(secret, secret_file.with_name(f"{secret_file.name}.{_MAP_FILE}"))
        assert project is not None
        if not project.replace("-", "").replace("_", "").isalnum():
            fail("--project: letters, digits, - and _ make a name", USAGE)
        folder = projects.expanduser() / project
        file = folder / _KEY_FILE
        if file.exists():
            return Keys(Secret.from_file(file), folder / _MAP_FILE)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        typer.secho(f"new project {project}: its secret is {file}; keep it", err=True)
        return Keys(Secret.create(file), folder / _MAP_FILE)
    except ConfigurationError as error:
        fail(str(error), USAGE)


@dataclass(frozen=True)
class Patients:
    """What patients are called.

    Attributes:
        keys: secret and map.
        listed: a CSV file with the pseudonyms of all patients.
        pattern: of pseudonyms that are counted up.
        site: what ``{site}`` in the pattern is.
    """

    keys: Keys
    listed: Path | None
    pattern: str | None
    site: str

    @contextmanager
    def pseudonyms(self, policy: Policy, *, dry_run: bool) -> Iterator[Pseudonyms]:
        """Gives the pseudonyms; a map that is written is locked as long as this is open.

        Args:
            policy: how dates are shifted.
            dry_run: the map stays as it is.

        Raises:
            ConfigurationError: the options, or a file that they name, cannot be used.
        """
        from isocenter.core.deid.pseudonyms.issuing import GivenPseudonyms, KeyedPseudonyms

        self._check()
        weeks, ages, secret = policy.whole_weeks, policy.keep_ages, self.keys.secret
        if self.listed is not None:
            yield GivenPseudonyms.from_csv(self.listed, secret, whole_weeks=weeks, keep_ages=ages)
        elif self.pattern is None:
            yield KeyedPseudonyms(secret, whole_weeks=weeks, keep_ages=ages)
        else:
            with _opened(self.keys.map_file, dry_run) as store:
                yield self._counted(self.pattern, store, policy)

    def _counted(self, pattern: str, store: MemoryStore, policy: Policy) -> Pseudonyms:
        from isocenter.core.deid.pseudonyms.issuing import PatternPseudonyms

        return PatternPseudonyms(
            pattern,
            self.site,
            store,
            self.keys.secret,
            whole_weeks=policy.whole_weeks,
            keep_ages=policy.keep_ages,
            keep_dates=policy.dates == "keep",
        )

    def _check(self) -> None:
        if self.listed is not None and self.pattern is not None:
            raise ConfigurationError("give either --pseudonyms or --pattern")
        if self.pattern is None and self.site:
            raise ConfigurationError("--site goes with --pattern")
        if self.pattern is not None and "{site}" in self.pattern and not self.site:
            raise ConfigurationError("--pattern has {site}: give --site too")


@contextmanager
def _opened(path: Path, dry_run: bool) -> Iterator[MemoryStore]:
    from isocenter.core.deid.pseudonyms.csv_store import CsvStore
    from isocenter.core.deid.pseudonyms.files import read_csv
    from isocenter.core.deid.pseudonyms.store import MemoryStore

    if dry_run:
        yield MemoryStore(read_csv(path) if path.exists() else ())
        return
    with CsvStore(path) as store:
        yield store
