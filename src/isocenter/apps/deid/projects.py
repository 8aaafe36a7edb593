"""Making, changing and removing projects. Each change is kept with who made it."""

from __future__ import annotations

import re
import secrets as randomness
from typing import Any

from django.db import transaction
from django.utils import timezone

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.deid.documents import (
    ProjectDocument,
    ProjectProblems,
    check_document,
    is_text,
)
from isocenter.apps.deid.models import Project, ProjectChange
from isocenter.apps.deid.queries import pipelines_of, project
from isocenter.apps.deid.sealing import Sealer, lock_keys
from isocenter.core.deid.pseudonyms.secrets import Secret
from isocenter.core.errors import ConfigurationError, NotFound, Refused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SECRET_BYTES = 32
_MOST_DESCRIPTION = 10_000


class ProjectChanged(Refused):
    """Somebody else has changed the project meanwhile.

    Attributes:
        version: that it has now.
    """

    def __init__(self, name: str, version: int) -> None:
        super().__init__(
            f"{name} was changed by somebody else meanwhile; it is at version {version} now",
            hint="look at it again",
        )
        self.version = version


def name_problem(name: str) -> str:
    """What is wrong with a project's name; empty when nothing."""
    if not _NAME.fullmatch(name):
        return "a name has letters, digits, - and _, at most 64, the first a letter or digit"
    if name == "new":
        return "this name is the address of the page for new projects"
    return ""


def create_project(
    name: str,
    document: ProjectDocument,
    *,
    description: str = "",
    secret: Secret | None = None,
    actor: str,
) -> Project:
    """Make a project with a new secret of 256 bits.

    Args:
        secret: one that is there already, of a project of the command ``isocenter deidentify``.

    Raises:
        ProjectProblems: what is wrong, by key.
        ConfigurationError: the keys cannot be used.
    """
    problem = name_problem(name)
    if not problem and Project.objects.filter(name__iexact=name).exists():
        problem = f"there is a project {name} already"
    if problem:
        raise ProjectProblems({"name": problem})
    _check(document, description)
    secret = secret or Secret(randomness.token_bytes(_SECRET_BYTES))
    with transaction.atomic():
        lock_keys()
        if Project.objects.filter(name__iexact=name).exists():
            raise ProjectProblems({"name": f"there is a project {name} already"})
        # Versions of a name are never used again: what was made by an older project of the same
        # name, with another secret, is not taken for this one's.
        last = ProjectChange.objects.filter(name=name).order_by("-version").first()
        made = Project(
            name=name,
            description=description,
            document=document.model_dump(mode="json"),
            sealed_secret=_sealed(name, secret),
            version=last.version + 1 if last else 1,
            created_by=actor[:255],
            changed_at=timezone.now(),
            changed_by=actor[:255],
        )
        made.save(force_insert=True)
        _write(made, ProjectChange.Change.MADE, actor, version=made.version)
    return made


def change_project(
    name: str,
    document: ProjectDocument,
    *,
    description: str | None = None,
    version: int,
    actor: str,
) -> Project:
    """Change what a project wants. Secret and map stay; what was released stays as it is.

    Args:
        description: None leaves it as it is.
        version: that was looked at.

    Raises:
        NotFound: there is none.
        ProjectProblems: what is wrong, by key.
        ProjectChanged: somebody else was quicker.
    """
    _check(document, description or "")
    with transaction.atomic():
        changed = _locked(name)
        if changed.version != version:
            raise ProjectChanged(name, changed.version)
        old = {**changed.document, "description": changed.description}
        changed.document = document.model_dump(mode="json")
        changed.description = changed.description if description is None else description
        new = {**changed.document, "description": changed.description}
        keys = [key for key in new if old.get(key) != new[key]]
        if not keys:
            return changed
        changed.version += 1
        changed.changed_at, changed.changed_by = timezone.now(), actor[:255]
        changed.save()
        _write(changed, ProjectChange.Change.CHANGED, actor, version=changed.version, keys=keys)
    return changed


def delete_project(name: str, *, actor: str) -> None:
    """Remove a project with its secret and map: nobody can say any more who was who.

    Raises:
        NotFound: there is none.
        ConfigurationError: a pipeline names it.
    """
    with transaction.atomic():
        removed = _locked(name)
        used = pipelines_of(name)
        if used:
            raise ConfigurationError(
                f"the project {name} is used by the pipelines {', '.join(used)}",
                hint="change or remove these first",
            )
        patients = removed.entries.count()
        _write(
            removed, ProjectChange.Change.REMOVED, actor,
            version=removed.version + 1, patients=patients,
        )  # fmt: skip
        removed.delete()


def _sealed(name: str, secret: Secret) -> str:
    """A secret, sealed; not with a key that does not open what is there already."""
    sealer = Sealer()
    other = Project.objects.order_by("pk").first()
    if other is not None:
        sealer.open_secret(other)
    return sealer.seal_secret(name, secret)


def _locked(name: str) -> Project:
    found = Project.objects.select_for_update().filter(name=name).first()
    if found is None:
        project(name)  # says which is near
        raise NotFound(f"there is no project {name!r}")
    return found


def _check(document: ProjectDocument, description: str) -> None:
    problems: dict[str, str] = {}
    if len(description) > _MOST_DESCRIPTION:
        problems["description"] = f"at most {_MOST_DESCRIPTION} characters"
    if not is_text(description):
        problems["description"] = "there is a NUL in it, or half of a character"
    try:
        check_document(document)
    except ProjectProblems as error:
        problems |= error.problems
    if problems:
        raise ProjectProblems(problems)


def _write(row: Project, change: str, actor: str, *, version: int, **detail: Any) -> None:
    ProjectChange.objects.create(
        name=row.name,
        version=version,
        change=change,
        actor=actor[:255],
        description=row.description,
        document=row.document,
    )
    record(
        Kind.PROJECT_CHANGED,
        actor=actor,
        project=row.name,
        change=str(change),
        version=version,
        **detail,
    )
