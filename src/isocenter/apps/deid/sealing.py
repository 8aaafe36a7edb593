"""Sealing what identifies: secrets and patients are in the database as Fernet tokens only.

Keys are read anew for each thing that is sealed, and whoever seals holds the lock of keys or of
the project: so no row is sealed with a key that a rotation is about to retire.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import connection

from isocenter.apps.deid.models import Project
from isocenter.apps.transfers.models import Node
from isocenter.core.deid.pseudonyms.secrets import PatientKey, Secret
from isocenter.core.errors import ConfigurationError, Refused
from isocenter.runtime.deid_keys import VARIABLE, Keys, key_file, make_keys, read_keys, retired_file

# Among this database's advisory locks.
_LOCK = 0x6465_6964
_ROTATION = _LOCK + 1


def keys_in_force() -> Keys:
    """The keys; a first one is made where nothing was ever sealed.

    Raises:
        ConfigurationError: there are none although something is sealed, or they cannot be read.
    """
    keys = read_keys(settings.ISOCENTER)
    if keys is not None:
        return keys
    if Project.objects.exists() or Node.objects.exclude(secret="").exists():
        path = key_file(settings.ISOCENTER)
        raise ConfigurationError(
            f"there are projects or nodes with secrets, but their key file {path} is gone",
            hint=f"restore it from your copy, or give its keys by {VARIABLE}; without them the "
            "secrets and maps of the projects are lost",
        )
    return make_keys(settings.ISOCENTER)


def lock_keys() -> None:
    """Hold the keys as they are until the end of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


@contextmanager
def rotating() -> Iterator[None]:
    """Hold the key file against other rotations; a process that dies holds nothing.

    Raises:
        Refused: there is one already.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_ROTATION])
        if not cursor.fetchone()[0]:
            raise Refused("keys are being rotated already", hint="wait for it to end")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_ROTATION])


class Sealer:
    """Opens with the keys as they were when it was made, or as they are now.

    Make it before reading the rows that it is to open.
    """

    def __init__(self) -> None:
        self._keys = keys_in_force()

    def seal(self, text: str) -> str:
        """A token of a text, by the first key."""
        self._keys = keys_in_force()
        return Fernet(self._keys.keys[0]).encrypt(text.encode()).decode("ascii")

    def open(self, token: str) -> str:
        """The text of a token.

        Raises:
            ConfigurationError: it was sealed with another key, or changed.
        """
        try:
            return self._opened(token)
        except InvalidToken:
            self._keys = keys_in_force()
        try:
            return self._opened(token)
        except InvalidToken:
            raise self._wrong_key() from None

    def _opened(self, token: str) -> str:
        return _fernet(self._keys.keys).decrypt(token.encode("ascii")).decode()

    def _wrong_key(self) -> ConfigurationError:
        where = self._keys.where
        before = f"; keys of before a rotation are in {retired_file(self._keys.file)}" if (
            self._keys.file
        ) else ""  # fmt: skip
        return ConfigurationError(
            f"what is sealed in the database does not open with the keys of {where}",
            hint=f"add the keys that belong to this database{before}",
        )

    def seal_secret(self, name: str, secret: Secret) -> str:
        """A project's secret; its name is sealed in, so that rows cannot be swapped."""
        return self.seal(json.dumps({"project": name, "secret": secret.key.hex()}))

    def open_secret(self, project: Project) -> Secret:
        """
        Raises:
            ConfigurationError: another key, or not this project's.
        """
        content = json.loads(self.open(project.sealed_secret))
        if content["project"] != project.name:
            raise ConfigurationError(f"the secret of {project.name} is another project's")
        return Secret(bytes.fromhex(content["secret"]))

    def seal_patient(self, key: PatientKey) -> str:
        return self.seal(json.dumps([key.issuer, key.patient_id]))

    def open_patient(self, token: str) -> PatientKey:
        """
        Raises:
            ConfigurationError: another key.
        """
        issuer, patient_id = json.loads(self.open(token))
        return PatientKey(issuer, patient_id)


def seal_text(text: str) -> str:
    """A token of a text that is nobody's identity: a node's password. Inside a transaction.

    Raises:
        ConfigurationError: the keys are gone, or cannot be read.
    """
    lock_keys()
    return Sealer().seal(text)


def open_text(token: str) -> str:
    """The text of such a token.

    Raises:
        ConfigurationError: it was sealed with other keys.
    """
    return Sealer().open(token)


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
