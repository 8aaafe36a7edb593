"""A new key for everything that is sealed."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.fernet import Fernet
from django.db import connection, transaction

from isocenter.apps.audit.kinds import Kind
from isocenter.apps.audit.services import record
from isocenter.apps.deid.models import MapEntry, Project
from isocenter.apps.deid.sealing import Sealer, keys_in_force, lock_keys, rotating
from isocenter.apps.transfers.models import Node
from isocenter.core.errors import ConfigurationError
from isocenter.runtime.deid_keys import (
    VARIABLE,
    Keys,
    new_key,
    replace_keys,
    retire_keys,
    retired_file,
)

_BATCH = 500
_SEAL = """
    UPDATE deid_mapentry SET sealed_patient = anew.token
    FROM unnest(%s::bigint[], %s::text[]) AS anew (id, token) WHERE deid_mapentry.id = anew.id
"""


@dataclass(frozen=True)
class Rotated:
    """What a rotation did.

    Attributes:
        projects, patients: how many were sealed anew.
        retired: the file with the keys that are out of use; empty with keys of the environment.
    """

    projects: int
    patients: int
    retired: str


def rotate_key(*, actor: str) -> Rotated:
    """Seal everything anew: with a new key of the key file, or with the first of the environment.

    The new key is on the disk before anything is sealed with it, the old ones are taken out of use
    after the last row was. Interrupted anywhere, everything opens, and it can be done again.

    Raises:
        ConfigurationError: the keys cannot be read or written, or something does not open.
        Refused: it is being done already.
    """
    with rotating():
        return _rotate(actor)


def _rotate(actor: str) -> Rotated:
    keys = _begun(keys_in_force())
    with transaction.atomic(durable=True):
        lock_keys()
        projects = list(Project.objects.select_for_update().order_by("pk"))
        patients = _seal_anew(projects, keys)
        record(Kind.PROJECT_KEYS_ROTATED, actor=actor, projects=len(projects), patients=patients)
    if keys.file is None:
        return Rotated(len(projects), patients, "")
    retire_keys(keys.file, keys.keys[1:])
    replace_keys(keys.file, keys.keys[:1])
    return Rotated(len(projects), patients, str(retired_file(keys.file)))


def _begun(keys: Keys) -> Keys:
    """The keys with the one in front that is to seal."""
    if keys.file is not None:
        together = (new_key(), *keys.keys)
        replace_keys(keys.file, together)
        return Keys(keys.where, together, keys.file)
    if len(keys.keys) < 2:
        raise ConfigurationError(
            f"{VARIABLE} has one key only: there is nothing to change to",
            hint="put a new key before it, separated by a comma, start all parts anew with both, "
            "and run this again",
        )
    return keys


def _seal_anew(projects: list[Project], keys: Keys) -> int:
    """Whoever adds an entry holds its project, so none is left out."""
    sealer, first = Sealer(), Fernet(keys.keys[0])

    def anew(token: str) -> str:
        return first.encrypt(sealer.open(token).encode()).decode("ascii")

    for project in projects:
        project.sealed_secret = anew(project.sealed_secret)
    Project.objects.bulk_update(projects, ["sealed_secret"], batch_size=_BATCH)
    nodes = list(Node.objects.select_for_update().exclude(secret="").order_by("pk"))
    for node in nodes:
        node.secret = anew(node.secret)
    Node.objects.bulk_update(nodes, ["secret"], batch_size=_BATCH)
    done = last = 0
    while True:
        after = MapEntry.objects.filter(pk__gt=last).order_by("pk")
        rows = list(after.values_list("pk", "sealed_patient")[:_BATCH])
        if not rows:
            return done
        with connection.cursor() as cursor:
            tokens = [anew(token) for _, token in rows]
            cursor.execute(_SEAL, [[pk for pk, _ in rows], tokens])
        done, last = done + len(rows), rows[-1][0]
